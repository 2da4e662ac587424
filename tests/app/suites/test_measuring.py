"""What rows of suites contributed becomes values with intervals, and rows about one passage count as what they are: not independent."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from lm_eval.api.metrics import aggregate_subtask_metrics, f1_score, mean

from tunesmith.app.suites.asking import Answered
from tunesmith.app.suites.choosing import Chosen, LmEvalGroup, choose
from tunesmith.app.suites.measuring import averages, differences, metrics
from tunesmith.app.suites.tasks import LoadedSuite
from tunesmith.core.power import detectable_proportion
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


def test_a_difference_says_how_small_a_one_could_have_been_seen() -> None:
    draw = np.random.default_rng(0)
    base, tuned = ({task: answered([float(right) for right in draw.random(200) < share], None) for task in "ab"} for share in (0.5, 0.6))
    of_a_task = differences(base["a"], tuned["a"])["acc"]["detectable"]
    num_differing = sum(was != now for was, now in zip(base["a"].items["acc"], tuned["a"].items["acc"], strict=True))
    assert of_a_task == detectable_proportion(num_differing, 200)
    loaded = LoadedSuite(Chosen("made", LmEvalGroup(metric="acc", weight_by_size=True), ()), {}, {"a": 200, "b": 200}, [])
    of_both = averages(loaded, tuned, base)["detectable"]
    assert of_both == pytest.approx(of_a_task / 2**0.5, rel=0.1)  # twice the rows
    assert "detectable" not in averages(loaded, tuned)


@pytest.mark.filterwarnings("error")
def test_draws_without_a_class_say_nothing() -> None:
    one = replace(answered([], None), items={"f1": [(1, 1), (0, 0), (0, 0)]}, aggregations={"f1": f1_score})
    assert metrics(one)["f1"]["value"] == 1


@pytest.mark.parametrize(("name", "by_size"), [("blimp", False), ("mmlu_continuation", True)])
def test_a_group_of_lm_evals_is_averaged_as_lm_eval_does(name: str, by_size: bool) -> None:
    chosen = choose([name])[0]
    assert chosen.suite == LmEvalGroup(metric="acc", weight_by_size=by_size)
    tasks = {"few": [1.0, 0.0], "many": [1.0] * 9 + [0.0], "other": [0.0] * 5}
    found = {task: answered(right, None) for task, right in tasks.items()}
    found["other"] = replace(found["other"], items={"em": [0.0] * 5}, aggregations={"em": mean})  # without the group's metric
    average = averages(LoadedSuite(chosen, {}, {task: len(right) for task, right in tasks.items()}, []), found)
    assert average["value"] == pytest.approx(aggregate_subtask_metrics([0.5, 0.9], [2, 10], by_size))
    assert (average["metric"], average["tasks"]) == ("acc", 2)


@pytest.mark.parametrize("metric", ["exact_match", "exact_match,get-answer"])
def test_a_metric_over_a_part_of_answers_is_averaged_whether_the_group_names_the_part_or_not(metric: str) -> None:
    one = replace(answered([1.0, 0.0], None), items={"exact_match,get-answer": [1.0, 0.0]}, aggregations={"exact_match,get-answer": mean})
    chosen = Chosen("made", LmEvalGroup(metric=metric, weight_by_size=True), ())
    average = averages(LoadedSuite(chosen, {}, {"a": 2, "b": 2}, []), {"a": one, "b": one})
    assert (average["metric"], average["value"]) == ("exact_match,get-answer", 0.5)


def test_a_tag_of_lm_evals_has_no_average() -> None:
    chosen = choose(["arithmetic"])[0]
    found = {task: answered([1.0, 0.0], None) for task in "ab"}
    assert averages(LoadedSuite(chosen, {}, {"a": 2, "b": 2}, []), found) == {}
