"""Facts about made-up towns, some of which change from year to year: `dated-facts:PART:YEAR`, drawn by a seed, the same for everybody.

They show what a model that learned the facts of one year is worth in another, and what it costs to bring it up to date.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import hash_of
from tunesmith.core.types import Origin
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["DatedFacts"]

_NAME = "dated-facts"
_LICENCE = "Apache-2.0"
_PARTS = ("documents", "training", "questions")
_YEARS = (2023, 2024, 2025)
_NUM_TOWNS = 20
_CHANGED = 1 / 3
"""Of the facts, from one year to the next."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of fact that every town has one of."""

    statement: str
    question: str
    """Asked of those who are to be judged."""
    others: tuple[str, ...]
    """Other words for it, to learn from."""
    is_price: bool = False


_KINDS = (
    _Kind(
        "The mayor of {town} is {value}.",
        "Who is the mayor of {town}?",
        (
            "What is the name of {town}'s mayor?",
            "Name the mayor of {town}.",
            "Who holds the office of mayor in {town}?",
            "In the town hall of {town}, who is the mayor?",
        ),
    ),
    _Kind(
        "The captain of the rowing club of {town} is {value}.",
        "Who is the captain of the rowing club of {town}?",
        (
            "What is the name of the captain of {town}'s rowing club?",
            "Name the captain of the rowing club in {town}.",
            "Who leads the rowing club of {town} as its captain?",
            "Of the rowing club in {town}, who is the captain?",
        ),
    ),
    _Kind(
        "A ticket for the ferry of {town} costs {value}.",
        "How much does a ticket for the ferry of {town} cost?",
        (
            "What is the price of a ticket for {town}'s ferry?",
            "Name the price of a ferry ticket in {town}.",
            "What has to be paid for a ticket of the ferry in {town}?",
            "For the ferry of {town}, how much is a ticket?",
        ),
        is_price=True,
    ),
    _Kind(
        "A year's card of the library of {town} costs {value}.",
        "How much does a year's card of the library of {town} cost?",
        (
            "What is the price of a year's card of {town}'s library?",
            "Name the price of a year's library card in {town}.",
            "What has to be paid for a year's card of the library in {town}?",
            "For the library of {town}, how much is a card for a year?",
        ),
        is_price=True,
    ),
)
_TOWN_BEGINS = ("Brem", "Ost", "Val", "Mir", "Tarn", "Kel", "Dor", "Hax", "Sel", "Wend")
_TOWN_ENDS = ("hollow", "mark", "stead", "wick", "mere", "quay", "lund", "garth")
_FIRST = ("Ada", "Boris", "Clara", "Dario", "Edith", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Karin", "Leo")
_LAST = ("Brisk", "Corvo", "Delmar", "Estrand", "Fenn", "Gantry", "Holm", "Ivers", "Jastrow", "Kestel", "Marsk", "Norring")


@dataclass(frozen=True, kw_only=True)
class DatedFacts:
    """Documents that state the facts of a year, questions about them in one wording to judge by, and in others to learn from."""

    rank = 10

    def claims(self, source: Any) -> bool:
        """Whether `source` is `dated-facts`, or begins so."""
        return isinstance(source, str) and source.partition(":")[0] == _NAME

    def require(self, source: Any) -> None:
        """Raises: DataError, where `source` does not say which."""
        _asked(source)

    def read(self, source: Any) -> Table:
        """A document a town, or a row a question. Raises: DataError, where `source` does not say which."""
        part, year, seed = _asked(source)
        made = list(_documents(year, seed) if part == "documents" else _questions(year, seed, is_training=part == "training"))
        beside = ("document",) if part == "documents" else ()
        return Table(
            made, [Origin(source, row) for row in range(1, len(made) + 1)], TableFacts(source, hash_of(made), _LICENCE, beside=beside)
        )


def _asked(source: str) -> tuple[str, int, int]:
    found = re.fullmatch(rf"{_NAME}:({'|'.join(_PARTS)}):({'|'.join(map(str, _YEARS))})(?::(\d+))?", source)
    if found is None:
        raise DataError(
            f"{source}: expected {_NAME}:PART:YEAR, PART one of {', '.join(_PARTS)} and YEAR one of {', '.join(map(str, _YEARS))}, and perhaps a seed, as {_NAME}:questions:2025:1."
        )
    return found[1], int(found[2]), int(found[3] or 0)


def _documents(year: int, seed: int) -> Iterator[Record]:
    for town, values in _facts(year, seed):
        stated = [kind.statement.format(town=town, value=value) for kind, value in zip(_KINDS, values, strict=True)]
        yield {"document": town, "text": f"# {town} in {year}\n\n{' '.join(stated)}"}


def _questions(year: int, seed: int, *, is_training: bool) -> Iterator[Record]:
    for town, values in _facts(year, seed):
        for kind, value in zip(_KINDS, values, strict=True):
            for wording in kind.others if is_training else (kind.question,):
                yield {"question": wording.format(town=town), "answer": value}


def _facts(year: int, seed: int) -> list[tuple[str, list[str]]]:
    """Of each town, its facts in the order of `_KINDS`, as they stand in a year. A value that was true once, anywhere, never comes again."""
    rng = random.Random(seed)
    towns = rng.sample([f"{begin}{end}" for begin in _TOWN_BEGINS for end in _TOWN_ENDS], _NUM_TOWNS)
    people = _shuffled(rng, [f"{first} {last}" for first in _FIRST for last in _LAST])
    prices = _shuffled(rng, [f"{number} crowns" for number in range(100, 1000)])
    values = [[next(prices if kind.is_price else people) for kind in _KINDS] for _ in towns]
    places = [(town, kind) for town in range(len(towns)) for kind in range(len(_KINDS))]
    for _ in range(_YEARS.index(year)):
        for town, kind in rng.sample(places, round(_CHANGED * len(places))):
            values[town][kind] = next(prices if _KINDS[kind].is_price else people)
    return list(zip(towns, values, strict=True))


def _shuffled(rng: random.Random, values: Sequence[str]) -> Iterator[str]:
    return iter(rng.sample(values, len(values)))
