"""How the validation split picks the best weights."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from tunesmith.app.fitting import make_metrics
from tunesmith.app.rollouts import PolicyValidator
from tunesmith.app.task import Task
from tunesmith.app.training import Units, Validates, Validator
from tunesmith.core.types import HeadObjective
from tunesmith.evaluation.score import unit_stats

__all__ = ["make_validator"]


def make_validator(task: Task) -> Validates | None:
    """The recipe's validator, or None where there is no validation split."""
    split, select_by = task.splits["validation"], task.select_by
    if not split.rows:
        return None
    objective = task.objective
    if task.rewards is not None and task.kind == "policy":
        return PolicyValidator(task, task.rewards)
    if not isinstance(objective, HeadObjective):
        return Validator(split.rows, "loss", higher_is_better=False)
    names = dict.fromkeys([*task.metrics, *([] if select_by == "loss" else [select_by])])
    metrics = make_metrics(task.recipe, names, task.encoder.labels)

    def judge(heard: Sequence[Tensor]) -> tuple[Mapping[str, float], Units]:
        """Without intervals: these wait for the test."""
        outputs = objective.outputs(split.examples, split.rows, split.owners, heard, task.encoder)
        stats = {name: unit_stats(metric, split.examples, outputs, split.references)[0] for name, metric in metrics.items()}
        return {name: metric.value(stats[name]) for name, metric in metrics.items()}, stats[
            select_by
        ].tolist() if select_by in stats else ()

    higher = select_by != "loss" and metrics[select_by].higher_is_better is True
    return Validator(split.rows, select_by, higher, judge)
