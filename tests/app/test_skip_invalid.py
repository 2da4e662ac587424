"""`data.skip_invalid`, from the command to the report."""

import json
from pathlib import Path

import pytest

from tunesmith.cli.main import run


@pytest.fixture
def recipe(encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty-two rows, and two that are none."""
    words = [f"{a} {b} {c} good" for a in ("the", "a") for b in ("cat", "dog", "mat", "film") for c in ("is", "was", "ran", "sat")]
    rows = [
        json.dumps({"text": text.replace("good", mood), "label": mood}) for n, text in enumerate(words) for mood in [("good", "bad")[n % 2]]
    ]
    (tmp_path / "d.jsonl").write_text("\n".join([*rows[:5], '{"text": "cut', *rows[5:], '{"text": " ", "label": "good"}']))
    (tmp_path / "r.yaml").write_text(
        f"model: {encoder_folder}\ndata: {{train: d.jsonl, split: {{validation: 0, test: 4}}}}\ntrain: {{max_steps: 1}}\noutput_dir: out\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "r.yaml"


def test_without_it_the_first_invalid_row_stops_before_training(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", str(recipe)]) == 3
    assert f"error: {tmp_path / 'd.jsonl'}:6: broken JSON" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_with_it_they_are_counted_in_the_terminal_and_the_report_and_kept_in_the_run(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tune", str(recipe), "--skip-invalid", "--json"]) == 0
    captured = capsys.readouterr()
    file = str(tmp_path / "d.jsonl")
    said = f"data.skip_invalid: {file}: 2 of 34 rows are invalid and were left out; the first: {file}:6: broken JSON"
    assert said in captured.err
    report = json.loads(captured.out)
    assert any(warning.startswith(said) for warning in report["warnings"])
    assert report["data"]["splits"]["train"]["num_invalid"] == 2
    assert report["data"]["splits"]["train"]["rows"] + report["data"]["splits"]["test"]["rows"] == 32
    kept = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()]
    assert [(row["file"], row["row"], row["raw"]) for row in kept] == [
        (file, 6, '{"text": "cut'),
        (file, 34, {"text": " ", "label": "good"}),
    ]
    assert "2 of 34 rows are invalid" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "skip_invalid: true" in (tmp_path / "out" / "recipe.yaml").read_text()


def test_preview_takes_it_too(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "preview", str(recipe), "--skip-invalid", "--rows", "1"]) == 0
    assert "learned: the answer" in capsys.readouterr().out
