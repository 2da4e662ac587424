"""Training rows as the model will see them."""

from typing import Any

from tunesmith.app.in_context import as_read, check_context
from tunesmith.app.task import Task, prepare
from tunesmith.core.events import silence
from tunesmith.core.types import HeadObjective
from tunesmith.data import preview as preview_rows
from tunesmith.data.encode import Watching
from tunesmith.recipe import Recipe

__all__ = ["preview", "previewed"]


def preview(recipe: Recipe, rows: int = 3, start: int = 1) -> list[dict[str, Any]]:
    """Training rows from number `start` on, of a mixture those of each set, in the largest context of those that could be chosen: see `previewed`."""
    task = prepare(recipe, silence)
    if recipe.trains:
        check_context(task)
    return previewed(as_read(task), rows, start)


def previewed(task: Task, rows: int, start: int = 1) -> list[dict[str, Any]]:
    """For each row `origin`, `num_tokens`, `num_cut` (tokens of its example that were left out), `pieces` of (text, whether it is learned), `tokens`
    of (number, text, whether it is learned), and, where a head answers, the `answer`.
    """
    split, objective = task.splits["train"], task.objective
    has_head = isinstance(objective, HeadObjective)
    places = range(len(split.rows))
    parts = [[at for at in places if split.rows[at].origin.task == name] for name in task.data.sets] or [list(places)]
    chosen = [at for part in parts for at in part[start - 1 : start - 1 + rows]]
    shown = preview_rows([split.rows[at] for at in chosen], task.encoder, predicts_next=not has_head)
    for entry, at in zip(shown, chosen, strict=True):
        owner, watching = split.owners[at], Watching(task.encoder)
        objective.encode(split.examples[owner], watching)
        entry["num_cut"] = watching.num_cut
        if has_head:
            entry["answer"] = split.references[owner]
    return shown
