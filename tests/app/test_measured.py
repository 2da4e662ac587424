"""What a run measures: which metrics, with which options and references, and what its report says of their certainty."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_recipes import classifier, writer
from tunesmith.app.compare_runs import compare_runs
from tunesmith.app.tune import tune
from tunesmith.core.errors import RecipeError
from tunesmith.recipe import dump, parse


def _pairs(folder: Path, answers: Any) -> Path:
    """Questions of a mood and what is to be answered to each."""
    nouns, verbs = "cat dog mat film".split(), "is was ran sat".split()
    rows = [
        {"prompt": f"the {noun} {verb} {mood}", "completion": answers(mood)} for noun in nouns for verb in verbs for mood in ("good", "bad")
    ]
    file = folder / "pairs.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


def _lines(run: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]


def test_a_classifier_is_measured_by_its_labels_and_by_its_probabilities(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out"))
    report, lines = run.report, _lines(run)
    assert list(report["metrics"]) == ["accuracy", "brier", "ece", "macro_f1", "mcc"]
    brier = [
        sum(
            (p - (name == line["reference"])) ** 2 for name, p in zip(line["tuned"]["classes"], line["tuned"]["probabilities"], strict=True)
        )
        for line in lines
    ]
    assert report["metrics"]["brier"]["tuned"]["value"] == pytest.approx(sum(brier) / len(brier))
    assert report["baselines"]["majority"]["brier"]["value"] == pytest.approx(0.5, abs=0.1)  # of two classes, as frequent
    assert report["baselines"]["majority"]["ece"]["value"] < 0.3
    for side in ("base", "tuned"):
        bins = report["reliability"][side]
        assert sum(one["rows"] for one in bins) == len(lines)
        assert all(one["low"] < one["sure"] <= one["high"] and one["right"]["low"] <= one["right"]["value"] for one in bins)


def test_every_difference_says_what_can_be_seen_and_has_a_corrected_p(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    domains = {"near": {"source": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}, "limit": 20}}
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", evaluate={"domains": domains}))
    accuracy, *others = run.report["metrics"].values()
    assert accuracy["difference"]["p_holm"] == accuracy["difference"]["p"]
    assert 0 < accuracy["difference"]["detectable"] <= 1
    assert all(entry["difference"]["p_holm"] >= entry["difference"]["p"] for entry in others)
    assert max(entry["difference"]["p_holm"] for entry in others) > max(entry["difference"]["p"] for entry in others) or len(others) < 2
    assert all("p_holm" in entry["difference"] for entry in run.report["domains"]["near"]["metrics"].values())
    gap = run.report["curves"]["gap"]
    assert gap["value"] == pytest.approx(gap["validation"] - gap["train"])
    assert gap["text"] in run.directory.report_html.read_text()
    validation = run.report["curves"]["validation"][-1]
    assert "loss_low" not in validation or validation["loss_low"] < validation["loss"] < validation["loss_high"]


def test_metrics_on_request_are_measured_where_a_recipe_names_them_and_can_choose_the_weights(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    train = {"max_steps": 2, "learning_rate": 1e-3, "select_by": "balanced_accuracy"}
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", evaluate={"metrics": ["balanced_accuracy"]}, train=train)
    report = tune(recipe).report
    assert list(report["metrics"]) == ["balanced_accuracy"]
    assert report["curves"]["best"]["metric"] == "balanced_accuracy"


def test_f1_is_of_the_last_of_two_classes_unless_another_is_named(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    train = {"max_steps": 3, "select_by": "f1"}
    for named, positive in (({}, "positive"), ({"positive": "negative"}, "negative")):
        evaluate = {"metrics": [{"name": "f1", **named}]}
        report = tune(classifier(encoder_folder, reviews_csv, tmp_path / positive, evaluate=evaluate, train=train)).report
        matrix, at = np.array(report["confusion"]["tuned"]), report["confusion"]["labels"].index(positive)
        f1 = 2 * matrix[at, at] / (matrix[at].sum() + matrix[:, at].sum())
        assert report["metrics"]["f1"]["tuned"]["value"] == pytest.approx(f1)


def test_answers_are_measured_by_the_nearest_of_several_references(decoder_folder: Path, tmp_path: Path) -> None:
    data = _pairs(tmp_path, lambda mood: ["yes yes", "no no"])
    run = tune(writer(decoder_folder, data, tmp_path / "out"))
    lines = [line for line in _lines(run) if "text" in line["tuned"]]
    assert all(line["references"] == ["yes yes", "no no"] and line["reference"] == "yes yes" for line in lines)
    right = sum(line["tuned"]["text"] in line["references"] for line in lines)
    assert run.report["metrics"]["exact_match"]["tuned"]["value"] == pytest.approx(right / len(lines))
    assert set(run.report["metrics"]["bleu"]["tuned"]["details"]) == {*(f"precision_{order}" for order in (1, 2, 3, 4)), "brevity_penalty"}


def test_a_metric_takes_its_options_from_the_recipe(decoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mood.json").write_text('{"type": "string"}', encoding="utf-8")
    data = _pairs(tmp_path, lambda mood: "yes" if mood == "good" else "no")
    metrics = ["exact_match", {"name": "json_schema", "schema": "mood.json"}, "json_valid"]
    recipe = writer(decoder_folder, data, tmp_path / "out", evaluate={"metrics": metrics, "max_new_tokens": 3}, train={"max_steps": 1})
    assert parse(dump(recipe), name="tiny") == recipe
    run = tune(recipe)
    assert list(run.report["metrics"]) == ["exact_match", "json_schema", "json_valid"]
    assert run.report["metrics"]["json_schema"]["tuned"]["value"] == 0.0  # a bare word is no JSON
    assert f"schema: {tmp_path / 'mood.json'}" in run.directory.recipe.read_text()
    other = tune(recipe.model_copy(update={"seed": 1, "output_dir": str(tmp_path / "other")}))
    assert "json_schema" in {entry["metric"] for entry in compare_runs([run.directory, other.directory])["comparisons"]}


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (
            ["bleu"],
            "evaluate.metrics: bleu does not fit the objective classify. Fitting: accuracy, balanced_accuracy, brier, choice_accuracy, ece, f1, "
            "macro_f1, mcc, question_exact_match.",
        ),
        ([{"name": "f1", "positive": "good"}], "evaluate.metrics: f1.positive: 'good' is no class of the data. Known: negative, positive."),
        (["accuracy", "accuracy"], "evaluate.metrics: a metric stands in it twice"),
    ],
)
def test_metrics_that_the_task_cannot_have_are_one_line_before_anything_is_written(
    metrics: list[Any], said: str, encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as error:
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", evaluate={"metrics": metrics}))
    assert said in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_schema_that_is_not_there_is_one_line_before_anything_is_written(decoder_folder: Path, tmp_path: Path) -> None:
    data = _pairs(tmp_path, lambda mood: "yes")
    with pytest.raises(RecipeError, match="json_schema: schema: gone.json: cannot be read"):
        tune(writer(decoder_folder, data, tmp_path / "out", evaluate={"metrics": [{"name": "json_schema", "schema": "gone.json"}]}))
    with pytest.raises(RecipeError, match="schema: missing. The file that holds the JSON Schema"):
        writer(decoder_folder, data, tmp_path / "out", evaluate={"metrics": ["json_schema"]})


def test_a_test_set_of_three_rows_is_warned_of(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1, "learning_rate": 1e-3})
    report = tune(parse(dump(recipe), name="tiny", overrides=["data.limit.test=3"])).report
    assert any("The test split has 3 rows" in warning for warning in report["warnings"])
    assert report["metrics"]["accuracy"]["difference"]["detectable"] is None
