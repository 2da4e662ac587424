"""ranked: a prompt and several answers in the order in which they are liked: `prompt`, `answers`, a list of {"answer": ..., "rank": ...}, 1 the best."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin, Ranked
from tunesmith.data.formats._columns import check_characters, is_empty, listed, named_as_roles
from tunesmith.data.formats._liked import asked_turns
from tunesmith.data.table import shown

__all__ = ["RankedFormat"]


@dataclass(frozen=True, kw_only=True)
class RankedFormat:
    """Columns prompt (a text, messages, or a dialogue in `Human:` and `Assistant:` turns) and answers; equal ranks are a tie.

    Source: Zhu et al. (2023), "Starling-7B", the published data Nectar, which axolotl reads as nectar.
    """

    roles: ClassVar[tuple[str, ...]] = ("prompt", "answers")
    required: ClassVar[tuple[str, ...]] = ("prompt", "answers")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        return {**named_as_roles(self.roles, columns, given), **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a prompt with answers."""
        return {"prompt", "answers"} <= columns

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Ranked:
        """Raises: DataError, naming the row, where there are fewer than two answers, one has no text or no rank, or a rank is left out."""
        where, column = f"{origin.file}:{origin.row}", columns["answers"]
        value = listed(record.get(column), where, column, "answers")
        wanted = '{"answer": "...", "rank": 1}'
        if not isinstance(value, list | tuple) or len(value) < 2:
            raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a list of at least two {wanted}.')
        found = list[tuple[int, str]]()
        for number, item in enumerate(value, start=1):
            text, rank = (item.get("answer"), item.get("rank")) if isinstance(item, Mapping) else (None, None)
            rank = int(rank) if isinstance(rank, float) and rank.is_integer() else rank
            if not isinstance(text, str) or is_empty(text) or not isinstance(rank, int) or isinstance(rank, bool):
                raise DataError(f"{where}: answer {number} is {shown(item)}, expected {wanted}.")
            check_characters(text, f"{where}: answer {number}")
            found.append((rank, text))
        found.sort(key=lambda one: one[0])
        _check_whole([rank for rank, _ in found], where)
        return Ranked(
            asked_turns(record, columns["prompt"], origin), tuple(text for _, text in found), tuple(rank for rank, _ in found), origin
        )


def _check_whole(ranks: Sequence[int], where: str) -> None:
    """Raises: DataError, where sorted ranks leave one out in every way in which ties are counted: an answer is missing, or its rank is wrong."""
    above, upto = [ranks.index(rank) for rank in ranks], [bisect_right(ranks, rank) for rank in ranks]
    levels = sorted(set(ranks))
    dense = [levels.index(rank) for rank in ranks]
    ways = ([first + at for at in places] for first in (0, 1) for places in (dense, above, [place - 1 for place in upto]))
    if list(ranks) not in ways:
        said = ", ".join(map(str, ranks))
        raise DataError(
            f"{where}: the answers have the ranks {said}, expected 1, 2, 3 with none left out; ties as 1, 2, 2, 3 or 1, 2, 2, 4. Number the answers anew."
        )
