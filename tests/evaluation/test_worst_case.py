"""The worst of several ways to ask, row by row."""

import numpy as np
import pytest

from tunesmith.core import registry
from tunesmith.core.statistics import wilson
from tunesmith.core.types import Labelled, Origin, Output
from tunesmith.evaluation.worst_case import row_values, worst_case, worst_rows

VALUES = {"as it is": np.array([1.0, 1.0, 0.0, 1.0]), "typos": np.array([1.0, 0.0, 1.0, 1.0]), "small": np.array([1.0, 1.0, 0.0, 0.0])}


def test_a_row_counts_as_its_worst_way() -> None:
    assert worst_rows(VALUES, higher_is_better=True).tolist() == [1, 0, 0, 0]
    assert worst_rows(VALUES, higher_is_better=False).tolist() == [1, 1, 1, 1]


def test_the_worst_case_is_a_mean_over_rows_with_its_interval() -> None:
    found = worst_case(registry.create("metric", "labels_jaccard"), VALUES, None, seed=0)
    assert found.value == 0.25
    assert 0 <= found.low < 0.25 < found.high <= 1


def test_right_everywhere_is_a_proportion_with_an_interval_and_no_certainty() -> None:
    found = worst_case(registry.create("metric", "accuracy"), {"as it is": np.ones(20)}, None, seed=0)
    assert found == wilson(20, 20)
    assert 0.8 < found.low < found.high == 1


def test_rows_of_one_document_are_drawn_together() -> None:
    accuracy, values = registry.create("metric", "accuracy"), {"as it is": np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], 20)}
    alone = worst_case(accuracy, values, None, seed=0)
    together = worst_case(accuracy, values, [row // 20 for row in range(120)], seed=0)
    assert alone.value == together.value
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_the_row_values_of_accuracy_are_right_and_wrong() -> None:
    examples = [Labelled("a", "yes", Origin("f", n)) for n in range(2)]
    outputs = [Output(label="yes", probabilities=(1.0,)), Output(label="no", probabilities=(1.0,))]
    assert row_values(registry.create("metric", "accuracy"), examples, outputs, ["yes", "yes"]).tolist() == [1, 0]


def test_no_values_and_rows_that_differ_in_number_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        worst_rows({}, higher_is_better=True)
    with pytest.raises(ValueError, match="same shape"):
        worst_rows({"a": np.zeros(2), "b": np.zeros(3)}, higher_is_better=True)
