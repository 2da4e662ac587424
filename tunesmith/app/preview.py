"""Training rows as the model will see them."""

from typing import Any

from tunesmith.app.task import prepare
from tunesmith.core.types import HeadObjective
from tunesmith.data import preview as preview_rows
from tunesmith.recipe import Recipe

__all__ = ["preview"]


def preview(recipe: Recipe, rows: int = 3) -> list[dict[str, Any]]:
    """The first training rows: `origin`, `pieces` of (text, whether it is learned), `num_tokens`, and, where a head answers, the `answer`."""
    task = prepare(recipe, lambda event: None)
    split, objective = task.splits["train"], task.objective
    has_head = isinstance(objective, HeadObjective)
    shown = preview_rows(split.rows[:rows], task.encoder, predicts_next=not has_head)
    for entry, owner in zip(shown, split.owners, strict=False):
        if has_head:
            entry["answer"] = split.references[owner]
    return shown
