"""Which characters of an answer are learned, where a row says so: axolotl's `train_detail`."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.data.table import shown

__all__ = ["learned_parts"]

_WANTED = '{"begin_offset": 0, "end_offset": 8, "train": false}'


def learned_parts(detail: Any, content: str, otherwise: bool, place: str, role: str) -> tuple[bool, tuple[tuple[int, int], ...]]:
    """Whether anything of a message is learned, and the stretches that are not, each (first character, one behind its last).

    Args:
        detail: a list of stretches, by their first and last characters, counted from 0, each with whether it is learned.
        otherwise: whether characters are learned that stand in none.
    Raises: DataError, beginning with `place`, for anything else.
    Source: axolotl's documentation, "Conversation", per-message and per-character training.
    """
    if not isinstance(detail, list | tuple):
        raise DataError(f'{place} has the "train_detail" {shown(detail)}, expected a list of {_WANTED}.')
    if role != "assistant":
        raise DataError(f'{place} has a "train_detail", and only answers are learned. Remove it.')
    flags, taken = [otherwise] * len(content), [False] * len(content)
    for number, item in enumerate(detail, start=1):
        begin, end, train = (item.get(key) for key in ("begin_offset", "end_offset", "train")) if isinstance(item, Mapping) else (None,) * 3
        if not (isinstance(begin, int) and isinstance(end, int) and isinstance(train, bool)):
            raise DataError(f"{place}: part {number} of its train_detail is {shown(item)}, expected {_WANTED}.")
        if not 0 <= begin <= end < len(content) or any(taken[begin : end + 1]):
            raise DataError(
                f"{place}: part {number} of its train_detail is characters {begin} to {end}; expected some of 0 to {len(content) - 1} that stand in no "
                "other part."
            )
        flags[begin : end + 1] = [train] * (end + 1 - begin)
        taken[begin : end + 1] = [True] * (end + 1 - begin)
    if not any(flags) or all(flags):
        return bool(content) and all(flags), ()
    found, at = list[tuple[int, int]](), 0
    for is_learned, run in groupby(flags):
        length = len(list(run))
        if not is_learned:
            found.append((at, at + length))
        at += length
    return True, tuple(found)
