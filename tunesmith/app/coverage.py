"""Whether a model's vocabulary covers the texts that it is to learn from."""

from typing import TYPE_CHECKING

from tunesmith.core.errors import DataError

if TYPE_CHECKING:
    from tunesmith.app.task import Task

__all__ = ["check_coverage"]

_LOOKED_AT = 512
_MANY, _NEARLY_ALL = 0.2, 0.95
"""Shares of unknown tokens: where it is said, and where there is nothing left to learn."""
_FEW_BYTES = 2.0
"""Bytes of a mean token from which a text is cut finely: a vocabulary makes some 3 to 4.5 of the texts that it was learned from."""


def check_coverage(task: "Task") -> list[str]:
    """What is to be said where much of the training texts is no token of the model's, or where they are cut finely, as their words are none.

    Raises: DataError, where nearly all of it is the unknown token.
    """
    tokenizer, rows = task.model.tokenizer, task.splits["train"].rows
    if not rows or task.model.facts.num_columns:
        return []
    unknown_id = tokenizer.unk_token_id
    step = max(1, len(rows) // _LOOKED_AT)
    own = {*tokenizer.all_special_ids} - {unknown_id}
    chosen = [rows[index] for index in range(0, len(rows), step)]
    read = [segment for row in chosen for segment in (*row.segments, *([row.source] if row.source is not None else []))]
    parts = [[token for token in segment.tokens if token not in own] for segment in read]
    num_tokens = max(1, sum(map(len, parts)))
    share = sum(token == unknown_id for part in parts for token in part) / num_tokens
    if share < _MANY:
        if task.recipe.model.architecture is None and not share:
            return _how_finely(task, sum(len(text.encode()) for text in tokenizer.batch_decode(parts)) / num_tokens)
        return []
    text = f"{share:.0%} of the tokens of {task.recipe.data.named} are unknown to the vocabulary of {task.model.source.name}"
    advice = (
        "Larger vocabularies know more: model.vocabulary.size, or model.vocabulary.of: pieces."
        if task.recipe.model.architecture is not None
        else "Take a model of the language of the texts; of a Keras file model.words names its own list."
    )
    if share >= _NEARLY_ALL:
        raise DataError(f"{text}: there is nothing to learn. {advice}")
    return [f"{text}. {advice}"]


def _how_finely(task: "Task", bytes_per_token: float) -> list[str]:
    if not 0 < bytes_per_token < _FEW_BYTES:
        return []
    return [
        f"the vocabulary of {task.model.source.name} cuts {task.recipe.data.named} into tokens of {bytes_per_token:.1f} bytes: "
        "words that it lacks are read and written in parts, down to letters, so that rows are long and each token says little."
    ]
