"""The averages of GLUE and SuperGLUE are those that their authors print."""

import math
from statistics import fmean

import numpy as np
import pytest

from tunesmith.core import registry
from tunesmith.core.statistics import Interval
from tunesmith.evaluation.benchmarks import BENCHMARKS, mean_of_metrics, mean_of_tasks

# BERT-large on GLUE's leaderboard, whose average is 80.5; in the order of the metrics, MNLI's matched part first
BERT_LARGE = {
    "cola": [60.5], "sst2": [94.9], "mrpc": [85.4, 89.3], "stsb": [87.6, 86.5], "qqp": [89.3, 72.1], "mnli": [86.7, 85.9], "qnli": [92.7],
    "rte": [70.1], "wnli": [65.1],
}  # fmt: skip
# the most frequent class, BERT and BERT++ in table 3 of Wang et al. (2019), whose averages are 47.1, 69.0 and 71.5
SUPERGLUE = {
    "most frequent": ([62.3], [21.7, 48.4], [50.0], [61.1, 0.3], [33.4, 32.5], [50.3], [50.0], [65.1]),
    "BERT": ([77.4], [75.7, 83.6], [70.6], [70.0, 24.1], [72.0, 71.3], [71.7], [69.6], [64.4]),
    "BERT++": ([79.0], [84.8, 90.4], [73.8], [70.0, 24.1], [72.0, 71.3], [79.0], [69.6], [64.4]),
}


def average(tasks: list[list[float]]) -> float:
    return mean_of_tasks([mean_of_metrics([Interval(value, value - 1, value + 1) for value in values]) for values in tasks]).value


def test_the_average_of_glue_is_the_leaderboards() -> None:
    assert BERT_LARGE.keys() == BENCHMARKS["glue"].tasks.keys()
    for name, task in BENCHMARKS["glue"].tasks.items():
        assert len(BERT_LARGE[name]) == len(task.metrics) * (2 if task.mismatched else 1)
    assert round(average(list(BERT_LARGE.values())), 1) == 80.5


@pytest.mark.parametrize(("name", "published"), [("most frequent", 47.1), ("BERT", 69.0), ("BERT++", 71.5)])
def test_the_average_of_superglue_is_the_papers(name: str, published: float) -> None:
    assert [len(values) for values in SUPERGLUE[name]] == [len(task.metrics) for task in BENCHMARKS["superglue"].tasks.values()]
    assert average(list(SUPERGLUE[name])) == pytest.approx(published, abs=0.06)


def test_every_task_names_metrics_that_there_are() -> None:
    assert {metric for benchmark in BENCHMARKS.values() for task in benchmark.tasks.values() for metric in task.metrics} <= set(
        registry.names("metric")
    )


def test_the_interval_of_an_average_is_that_of_independent_tasks() -> None:
    tasks = [Interval(0.5, 0.44, 0.56), Interval(0.8, 0.72, 0.88)]
    found = mean_of_tasks(tasks)
    assert (found.value, found.low, found.high) == pytest.approx((0.65, 0.6, 0.7))  # half of sqrt(0.06² + 0.08²) = 0.1
    assert math.isnan(mean_of_tasks([*tasks, Interval(0.5, float("nan"), float("nan"))]).low)


def test_the_interval_of_an_average_holds_the_truth_as_often_as_it_says() -> None:
    from tunesmith.core.statistics import wilson

    rng, shares, held = np.random.default_rng(0), [0.55, 0.7, 0.9], 0
    for _ in range(1000):
        found = mean_of_tasks([wilson(int(rng.binomial(200, share)), 200) for share in shares])
        held += found.low <= fmean(shares) <= found.high
    assert 0.93 <= held / 1000 <= 0.97


def test_the_score_of_a_task_is_no_surer_than_its_metrics() -> None:
    found = mean_of_metrics([Interval(0.8, 0.7, 0.9), Interval(0.6, 0.4, 0.8)])
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.55, 0.85))
