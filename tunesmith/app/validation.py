"""How the validation split picks the best weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tunesmith.app.fitting import make_metrics
from tunesmith.app.task import Task
from tunesmith.app.training import Validator
from tunesmith.core.types import HeadObjective, Metric, Output

__all__ = ["make_validator"]


def make_validator(task: Task) -> Validator | None:
    """The recipe's validator, or None where there is no validation split."""
    split, select_by = task.splits["validation"], task.select_by
    if not split.rows:
        return None
    objective = task.objective
    if not isinstance(objective, HeadObjective):
        return Validator(split.rows, "loss", higher_is_better=False)
    metrics = make_metrics(task.recipe, dict.fromkeys([*task.metrics, *([] if select_by == "loss" else [select_by])]))

    def judge(heard: Sequence[Tensor]) -> Mapping[str, float]:
        outputs = objective.outputs(split.examples, split.rows, split.owners, heard, task.encoder)
        return {
            name: metric.value(stats(metric, outputs)) for name, metric in metrics.items()
        }  # without intervals: these wait for the test

    def stats(metric: Metric, outputs: Sequence[Output]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([metric.stats(*row) for row in zip(split.examples, outputs, split.references, strict=True)], dtype=np.float64)

    higher = select_by != "loss" and metrics[select_by].higher_is_better is True
    return Validator(split.rows, select_by, higher, judge)
