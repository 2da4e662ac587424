"""`tunesmith data check` prints what the document holds, and its exit code tells whether there are errors."""

import json
from pathlib import Path

import pytest

from tunesmith.cli.main import run

GOOD = "text,label\n" + "".join(f"row {chr(97 + n) * 6} of {chr(110 - n % 10) * 5},{'ab'[n % 2]}\n" for n in range(20))


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.csv").write_text(GOOD, encoding="utf-8")
    return str(tmp_path / "good.csv")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    (tmp_path / "bad.csv").write_text(f"{GOOD},a\nmail joe@example.com [bold],b\n", encoding="utf-8")
    return str(tmp_path / "bad.csv")


def test_clean_data_ends_with_zero(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", good]) == 0
    out = capsys.readouterr().out
    assert "0 errors, 0 warnings, 0 notes" in out
    assert "labels of data: a 10 (50.0%), b 10 (50.0%)" in out


def test_errors_end_with_one_and_name_file_and_line(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", bad]) == 1
    out = capsys.readouterr().out
    assert "error  unreadable  1 row of" in out
    assert f'{bad}:22  the column "text" is empty' in out
    assert f"{bad}:23  j•••@•••.com" in out
    assert "joe@example.com" not in out
    assert "1 error, 1 warning, 0 notes" in out


def test_json_is_one_document_with_the_same_exit_code(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", bad, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "tunesmith/check/1"
    assert document["counts"] == {"num_errors": 1, "num_warnings": 1, "num_notes": 0}


def test_page_and_cleaned_copy_are_written_once(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, folder = tmp_path / "check.html", tmp_path / "clean"
    command = ["data", "check", bad, "--html", str(page), "--fix", str(folder)]
    assert run(command) == 1
    out = capsys.readouterr().out
    assert "21 rows kept, 0 of them mended, 1 in quarantine.jsonl" in " ".join(out.split())
    assert f"report: {page}" in out
    assert "cannot be read" in page.read_text(encoding="utf-8")
    assert (folder / "bad.csv").read_text(encoding="utf-8").count("\n") == 22
    assert run(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert run([*command, "--force"]) == 1


def test_shifts_are_shown_with_their_words(good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"lol {chr(97 + n) * 3} lmao {chr(110 - n % 10) * 4},{'ab'[n % 2]}\n" for n in range(25))
    (tmp_path / "chats.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    assert run(["data", "check", good, "--shift", str(tmp_path / "chats.csv")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "shift from good.csv (20 texts) to chats.csv (25)" in out
    assert "AUC of telling them apart" in out
    assert "lol (100% against 0%)" in out
    assert "at risk" in out


def test_a_source_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(tmp_path / "none.csv")]) == 3
    assert "no such file" in capsys.readouterr().err
