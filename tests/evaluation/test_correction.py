"""Which p-values of a report are corrected together."""

from typing import Any

import pytest

from tunesmith.evaluation.correction import add_corrected


def metrics(**p_values: float | None) -> dict[str, Any]:
    return {name: {"difference": None if p is None else {"p": p}} for name, p in p_values.items()}


def corrected(measured: dict[str, Any]) -> dict[str, float]:
    return {name: entry["difference"]["p_holm"] for name, entry in measured.items() if entry["difference"]}


def test_the_first_metric_stands_alone_and_the_others_of_a_data_set_are_corrected_together() -> None:
    own = metrics(accuracy=0.04, macro_f1=0.01, mcc=0.03)
    add_corrected(own, [])
    assert corrected(own) == pytest.approx({"accuracy": 0.04, "macro_f1": 0.02, "mcc": 0.03})


def test_the_first_metrics_of_other_data_sets_are_a_family() -> None:
    own, tweets, news = metrics(accuracy=0.04), metrics(accuracy=0.03, mcc=0.5), metrics(accuracy=0.02, mcc=0.01)
    add_corrected(own, [tweets, news])
    assert corrected(own) == pytest.approx({"accuracy": 0.04})
    assert corrected(tweets) == pytest.approx({"accuracy": 0.04, "mcc": 0.5})
    assert corrected(news) == pytest.approx({"accuracy": 0.04, "mcc": 0.01})


def test_what_was_not_compared_is_no_test() -> None:
    own = metrics(accuracy=None, macro_f1=0.01, mcc=None)
    add_corrected(own, [{}, metrics(accuracy=None)])
    assert corrected(own) == pytest.approx({"macro_f1": 0.01})
