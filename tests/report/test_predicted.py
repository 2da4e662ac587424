"""Predicted against measured: the error of each number, on the page of a run and of a comparison."""

import pytest

from tests.report.example_reports import classification
from tunesmith.report.page import page
from tunesmith.report.predicted import arm_predictions, error_text, predictions

COST = {"peak_memory_bytes": 1_000_000_000, "train_seconds": 80.0, "total_seconds": 100.0}


def test_the_error_is_a_share_of_what_was_measured() -> None:
    found = predictions({"peak_memory_bytes": 900_000_000, "train_seconds": 100.0, "total_seconds": 125.0}, COST)
    assert [(one.name, one.error) for one in found] == [("peak memory", pytest.approx(-0.1)), ("training", 0.25), ("in all", 0.25)]
    assert [cell.replace("\u202f", " ") for cell in found[0].cells] == ["900 MB", "1.00 GB", "\u221210 %"]
    assert found[1].text.replace("\u202f", " ") == "training 1 min 20 s, predicted 1 min 40 s (+25 %)"


def test_what_was_not_predicted_or_not_measured_has_no_error() -> None:
    assert predictions({"total_seconds": None, "train_seconds": 0.0}, COST) == []
    assert predictions({"train_seconds": 3.0}, {"train_seconds": 0.0}) == []
    assert error_text(None) == "–"


def test_the_page_of_a_run_shows_each_with_its_error() -> None:
    report = classification()
    report["predicted"] = {"peak_memory_bytes": 870_000_000, "train_seconds": 71.0, "total_seconds": 110.0}
    report["cost"] |= {"total_seconds": 100.0}
    said = page(report)
    assert (
        '<th scope="row">In all</th><td class="n">1\u202fmin 50\u202fs</td><td class="n">1\u202fmin 40\u202fs</td><td class="n">+10\u202f%</td>'
        in said
    )
    assert '<th scope="row">Peak memory</th>' in said


def test_arms_that_nothing_was_predicted_of_are_left_out() -> None:
    arm = {"memory_bytes": 10**9, "train_seconds": 80.0, "total_seconds": 100.0}
    document = {
        "arms": {
            "base": {"memory_bytes": 5.0, "train_seconds": 0.0},
            "old": {**arm, "predicted": {}},
            "lora": {**arm, "predicted": {"total_seconds": 90.0}},
        }
    }
    assert {name: [one.name for one in found] for name, found in arm_predictions(document).items()} == {"lora": ["in all"]}
