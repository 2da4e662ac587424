"""Metrics of grades, against scipy and scikit-learn one attribute at a time, and what is missing."""

import math

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import mean_absolute_error

from tunesmith.core import registry
from tunesmith.core.types import Example, Graded, Message, Origin, Output
from tunesmith.evaluation.score import compare

NAMES = ("relevance", "coherence")


def rows(true: list[tuple[float | None, float | None]]) -> list[Example]:
    return [
        Graded((Message("user", "a"),), (Message("assistant", "b"),), tuple(zip(NAMES, one, strict=True)), Origin("x", number))
        for number, one in enumerate(true)
    ]


def said(grades: list[tuple[float, float]]) -> list[Output]:
    return [Output(grades=dict(zip(NAMES, one, strict=True))) for one in grades]


def measured(name: str, examples: list[Example], outputs: list[Output], attributes: tuple[str, ...] = NAMES) -> dict[str, object]:
    metric = registry.create("metric", name, attributes=attributes)
    found: dict[str, object] = compare(metric, None, outputs, examples, [""] * len(examples), seed=0)["tuned"]
    return found


def test_each_attribute_is_the_peers_over_the_rows_that_have_it_and_the_value_their_mean() -> None:
    draw = np.random.default_rng(0)
    true_nk = draw.integers(0, 5, (60, 2)).astype(float)
    said_nk = true_nk + draw.normal(0, 1.5, (60, 2))
    there_nk = draw.random((60, 2)) < 0.8
    there_nk[:, 0] |= ~there_nk[:, 1]  # a grade in every row
    grades = [tuple(float(g) if has else None for g, has in zip(*one, strict=True)) for one in zip(true_nk, there_nk, strict=True)]
    examples, outputs = rows(grades), said([(float(a), float(b)) for a, b in said_nk])  # type: ignore[arg-type]
    columns = [(true_nk[there_nk[:, k], k], said_nk[there_nk[:, k], k]) for k in (0, 1)]
    for name, peer in (("grade_spearman", lambda a, b: scipy.stats.spearmanr(a, b).statistic), ("grade_mae", mean_absolute_error)):
        expected = [float(peer(*column)) for column in columns]
        found = measured(name, examples, outputs)
        assert found["details"] == pytest.approx(dict(zip(NAMES, expected, strict=True)), rel=1e-12)
        assert found["value"] == pytest.approx(sum(expected) / 2, rel=1e-12)
        alone = measured(
            name,
            [e for e, has in zip(examples, there_nk[:, 1], strict=True) if has],
            [o for o, has in zip(outputs, there_nk[:, 1], strict=True) if has],
            ("coherence",),
        )
        assert alone["value"] == pytest.approx(expected[1], rel=1e-12)


def test_an_attribute_whose_true_grades_are_equal_says_nothing_of_the_order() -> None:
    examples, outputs = rows([(1, 3), (2, 3), (3, 3)]), said([(1, 9), (2, 1), (5, 4)])
    assert measured("grade_spearman", examples, outputs)["value"] == pytest.approx(1.0)
    assert measured("grade_spearman", examples, outputs)["details"] == pytest.approx({"relevance": 1.0})
    assert math.isnan(measured("grade_spearman", rows([(3, None)] * 3), outputs)["value"])  # type: ignore[arg-type]


def test_saying_the_same_of_every_answer_is_no_order() -> None:
    examples = rows([(1, 3), (2, 2), (3, 1)])
    assert measured("grade_spearman", examples, said([(2, 3), (2, 2), (2, 1)]))["value"] == pytest.approx(0.5)
    assert measured("grade_mae", examples, said([(2, 2)] * 3))["value"] == pytest.approx(2 / 3)


def test_a_row_without_a_grade_of_the_attributes_that_count_is_left_out_and_counted() -> None:
    metric = registry.create("metric", "grade_mae", attributes=("coherence",))
    entry = compare(metric, None, said([(1, 1), (2, 2)]), rows([(1, None), (2, 4)]), ["", ""], seed=0)
    assert (entry["rows"], entry["excluded"], entry["tuned"]["value"]) == (1, 1, 2.0)
