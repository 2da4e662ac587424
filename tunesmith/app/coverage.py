"""Whether a model's vocabulary covers the texts that it is to learn from."""

from typing import TYPE_CHECKING

from tunesmith.core.errors import DataError
from tunesmith.core.events import Warned

if TYPE_CHECKING:
    from tunesmith.app.task import Say, Task

__all__ = ["check_coverage"]

_LOOKED_AT = 512
_MANY, _NEARLY_ALL = 0.2, 0.95
"""Shares of unknown tokens: where it is said, and where there is nothing left to learn."""


def check_coverage(task: "Task", say: "Say") -> None:
    """Say how much of the training texts is no token of the model's. Raises: DataError, where nearly all of it is the unknown token."""
    unknown_id = task.model.tokenizer.unk_token_id
    rows = task.splits["train"].rows
    if unknown_id is None or not rows or task.model.facts.num_columns:
        return
    step = max(1, len(rows) // _LOOKED_AT)
    own = {*task.model.tokenizer.all_special_ids} - {unknown_id}
    chosen = [rows[index] for index in range(0, len(rows), step)]
    read = [segment for row in chosen for segment in (*row.segments, *([row.source] if row.source is not None else []))]
    tokens = [token for segment in read for token in segment.tokens if token not in own]
    share = sum(token == unknown_id for token in tokens) / max(1, len(tokens))
    if share < _MANY:
        return
    text = f"{share:.0%} of the tokens of {task.recipe.data.named} are unknown to the vocabulary of {task.model.source.name}"
    advice = (
        "Larger vocabularies know more: model.vocabulary.size, or model.vocabulary.of: pieces."
        if task.recipe.model.architecture is not None
        else "Take a model of the language of the texts; of a Keras file model.words names its own list."
    )
    if share >= _NEARLY_ALL:
        raise DataError(f"{text}: there is nothing to learn. {advice}")
    say(Warned(f"{text}. {advice}"))
