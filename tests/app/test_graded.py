"""From graded answers to a report that tells the grades by name, and to predictions."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.task import prepare
from tunesmith.app.tune import tune
from tunesmith.core.errors import DataError, ObjectiveError, RecipeError, UsageError
from tunesmith.core.events import silence
from tunesmith.recipe import Recipe, from_mapping

PROMPTS = [f"{first} {noun} {verb}" for first in ("the", "a") for noun in "cat dog mat film".split() for verb in ("is", "was", "on")]
ANSWERS = {  # relevance from 1 to 5 by its first word, coherence from 0 to 100 by its last
    "good the very": (5, 90),
    "good the no": (4, 10),
    "bad the very": (2, 100),
    "bad the no": (1, 0),
}


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


def graded() -> list[dict[str, Any]]:
    """Each prompt with two answers; of every fifth row the grade of coherence is missing."""
    rows = list[dict[str, Any]]()
    for number, prompt in enumerate(PROMPTS):
        for turn in (0, 1):
            answer = list(ANSWERS)[(number + 3 * turn) % 4]
            relevance, coherence = ANSWERS[answer]
            missing = len(rows) % 5 == 0
            rows.append({"prompt": prompt, "response": answer, "relevance": relevance, "coherence": None if missing else coherence})
    return rows


def recipe(folder: Path, file: Path, out: Path, **more: Any) -> Recipe:
    made: dict[str, Any] = {
        "model": str(folder),
        "data": {"train": str(file), "split": {"test": 0.4}},
        "method": "full",
        "train": {"epochs": 8, "learning_rate": 5e-3, "examples_per_step": 8, "evaluations_per_epoch": 1},
        "evaluate": {"retention": "none"},
        "engine": {"compile": False},
        "output_dir": str(out),
    }
    return from_mapping({**made, **more}, name="graded")


@pytest.mark.parametrize("kind", ["encoder_folder", "decoder_folder"])
def test_grades_are_learned_each_in_its_unit_and_told_by_name(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    run = tune(recipe(request.getfixturevalue(kind), write(tmp_path / "a.jsonl", graded()), tmp_path / "out"))
    report = run.report
    assert report["task"] == {"objective": "grade", "method": "full", "kind": "grading", "base": "as_it_is"}
    assert list(report["metrics"]) == ["grade_spearman", "grade_mae"]
    found = report["metrics"]["grade_spearman"]
    assert found["base"] is None
    assert found["tuned"]["value"] > 0.7
    assert found["tuned"]["low"] > 0
    assert set(found["tuned"]["details"]) == {"relevance", "coherence"}
    errors, constant = report["metrics"]["grade_mae"]["tuned"]["details"], report["baselines"]["constant"]
    assert errors["relevance"] < 1
    assert errors["coherence"] < 30
    assert constant["grade_spearman"]["value"] == 0.0
    assert constant["grade_mae"]["value"] > 2 * report["metrics"]["grade_mae"]["tuned"]["value"]
    assert report["data"]["splits"]["train"]["labels"]["relevance"] > report["data"]["splits"]["train"]["labels"]["coherence"]
    page = run.directory.report_html.read_text(encoding="utf-8")
    assert "grade spearman" in page
    assert "relevance\u00a0=\u00a0" in page
    steps = [event for event in run.directory.read_steps() if event["event"] == "step" and event["epoch"] <= 1]
    assert sum(step["num_targets"] for step in steps) == sum(report["data"]["splits"]["train"]["labels"].values())  # grades that are there
    _says_what_it_learned(run, tmp_path)


def _says_what_it_learned(run: Any, tmp_path: Path) -> None:
    good, bad = (one["grades"] for one in run.predict([("the cat is", "good the very"), ("the cat is", "bad the no")]))
    assert good["relevance"] > bad["relevance"] + 1
    assert good["coherence"] > bad["coherence"] + 30
    asked = write(tmp_path / "b.jsonl", [{"question": "the cat is", "response": "good the very"}])
    out = tmp_path / "out.csv"
    run.predict_file(asked, out)
    header, line = out.read_text(encoding="utf-8").splitlines()
    assert header == "question,response,predicted_coherence,predicted_relevance"
    assert float(line.split(",")[-1]) == pytest.approx(good["relevance"], abs=1e-4)
    with pytest.raises(UsageError, match=r"texts\[0\]: found a text, expected a pair: \(prompt, answer\)"):
        run.predict(["the cat"])
    with pytest.raises(UsageError, match="tuned a model that grades answers"):
        run.generate(["the cat"])


def test_a_run_goes_on_from_a_run_with_its_head_whose_units_were_others(decoder_folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", graded())
    first = tune(recipe(decoder_folder, file, tmp_path / "first", train={"max_steps": 4, "learning_rate": 5e-3}))
    changes: dict[str, Any] = {"train": {"max_steps": 1, "learning_rate": 1e-9}, "method": "lora"}
    data = {"train": str(file), "split": {"test": 0.4}, "train_fraction": 0.6}
    second = tune(recipe(Path(f"run:{first.path}"), file, tmp_path / "second", data=data, **changes))
    for name in ("grade_spearman", "grade_mae"):
        base = second.report["metrics"][name]["base"]["value"]
        assert base == pytest.approx(first.report["metrics"][name]["tuned"]["value"], abs=1e-5)
        assert second.report["metrics"][name]["tuned"]["value"] == pytest.approx(base, abs=1e-3)


def test_an_answer_without_room_has_no_grades_and_the_others_keep_theirs(decoder_folder: Path, tmp_path: Path) -> None:
    run = tune(recipe(decoder_folder, write(tmp_path / "a.jsonl", graded()), tmp_path / "out", train={"max_steps": 1}))
    said = run.predict([("the cat", "good"), ("the " * 80, "good"), ("the dog", "bad")])
    assert [one["grades"]["relevance"] is None for one in said] == [False, True, False]
    rows = [{"prompt": "the " * 80, "response": "good"}]
    run.predict_file(write(tmp_path / "b.jsonl", rows), tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["predicted_relevance"] is None


@pytest.mark.parametrize(
    ("change", "data", "said"),
    [
        ({"relevance": 3}, {}, "every training row has the grade 3 of relevance, so there is nothing to learn"),
        (
            {"fluency": None},
            {"format": "graded", "columns": {"fluency": "fluency", "tone": "relevance"}},
            "no training row has a grade of fluency",
        ),
    ],
)
def test_an_attribute_that_tells_nothing_apart_is_refused(
    decoder_folder: Path, tmp_path: Path, change: dict[str, Any], data: dict[str, Any], said: str
) -> None:
    file = write(tmp_path / "a.jsonl", [row | change for row in graded()])
    with pytest.raises(DataError, match=said):
        prepare(recipe(decoder_folder, file, tmp_path / "out", data={"train": str(file), **data}), silence)


def test_metrics_of_some_attributes_and_objectives_that_do_not_fit(decoder_folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", graded())

    def prepared(**more: Any) -> Any:
        return prepare(recipe(decoder_folder, file, tmp_path / "out", **more), silence)

    metric = {"name": "grade_mae", "attributes": ["relevance"]}
    assert prepared(evaluate={"retention": "none", "metrics": [metric]}).metrics == ["grade_mae"]
    with pytest.raises(RecipeError, match="grade_mae.attributes: 'tone' is no attribute of the data. Known: coherence, relevance"):
        prepared(evaluate={"retention": "none", "metrics": [{**metric, "attributes": ["tone"]}]})
    with pytest.raises(ObjectiveError, match="sft learns from .*; the data gives Graded. Objectives for it: grade."):
        prepared(objective="sft")
