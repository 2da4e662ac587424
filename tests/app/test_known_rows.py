"""Rows that a model learned from before it came here are counted and told of, in the run and in its report."""

import csv
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.known_rows import runs_behind
from tunesmith.app.tune import tune
from tunesmith.core.events import Event, Warned
from tunesmith.recipe import Recipe, from_mapping

COLUMNS = {"text": "review", "label": "sentiment"}


Rows = list[tuple[str, str]]


@pytest.fixture(scope="module")
def rows(reviews: Path) -> Rows:
    return [(row["review"], row["sentiment"]) for row in csv.DictReader(reviews.open())]


@pytest.fixture(scope="module")
def first(encoder_folder: Path, rows: Rows, cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned from the first twenty rows."""
    return _learned(str(encoder_folder), tmp_path_factory.mktemp("runs") / "first", rows[:20])


def _file(path: Path, rows: Rows) -> str:
    with path.open("w", newline="") as target:
        csv.writer(target).writerows([("review", "sentiment"), *rows])
    return str(path)


def _learned(model: str, out: Path, rows: Rows, **more: Any) -> Path:
    """A run that learned from exactly these rows."""
    data = {"train": _file(out.with_suffix(".csv"), rows), "columns": COLUMNS, "split": {"validation": 0.0, "test": 0.0}}
    recipe = {"model": model, "data": data, "train": {"max_steps": 1}, "evaluate": {"retention": "none"}, "output_dir": str(out)}
    return tune(from_mapping({**recipe, **more}, name="tiny")).path


def _begun(model: str, out: Path, validation: Rows, test: Rows, **more: Any) -> Recipe:
    data = {"columns": COLUMNS, "train": _file(out.with_name("more.csv"), [("it is bad", "negative"), ("it is good", "positive")])}
    data |= {
        "validation": _file(out.with_name("validation.csv"), validation),
        "test": _file(out.with_name("test.csv"), test),
        "allow_overlap": True,
    }
    method = {"name": "direct", "trials": 4, "metric": "accuracy"}
    recipe = {"model": model, "data": data, "method": method, "evaluate": {"retention": "none"}, "output_dir": str(out)}
    return from_mapping({**recipe, **more}, name="tiny")


def _told(recipe: Recipe) -> list[str]:
    """What is said of known rows, in the run and, the same, in its report."""
    said = list[Event]()
    report = tune(recipe, progress=said.append).report
    live, kept = (
        [text for text in all_of if "learned from" in text]
        for all_of in ([e.text for e in said if isinstance(e, Warned)], report["warnings"])
    )
    assert live == kept
    return kept


def test_a_search_on_rows_that_its_model_learned_from_is_told_of(first: Path, rows: Rows, tmp_path: Path) -> None:
    known = [(f"  {text.upper()}", label) for text, label in rows[:3]]  # the same texts, as splits see them
    (line,) = _told(_begun(f"run:{first}", tmp_path / "out", known + rows[20:30], rows[19:40]))
    assert "first learned from 3 of the 13 validation rows and 1 of the 21 test rows: " in line
    assert "what is found to be best by them need not be best for others" in line


def test_rows_that_it_did_not_learn_from_are_not_warned_of(first: Path, rows: Rows, tmp_path: Path) -> None:
    assert _told(_begun(f"run:{first}", tmp_path / "out", rows[20:30], rows[30:40])) == []


def test_a_training_is_told_of_all_runs_that_its_model_comes_from(first: Path, rows: Rows, tmp_path: Path) -> None:
    second = _learned(f"run:{first}", tmp_path / "second", rows[20:30])
    recipe = _begun(f"run:{second}", tmp_path / "out", rows[30:34], rows[18:24] + rows[35:37], method="lora", train={"max_steps": 1})
    (line,) = _told(recipe)
    assert "second and first learned from 6 of the 8 test rows: " in line
    assert "need not be best" not in line


def test_a_search_learned_from_its_validation_rows(first: Path, rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    searched = tune(_begun(f"run:{first}", tmp_path / "own" / "searched", rows[20:25], rows[25:30])).path
    (line,) = _told(_begun(f"run:{searched}", tmp_path / "out", rows[22:30], rows[30:40]))
    assert "searched learned from 3 of the 8 validation rows: " in line


def test_a_run_whose_rows_are_there_no_more_says_that_it_is_not_known(encoder_folder: Path, rows: Rows, tmp_path: Path) -> None:
    run = _learned(str(encoder_folder), tmp_path / "gone", rows[:20])
    file = run.with_suffix(".csv")
    _file(file, rows[:21])
    (line,) = _told(_begun(f"run:{run}", tmp_path / "out", rows[:10], rows[10:20]))
    assert line.endswith(f"learned from before is not known of gone ({file}: is not what it was then).")
    file.unlink()
    (tmp_path / "again").mkdir()
    (line,) = _told(_begun(f"run:{run}", tmp_path / "again" / "out", rows[:10], rows[10:20]))
    assert "is not known of gone (" in line
    assert "no such file" in line


def test_a_file_of_a_run_is_what_that_run_learned(first: Path) -> None:
    file = first / "network.h5"
    file.touch()
    assert [one.id for one, _ in runs_behind(str(file), of_files=True)] == ["first"]
    assert runs_behind(str(file)) == []
    file.unlink()
