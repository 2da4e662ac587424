"""From data to report for every head: numbers, many labels, tags and spans."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.axes import measure_axes
from tunesmith.app.preview import preview
from tunesmith.app.tune import tune
from tunesmith.core.errors import UsageError
from tunesmith.recipe import Recipe, from_mapping

NOUNS = "cat dog mat film".split()


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


def sentences() -> list[list[str]]:
    verbs, ends = ["is", "was", "ran", "sat"], ["very", "on", "the", "a"]
    return [
        [first, noun, verb, end, mood]
        for first in ("the", "a")
        for noun in NOUNS
        for verb in verbs
        for end in ends
        for mood in ("good", "bad")
    ]


def recipe(folder: Path, file: Path, out: Path, **more: Any) -> Recipe:
    return from_mapping(
        {
            "model": str(folder),
            "data": {"train": str(file)},
            "method": "full",
            "train": {"epochs": 6, "learning_rate": 3e-3, "examples_per_step": 16, "evaluations_per_epoch": 1},
            "engine": {"compile": False},
            "output_dir": str(out),
            **more,
        },
        name="heads",
    )


def test_numbers_are_learned_in_their_unit(encoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"text": " ".join(words), "label": (130.5 if words[-1] == "good" else 100.5)} for words in sentences()]
    run = tune(recipe(encoder_folder, write(tmp_path / "a.jsonl", rows), tmp_path / "out"))
    report = run.report
    assert report["task"]["kind"] == "regression"
    assert report["metrics"]["pearson"]["tuned"]["value"] > 0.9
    assert report["metrics"]["pearson"]["base"] is None
    assert next(iter(report["metrics"])) == "pearson"
    assert report["baselines"]["constant"]["rmse"]["value"] == pytest.approx(15.0, abs=0.5)
    assert report["metrics"]["rmse"]["tuned"]["value"] < 10
    good, bad = (answer["value"] for answer in run.predict(["the cat is very good", "the cat is very bad"]))
    assert 115 < good < 145
    assert 85 < bad < 115
    assert "constant answer" in run.directory.report_html.read_text(encoding="utf-8")


def test_many_labels(encoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"text": " ".join(words), "labels": [words[-1], *(["animal"] if words[1] in ("cat", "dog") else [])]} for words in sentences()]
    run = tune(recipe(encoder_folder, write(tmp_path / "a.jsonl", rows), tmp_path / "out"))
    assert run.report["task"]["kind"] == "multi_label"
    assert run.report["metrics"]["labels_micro_f1"]["tuned"]["value"] > 0.9
    (said,) = run.predict(["the film was on bad"])
    assert said["labels"] == ["bad"]
    assert said["probabilities"].keys() == {"animal", "bad", "good"}
    out = tmp_path / "out.csv"
    run.predict_file(write(tmp_path / "b.jsonl", [{"text": "a dog ran on good"}]), out)
    assert out.read_text(encoding="utf-8").splitlines()[0] == "text,predicted_labels,probability_animal,probability_bad,probability_good"
    axes = measure_axes(run.directory, limit=10)
    assert (axes["metric"], axes["tuned"]["calibration"]) == ("labels_jaccard", None)  # of several labels none is said with one probability
    assert (axes["base_asked"], axes["base"]) == (None, None)
    changes = {"train": {"max_steps": 1, "learning_rate": 1e-9}}
    on_it = tune(recipe(Path(f"run:{run.path}"), tmp_path / "a.jsonl", tmp_path / "again", **changes))
    again = measure_axes(on_it.directory, limit=10)
    assert again["base_asked"] == "as_it_is"
    assert again["base"]["score"] == axes["tuned"]["score"]


def test_tags_of_words(encoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"tokens": words, "ner_tags": ["B-X" if word in NOUNS else "O" for word in words]} for words in sentences()]
    made = recipe(encoder_folder, write(tmp_path / "a.jsonl", rows), tmp_path / "out")
    shown = preview(made, rows=1)[0]
    assert "".join(text for text, learned in shown["pieces"] if learned).split() == rows[0]["tokens"]
    assert shown["answer"] == "O B-X O O O"
    run = tune(made)
    assert run.report["task"]["kind"] == "token_classification"
    assert run.report["metrics"]["entity_f1"]["tuned"]["value"] > 0.95
    assert run.predict([["the", "dog", "is", "very", "good"]]) == [{"tags": ["O", "B-X", "O", "O", "O"]}]
    with pytest.raises(UsageError, match="expected a list of words"):
        run.predict(["a very good dog"])


def test_spans_over_several_windows(encoder_folder: Path, tmp_path: Path) -> None:
    rows = []
    for words in sentences():
        context = " ".join([*["very"] * 4, *words, *["on"] * 8])
        noun = words[1]
        rows.append({"question": "the", "context": context, "answers": {"text": [noun], "answer_start": [context.index(noun)]}})
    made = recipe(
        encoder_folder, write(tmp_path / "a.jsonl", rows), tmp_path / "out", model={"source": str(encoder_folder), "max_length": 14}
    )
    run = tune(made)
    assert run.report["task"]["kind"] == "span_qa"
    assert run.report["metrics"]["squad_f1"]["tuned"]["value"] > 0.9
    assert run.predict([("the", " ".join([*["very"] * 4, *"the mat was on good".split(), *["on"] * 8]))]) == [{"answer": "mat"}]
    with pytest.raises(UsageError, match=r"expected a pair: \(question, context\)"):
        run.predict(["where?"])
    with pytest.raises(UsageError, match="tuned a head for span qa"):
        run.generate(["where?"])


def test_a_run_goes_on_from_a_run_of_the_same_kind_with_its_head(encoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"text": " ".join(words), "label": (3.5 if words[-1] == "good" else 1.0)} for words in sentences()]
    data = write(tmp_path / "a.jsonl", rows)
    first = tune(recipe(encoder_folder, data, tmp_path / "one"))
    again = recipe(encoder_folder, data, tmp_path / "two", model={"source": f"run:{tmp_path / 'one'}"}, train={"max_steps": 1})
    second = tune(again)
    assert second.report["task"]["base"] == "as_it_is"
    assert second.report["metrics"]["pearson"]["base"]["value"] == pytest.approx(
        first.report["metrics"]["pearson"]["tuned"]["value"], abs=1e-5
    )


def test_a_run_goes_on_with_its_head_on_numbers_of_another_unit_and_with_another_dropout(encoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"text": " ".join(words), "label": (3.5 if words[-1] == "good" else 1.0)} for words in sentences()]
    tune(recipe(encoder_folder, write(tmp_path / "a.jsonl", rows), tmp_path / "one"))
    other = write(tmp_path / "b.jsonl", [{**row, "label": 10 * row["label"] + 7.5} for row in rows])
    again = recipe(
        encoder_folder, other, tmp_path / "two", model=f"run:{tmp_path / 'one'}", objective={"name": "regress", "head_dropout": 0.2},
        train={"max_steps": 1, "learning_rate": 1e-9},
    )  # fmt: skip
    rmse = tune(again).report["metrics"]["rmse"]
    assert rmse["tuned"]["value"] == pytest.approx(rmse["base"]["value"], rel=1e-4)
    assert rmse["base"]["value"] > 15  # its answers are in the first data's unit, and so far off


def test_data_that_stays_on_the_disk_gives_the_same_run(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    reports = []
    for number, on_disk in enumerate((False, True)):
        data = {"train": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}, "on_disk": on_disk}
        made = recipe(encoder_folder, reviews_csv, tmp_path / str(number), data=data, train={"max_steps": 3, "learning_rate": 1e-3})
        reports.append(tune(made).report)
    kept, stored = reports
    assert stored["metrics"] == kept["metrics"]
    assert stored["baselines"] == kept["baselines"]
    assert stored["data"] == kept["data"]
    assert [step["loss"] for step in stored["curves"]["train"]] == [step["loss"] for step in kept["curves"]["train"]]
