"""What the model said of judged answers before it was trained, stored with the rows."""

from dataclasses import replace

from tunesmith.app.task import Say, Task
from tunesmith.core.events import Stage, counted
from tunesmith.core.types import Row
from tunesmith.data import RowTable
from tunesmith.engine.scoring import score_answers

__all__ = ["needs_reference", "store_reference"]

REFERENCE = "reference"
"""The name of the value."""


def needs_reference(task: Task) -> bool:
    """Whether the objective compares the model with itself before training."""
    return getattr(task.objective, "needs_reference", "") in ("stored", "live")


def store_reference(task: Task, say: Say) -> None:
    """Give every row of every split the log-probabilities of its answers, where the objective needs them. Call it when the method is applied, before the first step."""
    if not needs_reference(task):
        return
    say(Stage("reference", "what the model says of the answers before it learns"))
    for name, split in task.splits.items():
        if not split.rows:
            continue
        tick = counted(say, f"reference {name}", len(split.rows))
        found = score_answers(task.forward, split.rows, micro_batch_tokens=task.micro_batch_tokens, progress=tick)
        rows = split.rows.with_values(REFERENCE, found) if isinstance(split.rows, RowTable) else list(map(_with, split.rows, found))
        task.splits[name] = replace(split, rows=rows)


def _with(row: Row, reference: tuple[float, ...]) -> Row:
    return replace(row, values={**row.values, REFERENCE: reference})
