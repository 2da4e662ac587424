"""GLUE and SuperGLUE as their authors score them: the metrics of each task, and the average.

A task's score is the mean of its metrics, a benchmark's the mean of its tasks' scores. MNLI's two metrics are the accuracies of its matched and its mismatched part.
Source: Wang et al. (2018), "GLUE", https://arxiv.org/abs/1804.07461, sections 3 and 4.2; Wang et al. (2019), "SuperGLUE", https://arxiv.org/abs/1905.00537, section 4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tunesmith.core.statistics import Interval

__all__ = ["BENCHMARKS", "Benchmark", "BenchmarkTask", "mean_of_metrics", "mean_of_tasks"]


@dataclass(frozen=True, slots=True)
class BenchmarkTask:
    """A task of a benchmark."""

    title: str
    metrics: tuple[str, ...]
    mismatched: bool = False
    """Whether a second part, from other sources than the training rows, is measured and counts as much."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Tasks by the names that recipes have for them."""

    title: str
    tasks: Mapping[str, BenchmarkTask]


BENCHMARKS: Mapping[str, Benchmark] = {
    "glue": Benchmark(
        "GLUE",
        {
            "cola": BenchmarkTask("CoLA", ("mcc",)),
            "sst2": BenchmarkTask("SST-2", ("accuracy",)),
            "mrpc": BenchmarkTask("MRPC", ("accuracy", "f1")),
            "stsb": BenchmarkTask("STS-B", ("pearson", "spearman")),
            "qqp": BenchmarkTask("QQP", ("accuracy", "f1")),
            "mnli": BenchmarkTask("MNLI", ("accuracy",), mismatched=True),
            "qnli": BenchmarkTask("QNLI", ("accuracy",)),
            "rte": BenchmarkTask("RTE", ("accuracy",)),
            "wnli": BenchmarkTask("WNLI", ("accuracy",)),
        },
    ),
    "superglue": Benchmark(
        "SuperGLUE",
        {
            "boolq": BenchmarkTask("BoolQ", ("accuracy",)),
            "cb": BenchmarkTask("CB", ("accuracy", "macro_f1")),
            "copa": BenchmarkTask("COPA", ("choice_accuracy",)),
            "multirc": BenchmarkTask("MultiRC", ("f1", "question_exact_match")),
            "record": BenchmarkTask("ReCoRD", ("squad_f1", "squad_exact_match")),
            "rte": BenchmarkTask("RTE", ("accuracy",)),
            "wic": BenchmarkTask("WiC", ("accuracy",)),
            "wsc": BenchmarkTask("WSC", ("accuracy",)),
        },
    ),
}
"""Name of a benchmark's data source -> the benchmark."""


def mean_of_metrics(found: Sequence[Interval]) -> Interval:
    """A task's score. Its metrics are of the same rows, so that their bounds are averaged as if they moved together: the widest that the mean can have."""
    return Interval(fmean(one.value for one in found), fmean(one.low for one in found), fmean(one.high for one in found))


def mean_of_tasks(found: Sequence[Interval]) -> Interval:
    """The average of tasks that share no rows; its bounds are NaN where one of theirs is.

    Source: Zou, Donner (2008), "Construction of confidence limits about effect measures", https://doi.org/10.1002/sim.3095.
    """
    value, count = fmean(one.value for one in found), len(found)
    below, above = (math.sqrt(sum(length**2 for length in lengths)) / count for lengths in _lengths(found))
    return Interval(value, value - below, value + above)


def _lengths(found: Sequence[Interval]) -> tuple[list[float], list[float]]:
    """From each value down to its lower bound, and up to its upper one."""
    return [one.value - one.low for one in found], [one.high - one.value for one in found]
