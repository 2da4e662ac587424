"""How many of the words that are to be learned a model knows."""

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from tunesmith.core.errors import ModelError
from tunesmith.core.events import Event, Warned

if TYPE_CHECKING:
    from tunesmith.app.task import Task

__all__ = ["check_known"]

_ROWS = 1000
"""Training rows that are looked at."""
_MANY, _TOO_MANY = 0.2, 0.9
"""Shares of unknown tokens from which it is told, and from which there is nothing to learn from."""


def check_known(task: "Task", say: Callable[[Event], None]) -> None:
    """Tell where many words of the training rows are none to the model, which then reads one and the same token for all of them, or nothing.

    Raises: ModelError, where nearly all are.
    """
    unknown = task.model.tokenizer.unk_token_id
    if unknown is None or task.model.facts.num_columns:
        return
    num = num_unknown = 0
    for row in islice(task.splits["train"].rows, _ROWS):
        for segment in row.segments:
            num, num_unknown = num + len(segment.tokens), num_unknown + segment.tokens.count(unknown)
    share = num_unknown / max(num, 1)
    if share < _MANY:
        return
    told = f"model.source: {task.model.source.name}: does not know {100 * share:.0f} % of the words of the training rows"
    if share >= _TOO_MANY:
        raise ModelError(
            f"{told}: there is nothing that it could learn from. It was made for another language, or with another list of words."
        )
    say(Warned(f"{told}. Was it made for such texts, and with this list of words?"))
