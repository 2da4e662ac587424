"""What a run forgot: report.json's `retention` and `forgetting`."""

from dataclasses import asdict
from typing import Any

import numpy as np

from tunesmith.app.plan import Plan
from tunesmith.app.remedies import remedies
from tunesmith.app.retention import Remembered, Retention
from tunesmith.app.task import Task
from tunesmith.core.run import RunDirectory
from tunesmith.evaluation.correction import correct
from tunesmith.evaluation.forgetting import is_fall
from tunesmith.evaluation.score import groups_of, paired

__all__ = ["forgotten", "kept_rows"]


def forgotten(
    task: Task, directory: RunDirectory, retention: Retention, before: Remembered, after: Remembered, planned: Plan
) -> dict[str, Any]:
    """The two entries, as docs/report-format.md describes them.

    Args:
        before, after: what base and tuned contributed to every task of `retention`.
    """
    tasks = dict[str, dict[str, Any]]()
    for name, one in retention.tasks.items():
        base_nk, tuned_nk = (np.array(side.stats[name], dtype=np.float64) for side in (before, after))
        pair = paired(one.measure, base_nk, tuned_nk, groups_of(one.examples), task.recipe.seed)
        about = {"source": one.source, "metric": one.metric, "higher_is_better": one.measure.higher_is_better, "rows": len(one.examples)}
        tasks[name] = about | asdict(pair)
    correct(entry["difference"] for entry in tasks.values())
    for entry in tasks.values():
        difference = entry["difference"]
        entry["fell"] = is_fall(difference["value"], difference["p_holm"], higher_is_better=entry["higher_is_better"])
    fell = [name for name, entry in tasks.items() if entry["fell"]]
    advice = remedies(task, directory, num_steps=planned.num_steps, keeps_base=retention.keeps_base) if fell else []
    return {
        "retention": tasks,
        "forgetting": {"fell": fell, "keeps_base": retention.keeps_base, "advice": advice, "left_out": dict(retention.left_out)},
    }


def kept_rows(retention: Retention, before: Remembered, after: Remembered) -> dict[str, Any]:
    """What each row contributed: the run's retention.json."""
    return {
        name: {
            "row": [f"{example.origin.file}:{example.origin.row}" for example in one.examples],
            "base": before.stats[name],
            "tuned": after.stats[name],
        }
        for name, one in retention.tasks.items()
    }
