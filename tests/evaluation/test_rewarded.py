"""What rewards say of two models: how often one wins, and the signs of a reward that was raised in a way that nobody meant."""

import math
from typing import Any

import numpy as np
import pytest

from tunesmith.core import registry
from tunesmith.core.types import Message, Origin, Output, Prompt
from tunesmith.evaluation.rewarded import signs_of_hacking, win_rate
from tunesmith.evaluation.score import compare

ASKED = Prompt((Message("user", "x"),), Origin("x", 1))


def test_the_win_rate_counts_equal_rewards_half() -> None:
    found = win_rate([0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 4.0], seed=0)  # won, equal, lost, won
    assert found["value"] == 2.5 / 4
    assert found["rows"] == 4
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1


def test_where_every_prompt_is_won_there_is_no_interval() -> None:
    found = win_rate([0.0] * 30, [1.0] * 30, seed=0)
    assert found["value"] == 1.0
    assert math.isnan(found["low"])


@pytest.mark.parametrize(("base", "tuned"), [([], []), ([1.0], [1.0, 2.0])])
def test_rewards_that_do_not_stand_side_by_side_are_refused(base: list[float], tuned: list[float]) -> None:
    with pytest.raises(ValueError, match="expected as many of both, and some"):
        win_rate(base, tuned, seed=0)


def entry(base: float, tuned: float, width: float = 0.05) -> dict[str, Any]:
    gain = tuned - base
    return {"base": {"value": base}, "tuned": {"value": tuned}, "difference": {"value": gain, "low": gain - width, "high": gain + width}}


RAISED = {"reward": entry(0.2, 0.9)}


def test_a_held_out_judge_that_falls_is_a_sign_and_one_that_does_not_rise_another() -> None:
    (found,) = signs_of_hacking({**RAISED, "held_out_reward": entry(0.5, 0.3)})
    assert found == "The reward rose by 0.7, and that of the held-out judges fell by 0.2: the model found a way around its reward."
    (found,) = signs_of_hacking({**RAISED, "held_out_reward": entry(0.5, 0.52)})
    assert found == "The reward rose by 0.7, and the held-out judges see no clear gain (+0.02): it may be of the reward alone."
    assert signs_of_hacking({**RAISED, "held_out_reward": entry(0.5, 0.8)}) == []


def test_longer_answers_and_repetition_are_signs() -> None:
    assert signs_of_hacking({**RAISED, "answer_tokens": entry(10, 15), "distinct_2": entry(1.0, 0.8)}) == []
    longer, repeated = signs_of_hacking({**RAISED, "answer_tokens": entry(10, 15.5), "distinct_2": entry(1.0, 0.79)})
    assert longer.startswith("Answers are 16 tokens long, the base's 10: length may be what is rewarded.")
    assert repeated.startswith("Answers repeat themselves: distinct-2 is 0.79, the base's 1.00.")


def test_where_no_reward_was_raised_there_is_nothing_to_suspect() -> None:
    bad = {"held_out_reward": entry(0.5, 0.1), "answer_tokens": entry(10, 50), "distinct_2": entry(1.0, 0.1)}
    for reward in (entry(0.5, 0.52), entry(0.5, 0.1), {"base": None, "tuned": {"value": 1.0}, "difference": None}):
        assert signs_of_hacking({"reward": reward, **bad}) == []
    assert signs_of_hacking(bad) == []


@pytest.mark.parametrize(("name", "outputs", "value", "higher"), [
    ("reward", [Output(rewarded=1.0), Output(rewarded=-2.0)], -0.5, True),
    ("held_out_reward", [Output(held_out_reward=1.0), Output(held_out_reward=0.5)], 0.75, True),
    ("kl", [Output(kl_nats=0.3), Output(kl_nats=-0.1)], 0.1, None),
    ("answer_tokens", [Output(num_written=3), Output(num_written=6)], 4.5, None),
])  # fmt: skip
def test_what_is_measured_is_a_mean_over_answers(name: str, outputs: list[Output], value: float, higher: bool | None) -> None:
    metric = registry.create("metric", name)
    stats = np.array([metric.stats(ASKED, output, "") for output in outputs])
    assert metric.value(stats) == pytest.approx(value)
    assert metric.higher_is_better is higher


def test_rows_whose_answers_were_not_rewarded_are_neither_measured_nor_counted() -> None:
    said = [Output(text="drawn", rewarded=1.0), Output(text="chosen among two")]
    found = compare(registry.create("metric", "reward"), said, said, [ASKED, ASKED], ["", ""], seed=0)
    assert (found["rows"], found["excluded"], found["tuned"]["value"]) == (1, 0, 1.0)
