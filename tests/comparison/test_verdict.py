"""The arms that may be the best: worked by hand, and by simulation, where the truth is known."""

import math

import numpy as np
import pytest

from tunesmith.comparison.preference import Cost, chosen, front
from tunesmith.comparison.verdict import Beaten, contest
from tunesmith.core.statistics import holm, mcnemar_exact


def test_an_arm_is_out_where_another_is_certainly_better_after_correction() -> None:
    gains = {("a", "b"): (0.1, 0.001), ("a", "c"): (0.02, 0.4), ("b", "c"): (-0.08, 0.03)}
    found = contest("abc", gains)
    assert found.best == ("a", "c")
    assert found.beaten == {"b": Beaten("a", holm([0.001, 0.03])[0])}
    assert contest("abc", {**gains, ("a", "b"): (0.1, 0.026)}).beaten == {}  # 0.026 and 0.03 of two tests: neither is below 0.05
    assert contest("abc", {**gains, ("a", "b"): (0.1, 0.024)}).beaten["b"].p_holm == pytest.approx(0.048)


def test_a_pair_counts_in_either_order_and_what_is_not_tested_says_nothing() -> None:
    assert contest("ab", {("b", "a"): (-0.2, 0.001)}).best == ("a",)
    assert contest("ab", {("a", "b"): (0.2, math.nan)}).best == ("a", "b")
    assert contest("abc", {("a", "b"): (0.2, 0.04)}).best == ("a", "c")  # one test: nothing to correct for
    assert contest("a", {}).best == ("a",)
    assert contest("ab", {("a", "b"): (0.0, 0.0)}).best == ("a", "b")


def test_of_several_that_beat_an_arm_the_clearest_is_named() -> None:
    gains = {("a", "c"): (0.1, 0.01), ("b", "c"): (0.3, 0.001), ("a", "b"): (-0.2, 0.2)}
    assert contest("abc", gains).beaten["c"].by == "b"
    assert contest("abc", {**gains, ("a", "c"): (0.1, 0.001)}).beaten["c"].by == "b"  # as clear, and larger


def _simulated(rates: list[float], seed: int, rows: int = 200) -> tuple[str, ...]:
    """Arms that are right at these rates, on rows that are as hard for each of them."""
    draw = np.random.default_rng(seed)
    hard = draw.random(rows)
    right = {str(arm): (0.5 * hard + 0.5 * draw.random(rows) < rate).astype(float) for arm, rate in enumerate(rates)}
    gains = {}
    for one in right:
        for other in right:
            if one < other:
                only_one = int((right[one] > right[other]).sum())
                only_other = int((right[other] > right[one]).sum())
                gains[one, other] = (only_one - only_other, mcnemar_exact(only_other, only_one))
    return contest(list(right), gains).best


def test_the_best_arm_stays_in_at_95_percent_and_a_clear_loser_goes() -> None:
    equal = [_simulated([0.6] * 6, seed) for seed in range(150)]
    assert sum("0" in best for best in equal) >= 140  # 142.5 expected at the least; 140 or fewer in 1 of 8 studies that are just at 95 %
    apart = [_simulated([0.75, 0.73, 0.45], seed) for seed in range(60)]
    assert sum("0" in best for best in apart) >= 55
    assert sum("2" in best for best in apart) <= 3


def test_privacy_takes_what_is_asked_on_this_machine() -> None:
    costs = {"api": Cost(0.9, is_asked_here=False), "base": Cost(0.9), "lora": Cost(0.9, 60.0)}
    assert chosen(list(costs), costs, "cost") == "api"
    assert chosen(list(costs), costs, "privacy") == "base"
    assert chosen(["api", "lora"], costs, "privacy") == "lora"


def test_the_choice_is_the_cheapest_by_the_preference() -> None:
    costs = {
        "few_shot": Cost(0.80, seconds_per_answer=0.9, memory_bytes=10, is_renewed_without_training=True),
        "lora": Cost(0.82, 60.0, 0.2, 30.0, 5.0),
        "full": Cost(0.83, 200.0, 0.1, 90.0, 500.0),
    }
    arms = list(costs)
    assert {prefer: chosen(arms, costs, prefer) for prefer in ("cost", "accuracy", "latency", "memory", "freshness")} == {
        "cost": "few_shot", "accuracy": "full", "latency": "full", "memory": "few_shot", "freshness": "few_shot",
    }  # fmt: skip
    assert chosen(["lora", "full"], costs, "freshness") == "lora"
    assert chosen(["full", "lora"], {"full": Cost(1.0), "lora": Cost(1.0)}, "cost") == "full"
    assert chosen(["a", "b"], {"a": Cost(1.0), "b": Cost(1.0, seconds_per_answer=9.0)}, "latency") == "b"  # known beats unknown


def test_the_front_holds_what_no_other_arm_beats_in_both() -> None:
    costs = {"a": Cost(0.7, 1.0), "b": Cost(0.8, 2.0), "c": Cost(0.75, 3.0), "d": Cost(0.8, 2.0), "e": Cost(0.9, math.nan)}
    assert front(list(costs), costs, "train_seconds") == ["a", "b", "d"]
    assert front(["e"], costs, "train_seconds") == []
