"""Finished runs side by side: paired differences, what cannot be paired, rows, recipes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_recipes import classifier, stop_at, writer

from tunesmith.app.compare_runs import _correct, compare_runs
from tunesmith.app.run import Run
from tunesmith.app.tune import tune
from tunesmith.core.errors import Interrupted, RunError, UsageError
from tunesmith.core.run import RunDirectory
from tunesmith.core.statistics import mcnemar_exact


@pytest.fixture(scope="module")
def runs(cache: None, encoder_folder: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """One that learned, and one that was stopped after a step."""
    folder = tmp_path_factory.mktemp("runs")
    good = tune(classifier(encoder_folder, reviews, folder / "good"))
    return good, tune(classifier(encoder_folder, reviews, folder / "poor", method="head", train={"max_steps": 1}))


def test_differences_are_paired_and_corrected_and_regressions_come_first(runs: tuple[Run, Run]) -> None:
    document = compare_runs([run.directory for run in runs])
    first = document["comparisons"][0]
    assert first["differences"][0]["verdict"] == "worse"
    by_name = {entry["metric"]: entry for entry in document["comparisons"]}
    assert set(by_name) == set(runs[0].report["metrics"])
    accuracy = by_name["accuracy"]
    assert accuracy["values"] == [run.report["metrics"]["accuracy"]["tuned"] for run in runs]
    right = [[line["tuned"]["label"] == line["reference"] for line in _lines(run)] for run in runs]
    only = [sum(a and not b for a, b in zip(*pair, strict=True)) for pair in (right, right[::-1])]
    difference = accuracy["differences"][0]
    assert difference["value"] == pytest.approx((only[1] - only[0]) / len(right[0]))
    assert difference["p"] == pytest.approx(mcnemar_exact(*only))
    assert document["num_tests"] == len(by_name)
    assert all(entry["differences"][0]["p_holm"] >= entry["differences"][0]["p"] for entry in by_name.values())
    assert document["remarks"] == []


def test_a_regression_on_one_domain_is_not_hidden_by_all_that_is_tested_beside_it() -> None:
    def entry(place: tuple[str, str], metric: str) -> dict[str, Any]:
        differences = [{"value": -0.1, "low": -0.15, "high": -0.05, "p": 0.6} for _ in range(3)]
        return {"kind": place[0], "data": place[1], "metric": metric, "higher_is_better": True, "differences": differences}

    data = [("test", "test"), *(("domain", name) for name in ("news", "tweets", "mail"))]
    comparisons = [
        entry(place, metric) for place in data for metric in ("accuracy", "macro_f1", "mcc", "brier", "ece", "balanced_accuracy")
    ]
    fell = next(one for one in comparisons if (one["data"], one["metric"]) == ("news", "accuracy"))["differences"][1]
    fell["p"] = 0.004
    assert _correct(comparisons) == 72
    assert (fell["p_holm"], fell["verdict"]) == (pytest.approx(9 * 0.004), "worse")  # of three domains and three runs
    own = comparisons[0]["differences"]
    own[0]["p"] = 0.01
    _correct(comparisons)
    assert own[0]["p_holm"] == pytest.approx(0.03)  # of three runs


def _lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.directory.predictions.read_text(encoding="utf-8").splitlines()]


def test_the_other_way_round_it_is_a_gain(runs: tuple[Run, Run]) -> None:
    there, back = compare_runs([run.directory for run in runs]), compare_runs([run.directory for run in reversed(runs)])
    gain = next(entry for entry in back["comparisons"] if entry["metric"] == "accuracy")["differences"][0]
    loss = next(entry for entry in there["comparisons"] if entry["metric"] == "accuracy")["differences"][0]
    assert (gain["value"], gain["low"], gain["high"]) == pytest.approx((-loss["value"], -loss["high"], -loss["low"]))
    assert gain["verdict"] == "better"


def test_rows_that_were_answered_otherwise_are_listed_the_worse_ones_first(runs: tuple[Run, Run]) -> None:
    document = compare_runs([run.directory for run in runs], num_rows=3)
    said = [{line["row"]: line["tuned"]["label"] for line in _lines(run)} for run in runs]
    differing = [row for row in said[0] if said[0][row] != said[1][row]]
    assert document["num_differing"] == len(differing) > 3
    assert len(document["rows"]) == 3
    assert document["ranked_by"] == "accuracy"
    for row in document["rows"]:
        assert row["row"] in differing
        assert row["said"] == [one[row["row"]] for one in said]
        assert row["scores"] == [1.0, 0.0]  # right before, wrong now
        assert row["text"].split()[-1] == ("good" if row["reference"] == "positive" else "bad")
    assert compare_runs([run.directory for run in runs])["rows"] == []


def test_recipes_and_costs_stand_beside_each_other(runs: tuple[Run, Run]) -> None:
    document = compare_runs([run.directory for run in runs])
    assert document["recipe"]["method.name"] == ["lora", "head"]
    assert document["recipe"]["method.r"] == [4, None]
    assert document["recipe"]["train.max_steps"] == [None, 1]
    assert not any(key.startswith(("data", "output_dir", "name")) for key in document["recipe"])
    assert document["cost"]["trainable_parameters"] == [run.report["cost"]["trainable_parameters"] for run in runs]


def test_other_test_rows_are_not_paired_and_that_is_said(
    runs: tuple[Run, Run], encoder_folder: Path, reviews: Path, tmp_path: Path
) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", train={"max_steps": 1})
    limit = recipe.data.limit.model_copy(update={"test": 10})
    fewer = tune(recipe.model_copy(update={"data": recipe.data.model_copy(update={"limit": limit})}))
    document = compare_runs([runs[0].directory, fewer.directory], num_rows=5)
    assert all(entry["differences"] == [None] for entry in document["comparisons"])
    assert "was judged on other rows than" in document["remarks"][0]
    assert "(10 of 19 and 10 are the same)" in document["remarks"][0]
    assert (document["num_tests"], document["rows"]) == (0, [])


def test_other_references_under_the_same_names_are_other_rows(runs: tuple[Run, Run], tmp_path: Path) -> None:
    copy = RunDirectory(Path(shutil.copytree(runs[0].path, tmp_path / "copy")))
    lines = _lines(runs[0])
    lines[0]["reference"] = "positive" if lines[0]["reference"] == "negative" else "negative"
    copy.predictions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert "18 of 19 and 19 are the same" in compare_runs([runs[0].directory, copy])["remarks"][0]


def test_a_domain_that_one_run_lacks_is_left_out_and_said_so(
    runs: tuple[Run, Run], encoder_folder: Path, reviews: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(json.dumps({"text": f"{noun} good", "label": "positive"}) for noun in "cat dog".split()), encoding="utf-8")
    recipe = classifier(encoder_folder, reviews, tmp_path / "out", train={"max_steps": 1}, evaluate={"domains": {"other": str(other)}})
    document = compare_runs([tune(recipe).directory, runs[0].directory])
    assert document["remarks"] == [f"other: not measured in {runs[0].path}, and left out."]
    assert {entry["data"] for entry in document["comparisons"]} == {"test"}


def test_a_run_equals_its_copy(runs: tuple[Run, Run], tmp_path: Path) -> None:
    copy = RunDirectory(Path(shutil.copytree(runs[0].path, tmp_path / "copy")))
    document = compare_runs([runs[0].directory, copy, runs[1].directory])
    assert all(entry["differences"][0]["verdict"] == "unclear" for entry in document["comparisons"])
    assert document["comparisons"][0]["differences"][1]["verdict"] == "worse"
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_language_models_are_compared_by_their_texts(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    made = [tune(writer(decoder_folder, pairs_csv, tmp_path / name, train=train)) for name, train in (("one", {"max_steps": 1}), ("two", {"epochs": 6, "learning_rate": 1e-2}))]  # fmt: skip
    document = compare_runs([run.directory for run in made], num_rows=2)
    assert {entry["metric"] for entry in document["comparisons"]} == set(made[0].report["metrics"])
    assert document["ranked_by"] == "rougeL"
    assert all(isinstance(said, str) for row in document["rows"] for said in row["said"])


def test_perplexities_of_other_tokens_are_not_compared_and_bits_per_byte_are(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    evaluate = {"metrics": ["perplexity", "bits_per_byte"], "generate_limit": 0}
    made = tune(writer(decoder_folder, pairs_csv, tmp_path / "one", train={"max_steps": 1}, evaluate=evaluate))
    again = tune(writer(decoder_folder, pairs_csv, tmp_path / "again", train={"max_steps": 2}, evaluate=evaluate))
    other = RunDirectory(Path(shutil.copytree(again.path, tmp_path / "other")))
    lines = [json.loads(line) for line in again.directory.predictions.read_text().splitlines()]
    for line in lines:
        line["scores"]["tuned"]["perplexity"][1] += 1  # as if a tokenizer had cut the answer once more
    other.predictions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    for run, remarks in ((again.directory, 0), (other, 1)):
        document = compare_runs([made.directory, run])
        paired = {entry["metric"]: entry["differences"][0] is not None for entry in document["comparisons"]}
        assert paired == {"perplexity": not remarks, "bits_per_byte": True}
        assert ["perplexity is per token: not compared" in text for text in document["remarks"]] == [True] * remarks


def test_what_cannot_be_compared_is_one_line(
    runs: tuple[Run, Run], encoder_folder: Path, decoder_folder: Path, reviews: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="needs two runs or more"):
        compare_runs([runs[0].directory])
    with pytest.raises(UsageError, match="is named twice"):
        compare_runs([runs[0].directory, runs[0].directory])
    with pytest.raises(Interrupted):
        tune(classifier(encoder_folder, reviews, tmp_path / "cut"), progress=stop_at(2))
    with pytest.raises(RunError, match=r"cut did not get that far \(`tunesmith runs resume"):
        compare_runs([runs[0].directory, RunDirectory(tmp_path / "cut")])
    text = tune(writer(decoder_folder, pairs_csv, tmp_path / "text", train={"max_steps": 1}))
    with pytest.raises(RunError, match=r"no metric in common \(.*good: classification, .*text: generation\). Compare runs of one task"):
        compare_runs([runs[0].directory, text.directory])
