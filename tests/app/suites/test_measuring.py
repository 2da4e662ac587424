"""What rows of suites contributed becomes values with intervals, and rows about one passage count as what they are: not independent."""

from collections.abc import Hashable, Sequence

import numpy as np
import pytest
from lm_eval.api.metrics import mean

from tunesmith.app.suites.asking import Answered
from tunesmith.app.suites.measuring import differences, metrics
from tunesmith.core.statistics import wilson


def answered(right: Sequence[float], groups: Sequence[Hashable] | None) -> Answered:
    return Answered(range(len(right)), groups, [], {"acc": right}, {"acc": mean}, {"acc": True})


PASSAGES = [row // 8 for row in range(96)]


def test_rows_of_passages_have_a_wider_interval_than_rows_that_stand_alone() -> None:
    right = [float(draw) for draw in np.random.default_rng(0).random(12) < 0.5 for _ in range(8)]  # a passage is right or wrong as a whole
    alone, together = (metrics(answered(right, groups))["acc"] for groups in (None, PASSAGES))
    assert (alone["low"], alone["high"]) == pytest.approx((wilson(int(sum(right)), 96).low, wilson(int(sum(right)), 96).high))
    assert together["value"] == alone["value"]
    assert together["high"] - together["low"] > 2 * (alone["high"] - alone["low"])


def test_a_difference_on_four_passages_is_no_difference_on_thirty_two_rows() -> None:
    base, tuned = [0.0] * 96, [float(passage < 4) for passage in PASSAGES]
    alone, together = (differences(answered(base, groups), answered(tuned, groups))["acc"] for groups in (None, PASSAGES))
    assert (alone["test"], together["test"]) == ("mcnemar", "paired bootstrap")
    assert alone["p"] < 1e-6
    assert together["p"] > 1e-3
