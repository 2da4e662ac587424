"""A cleaned copy holds what can be learned from, quarantine the rest, and the original is as it was."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import UsageError
from tunesmith.data import read
from tunesmith.data.check import check
from tunesmith.data.checks.reading import find_unreadable, read_to_the_end
from tunesmith.data.cleaning import Cleaned, write_cleaned

CONTENT = 'text,label,note\nfine film,pos,"a, b"\n,pos,\nfine film,pos,again\ncafÃ© film,neg,\nodd,pos,\nodd,neg,\ndull,neg,"two\nlines"\n'


def cleaned(file: Path, folder: Path, **options: Any) -> Cleaned:
    reading = read_to_the_end(str(file))
    report = check({"train": reading.dataset.examples}, found=find_unreadable("train", reading))
    return write_cleaned(folder, {str(file): reading}, report.findings, **options)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_that_are_bad_torn_or_said_again_are_left_out_and_texts_are_mended(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(CONTENT, encoding="utf-8")
    done = cleaned(file, tmp_path / "clean")
    assert (done.num_kept, done.num_quarantined, done.num_repaired) == (3, 4, 1)
    assert done.files == {str(file): "rows.csv"}
    with (tmp_path / "clean" / "rows.csv").open(encoding="utf-8", newline="") as copy:
        assert list(csv.reader(copy)) == [
            ["text", "label", "note"],
            ["fine film", "pos", "a, b"],
            ["café film", "neg", ""],
            ["dull", "neg", "two\nlines"],
        ]
    quarantine = lines(tmp_path / "clean" / "quarantine.jsonl")
    assert [(row["row"], row["reasons"]) for row in quarantine] == [
        (3, [f'{file}:3: the column "text" is empty. Write its text or remove the row.']),
        (4, ["duplicates"]),
        (6, ["label_conflicts"]),
        (7, ["label_conflicts"]),
    ]
    assert quarantine[1]["record"] == {"text": "fine film", "label": "pos", "note": "again"}
    (repair,) = lines(tmp_path / "clean" / "repaired.jsonl")
    assert (repair["row"], repair["before"]["text"], repair["after"]["text"]) == (5, "cafÃ© film", "café film")
    assert file.read_text(encoding="utf-8") == CONTENT
    assert read(str(tmp_path / "clean" / "rows.csv")).facts.num_rows == 3


def test_a_folder_that_exists_is_left_alone_unless_it_is_a_cleaned_copy_to_be_replaced(tmp_path: Path) -> None:
    file, folder = tmp_path / "rows.csv", tmp_path / "clean"
    file.write_text(CONTENT, encoding="utf-8")
    folder.mkdir()
    (folder / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="exists already"):
        cleaned(file, folder)
    with pytest.raises(UsageError, match="holds something else than a cleaned copy"):
        cleaned(file, folder, replace=True)
    assert (folder / "mine.txt").read_text() == "kept"
    cleaned(file, tmp_path / "other")
    (tmp_path / "other" / "rows.csv").unlink()
    assert cleaned(file, tmp_path / "other", replace=True).num_kept == 3
    assert (tmp_path / "other" / "rows.csv").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean", "other", "rows.csv"]


def test_jsonl_keeps_nested_values_and_json_becomes_jsonl(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "cafÃ©?"}, {"role": "assistant", "content": "yes", "weight": 1}]
    file = tmp_path / "chats.json"
    file.write_text(json.dumps([{"messages": turns, "id": 7}, {"messages": [], "id": 8}]), encoding="utf-8")
    done = cleaned(file, tmp_path / "clean")
    assert done.files == {str(file): "chats.jsonl"}
    (row,) = lines(tmp_path / "clean" / "chats.jsonl")
    assert row["id"] == 7
    assert [turn["content"] for turn in row["messages"]] == ["café?", "yes"]


def test_two_sources_of_one_name_get_two_files_and_half_characters_are_spelt_out(tmp_path: Path) -> None:
    readings, findings = {}, []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "rows.jsonl"
        file.write_text('{"text": "fine"}\n{"text": "half \\ud83d"}\n', encoding="utf-8")
        readings[str(file)] = read_to_the_end(str(file))
        findings += find_unreadable("train", readings[str(file)])
    done = write_cleaned(tmp_path / "clean", readings, findings)
    assert sorted(done.files.values()) == ["rows-2.jsonl", "rows.jsonl"]
    assert (done.num_kept, done.num_quarantined) == (2, 2)
    assert '"half \\ud83d"' in (tmp_path / "clean" / "quarantine.jsonl").read_text(encoding="utf-8")


def test_nothing_is_left_behind_where_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(CONTENT, encoding="utf-8")

    def fails(*given: Any) -> None:
        raise OSError("broken")

    monkeypatch.setattr("tunesmith.data.cleaning._write_rows", fails)
    with pytest.raises(OSError, match="broken"):
        cleaned(file, tmp_path / "clean")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
