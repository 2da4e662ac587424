"""Training rows as the model will see them."""

from typing import Any

from tunesmith.app.task import prepare
from tunesmith.data import preview as preview_rows
from tunesmith.recipe import Recipe

__all__ = ["preview"]


def preview(recipe: Recipe, rows: int = 3) -> list[dict[str, Any]]:
    """The first training rows, of a mixture those of each set: `origin`, `pieces` of (text, whether it is learned), `num_tokens`, and `label` for a classifier."""
    task = prepare(recipe, lambda event: None)
    train = task.splits["train"].rows
    parts = [[row for row in train if row.origin.task == name] for name in task.data.sets] or [list(train)]
    chosen = [row for part in parts for row in part[:rows]]
    shown = preview_rows(chosen, task.encoder)
    for entry, row in zip(shown, chosen, strict=True):
        if "label" in row.values:
            entry["label"] = task.encoder.labels[int(row.values["label"][0])]
    return shown
