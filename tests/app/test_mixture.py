"""Mixtures, end to end on a tiny model: one training, metrics by task."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.preview import preview
from tunesmith.app.run import Run
from tunesmith.app.tune import plan, tune
from tunesmith.core.errors import DataError, ObjectiveError, RecipeError
from tunesmith.recipe import Recipe, from_mapping
from tunesmith.report.summary import sentences


@pytest.fixture
def quiz_jsonl(tmp_path: Path) -> Path:
    """60 questions whose answer is the word that the question says."""
    file = tmp_path / "quiz.jsonl"
    nouns = ["cat", "dog", "mat", "film"]
    lines = []
    for number in range(60):
        one, other = nouns[number % 4], nouns[(number + 1 + number // 20) % 4]
        question = f"the very {one} {'is ' * (number % 7)}on the {'mat ' * (number // 7)}"
        lines.append(json.dumps({"question": question, "choices": [other, one] if number % 2 else [one, other], "answer": number % 2}))
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def talk_csv(pairs_csv: Path) -> Path:
    """80 questions, none of them a text of the reviews."""
    rows = list(csv.reader(pairs_csv.open()))
    with pairs_csv.open("w", newline="") as target:
        csv.writer(target).writerows([rows[0], *([f"says {question}", answer] for question, answer in rows[1:])])
    return pairs_csv


def mixture(model: Path, mix: dict[str, Any], out: Path, **changes: Any) -> Recipe:
    recipe: dict[str, Any] = {
        "model": str(model),
        "data": {"mix": mix, **changes.pop("data", {})},
        "method": "full",
        "train": {"epochs": 6, "learning_rate": 1e-2, "examples_per_step": 8},
        "evaluate": {"max_new_tokens": 4, "generate_limit": 5, **changes.pop("evaluate", {})},
        "output_dir": str(out),
    }
    return from_mapping({**recipe, **changes}, name="tiny")


def three(reviews: Path, pairs: Path, quiz: Path) -> dict[str, Any]:
    columns = {"text": "review", "label": "sentiment"}
    return {
        "mood": {"source": str(reviews), "columns": columns, "template": "the film is very {text}", "weight": 2},
        "talk": {"source": str(pairs), "weight": 1},
        "quiz": {"source": str(quiz), "weight": 1, "limit": 30},
    }


def test_labels_pairs_and_choices_train_as_one_and_are_measured_each(
    decoder_folder: Path, reviews_csv: Path, talk_csv: Path, quiz_jsonl: Path, tmp_path: Path
) -> None:
    run = tune(mixture(decoder_folder, three(reviews_csv, talk_csv, quiz_jsonl), tmp_path / "out"))
    report = run.report
    tasks = report["tasks"]
    assert report["task"]["objective"] == "sft"
    assert list(tasks) == ["mood", "talk", "quiz"]
    assert [task["kind"] for task in tasks.values()] == ["classification", "generation", "multiple_choice"]
    assert list(tasks["mood"]["metrics"]) == ["accuracy", "macro_f1", "mcc"]
    assert list(tasks["quiz"]["metrics"]) == ["accuracy"]
    assert {"rougeL", "perplexity", "bits_per_byte"} <= set(tasks["talk"]["metrics"])
    assert tasks["talk"]["metrics"]["rougeL"]["rows"] == 5
    assert list(report["metrics"]) == ["perplexity", "bits_per_byte"]
    assert report["metrics"]["perplexity"]["rows"] == sum(task["rows"] for task in tasks.values())
    mood = tasks["mood"]["metrics"]["accuracy"]
    assert mood["tuned"]["value"] > 0.9
    assert mood["difference"]["test"] == "mcnemar"
    assert 0.4 < tasks["mood"]["baselines"]["majority"]["accuracy"]["value"] < 0.7
    # 112 rows of mood are the largest share and come once an epoch; half as many of each of the others
    assert [task["train_rows"] for task in tasks.values()] == [112, 56, 30]
    assert [task["rows_per_epoch"] for task in tasks.values()] == [112, 56, 56]
    assert [task["rows_seen"] for task in tasks.values()] == [672, 336, 336]
    assert "By task: mood: accuracy better" in " ".join(sentences(report)).replace("\u00a0", " ")
    assert all(name in run.directory.report_html.read_text() for name in tasks)
    lines = [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]
    labels = [line for line in lines if line["task"] == "mood"]
    share = sum(line["tuned"]["label"] == line["reference"] for line in labels) / len(labels)
    assert share == pytest.approx(mood["tuned"]["value"])
    assert Run(tmp_path / "out").generate(["the cat is good"])


def test_a_plan_says_how_often_the_rows_of_each_set_come(decoder_folder: Path, reviews_csv: Path, talk_csv: Path, tmp_path: Path) -> None:
    mix = {"main": {"source": str(talk_csv), "weight": 0.9}, "rehearsal": {"source": str(reviews_csv), "weight": 0.1}}
    mix["rehearsal"]["columns"] = {"text": "review", "label": "sentiment"}
    planned = plan(mixture(decoder_folder, mix, tmp_path / "out", train={"epochs": 2, "examples_per_step": 8}))
    assert planned.tasks["main"] == {"train_rows": 56, "rows_per_epoch": 56, "share": 56 / 62, "rows_seen": 112}
    assert planned.tasks["rehearsal"] == {"train_rows": 112, "rows_per_epoch": 6, "share": 6 / 62, "rows_seen": 12}
    assert (planned.steps_per_epoch, planned.num_steps) == (8, 16)


@pytest.mark.parametrize(
    ("rule", "takes"),
    [("epochs", [56, 112]), ({"temperature": 2}, [79, 112]), ("weights", [112, 112])],  # 112 x sqrt(56 / 112) = 79.2
)
def test_the_rule_makes_the_shares(
    rule: Any, takes: list[int], decoder_folder: Path, reviews_csv: Path, talk_csv: Path, tmp_path: Path
) -> None:
    mix = {"talk": {"source": str(talk_csv)}, "mood": {"source": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}}}
    planned = plan(mixture(decoder_folder, mix, tmp_path / "out", data={"mix_by": rule}))
    assert [task["rows_per_epoch"] for task in planned.tasks.values()] == takes


def test_choices_alone_lead_with_accuracy(decoder_folder: Path, quiz_jsonl: Path, tmp_path: Path) -> None:
    recipe = mixture(decoder_folder, {}, tmp_path / "out", data={"train": str(quiz_jsonl)}, train={"max_steps": 2})
    report = tune(recipe).report
    assert report["task"] == {"objective": "sft", "method": "full", "kind": "generation", "base": "as_it_is"}
    assert list(report["metrics"]) == ["accuracy"]
    assert report["tasks"] == {}
    file = tmp_path / "new.jsonl"
    file.write_text('{"question": "the very cat", "choices": ["cat", "dog"]}\n')
    Run(tmp_path / "out").predict_file(file, tmp_path / "said.jsonl")
    assert json.loads((tmp_path / "said.jsonl").read_text())["completion"] in ("cat", "dog")


def test_an_encoder_decoder_chooses_too(seq2seq_folder: Path, quiz_jsonl: Path, tmp_path: Path) -> None:
    recipe = mixture(seq2seq_folder, {}, tmp_path / "out", data={"train": str(quiz_jsonl)}, train={"max_steps": 2})
    assert 0 <= tune(recipe).report["metrics"]["accuracy"]["tuned"]["value"] <= 1


def test_sets_with_the_same_classes_train_a_classifier(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    rows = list(csv.reader(reviews_csv.open()))
    other = tmp_path / "other.csv"
    with other.open("w", newline="") as target:
        csv.writer(target).writerows([rows[0], *([f"says {text}", label] for text, label in rows[1:41])])
    columns = {"text": "review", "label": "sentiment"}
    mix = {"films": {"source": str(reviews_csv), "columns": columns}, "other": {"source": str(other), "columns": columns}}
    report = tune(mixture(encoder_folder, mix, tmp_path / "out", method={"name": "lora", "r": 4}, train={"max_steps": 3})).report
    assert report["task"]["objective"] == "classify"
    assert report["metrics"]["accuracy"]["rows"] == sum(task["metrics"]["accuracy"]["rows"] for task in report["tasks"].values())


def test_a_domain_is_measured_as_the_task_that_it_is_like(
    decoder_folder: Path, reviews_csv: Path, talk_csv: Path, quiz_jsonl: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\nthe dog says good,positive\na mat says bad,negative\n")
    recipe = mixture(
        decoder_folder,
        three(reviews_csv, talk_csv, quiz_jsonl),
        tmp_path / "out",
        evaluate={"domains": {"other": {"source": str(other)}, "texts": {"source": str(other), "format": "text"}}},
        train={"max_steps": 2},
    )
    report = tune(recipe).report
    assert list(report["domains"]) == ["other"]
    assert report["domains"]["other"]["metrics"]["accuracy"]["rows"] == 2
    assert any("texts: not measured" in warning for warning in report["warnings"])


def test_a_row_of_one_set_in_the_test_of_another_is_refused(decoder_folder: Path, talk_csv: Path, tmp_path: Path) -> None:
    mix = {"one": {"source": str(talk_csv)}, "two": {"source": str(talk_csv), "test": str(talk_csv)}}
    with pytest.raises(DataError, match=r"rows of test also stand in train"):
        plan(mixture(decoder_folder, mix, tmp_path / "out"))


def test_what_one_set_holds_out_no_other_learns(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    rows = list(csv.reader(pairs_csv.open()))
    held = tmp_path / "held.csv"
    held.write_text(f"question,answer\n{rows[1][0]},yes\n{rows[2][0]},no\nthe mat,no\n")
    other = tmp_path / "other.csv"
    other.write_text("question,answer\n" + "".join(f"says {n * 'very '}good,yes\n" for n in range(20)))
    mix = {"one": {"source": str(pairs_csv)}, "two": {"source": str(other), "test": str(held)}}
    report = tune(mixture(decoder_folder, mix, tmp_path / "out", train={"max_steps": 1})).report
    left_out = [warning for warning in report["warnings"] if "rows were left out: another set holds their texts out" in warning]
    assert left_out
    assert all(warning.startswith("data.mix.one: ") for warning in left_out)
    assert report["data"]["duplicates"]["across"]["train/test"] == 0


def test_one_set_in_two_wordings_is_split_alike(decoder_folder: Path, talk_csv: Path, tmp_path: Path) -> None:
    mix = {"one": {"source": str(talk_csv)}, "two": {"source": str(talk_csv), "template": "the very {source}"}}
    assert plan(mixture(decoder_folder, mix, tmp_path / "out")).num_rows == {"train": 112, "validation": 16, "test": 32}


def test_classes_that_differ_make_no_classifier(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\n" + "".join(f"the dog {'very ' * n}good,{'yes' if n % 2 else 'no'}\n" for n in range(20)))
    mix = {"films": {"source": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}}, "other": {"source": str(other)}}
    with pytest.raises(ObjectiveError, match="needs the same classes in every set"):
        plan(mixture(encoder_folder, mix, tmp_path / "out", objective="classify"))


def test_a_metric_of_one_task_may_be_asked_for_and_an_unknown_one_is_refused(
    decoder_folder: Path, reviews_csv: Path, talk_csv: Path, quiz_jsonl: Path, tmp_path: Path
) -> None:
    mix = three(reviews_csv, talk_csv, quiz_jsonl)
    recipe = mixture(decoder_folder, mix, tmp_path / "out", evaluate={"metrics": ["accuracy", "chrf"]}, train={"max_steps": 1})
    tasks = tune(recipe).report["tasks"]
    assert [list(task["metrics"]) for task in tasks.values()] == [["accuracy"], ["chrf"], ["accuracy"]]
    with pytest.raises(RecipeError, match="masked_perplexity does not fit the objective sft"):
        plan(mixture(decoder_folder, mix, tmp_path / "out2", evaluate={"metrics": ["masked_perplexity"]}))


def test_a_preview_shows_rows_of_each_set(
    decoder_folder: Path, reviews_csv: Path, talk_csv: Path, quiz_jsonl: Path, tmp_path: Path
) -> None:
    shown = preview(mixture(decoder_folder, three(reviews_csv, talk_csv, quiz_jsonl), tmp_path / "out"), rows=1)
    assert [row["origin"].partition(":")[0] for row in shown] == [str(reviews_csv), str(talk_csv), str(quiz_jsonl)]
    learned = ["".join(text for text, scored in row["pieces"] if scored).split()[0] for row in shown]
    assert learned[0] in ("positive", "negative")
    assert learned[1] in ("yes", "no")
    assert learned[2] in ("cat", "dog", "mat", "film")
