"""Rewards together: their names, their weights, and what is no number."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from rewarded_answers import response
from tiny_policies import policy

from tunesmith.app.rewarding import Rewards, ready_rewards
from tunesmith.core.errors import RewardError
from tunesmith.core.rewards import Ask, Response


@dataclass(frozen=True)
class Fixed:
    """Says what the test says."""

    found: Sequence[float]
    weight: float = 1.0

    def score(self, responses: Sequence[Response], ask: Ask) -> Sequence[float]:
        return self.found[: len(responses)]


def test_the_sum_of_all_is_weighed_and_each_is_told_before_that() -> None:
    found = Rewards({"a": Fixed([1.0, 2.0], 0.5), "b": Fixed([3.0, -1.0], -2.0)}, {})([response("x"), response("y")])
    assert found.sums == [0.5 * 1 - 2 * 3, 0.5 * 2 + 2 * 1]
    assert found.parts == {"a": [1.0, 2.0], "b": [3.0, -1.0]}


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_no_finite_number_names_reward_row_and_answer(wrong: float) -> None:
    with pytest.raises(
        RewardError, match=r"^rewards: b: gave (nan|inf) for an answer to asked\.jsonl:3, expected a finite number\. .*'said'\.$"
    ):
        Rewards({"a": Fixed([1.0]), "b": Fixed([wrong])}, {})([response("said")])


def test_rewards_of_one_kind_are_told_apart(decoder_folder: Path, tmp_path: Path) -> None:
    named = [{"name": "metric", "metric": one} for one in ("distinct_2", "exact_match", "distinct_2")]
    given = [*named, {"name": "length"}, {"name": "ended"}, {"name": "length", "longest": 5}]
    recipe = policy(decoder_folder, tmp_path, tmp_path / "out", rewards=given)
    found = ready_rewards(recipe, recipe.rewards, "rewards", {}, lambda run: None)
    assert found is not None
    assert found.names == ["distinct_2", "exact_match", "distinct_2 3", "length", "ended", "length 2"]
    assert ready_rewards(recipe, [], "rewards", {}, lambda run: None) is None
