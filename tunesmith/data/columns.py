"""Rows of numbers: as a model of numbers reads them, and as a text that lists them."""

from collections.abc import Sequence

from tunesmith.core.errors import DataError
from tunesmith.core.types import Encoded, Example, Labelled, ModelFacts

__all__ = ["encoded_row", "listed", "numbers_of"]

_SHOWN = 8


def listed(numbers: Sequence[tuple[str, float]]) -> str:
    """The numbers with the names of their columns, as people and models of text read them."""
    return " ".join(f"{name}={int(value) if value.is_integer() else repr(value)}" for name, value in numbers)


def numbers_of(example: Example, facts: ModelFacts) -> tuple[float, ...]:
    """The numbers of a row in the order in which the model reads them: by their columns' names, where it knows those, else as they stand.

    Raises: DataError, naming the row, where it has none, one of the model's columns is missing, or there are not as many as the model reads.
    """
    found = example.numbers if isinstance(example, Labelled) else ()
    where = f"{example.origin.file}:{example.origin.row}"
    if not found:
        raise DataError(
            f"{where}: {facts.name} reads {facts.num_columns} numbers a row, and this row is a text. Bring columns of numbers: data.format=columns."
        )
    named = dict(found)
    if facts.columns and set(facts.columns) <= set(named):
        return tuple(named[name] for name in facts.columns)
    if facts.columns:
        missing = next(name for name in facts.columns if name not in named)
        raise DataError(
            f'{where}: no number in the column "{missing}", which {facts.name} reads. Found: {", ".join(list(named)[:_SHOWN])}'
            f"{', ...' if len(named) > _SHOWN else ''}. Name it: data.columns."
        )
    if len(found) != facts.num_columns:
        raise DataError(
            f"{where}: {len(found)} columns of numbers, and {facts.name} reads {facts.num_columns}. Name those that it reads, in their order: data.columns."
        )
    return tuple(value for _, value in found)


def encoded_row(example: Example, facts: ModelFacts) -> Encoded:
    """A row for a model of numbers: one position, with its numbers in place of a token. Raises: DataError, as `numbers_of`."""
    return Encoded((0,), (0,), (False,), vectors=(numbers_of(example, facts),))
