"""What a source hands over: records as they were found, where each was found, and facts about the whole."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.types import Origin

__all__ = ["Record", "Table", "TableFacts", "cell", "listed_names", "shown"]

Record = dict[str, Any]
"""Column name -> value, as the file holds it."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Where records came from and under what terms."""

    name: str
    """As a person would name it: the path, alias or hub id."""
    sha256: str
    """Of the bytes that were read, in hex; of the records' content, where there were no bytes."""
    licence: str | None = None
    citation: str | None = None
    notes: tuple[str, ...] = ()
    """What a reader of the report should know: rows left out, folders passed over."""
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column -> names of its classes in the order of their numbers, where the source declares them."""
    beside: tuple[str, ...] = ()
    """Columns that the source itself adds, for people to look at: nobody misses them where no example holds them."""


@dataclass(frozen=True, slots=True)
class Table:
    """Records and, for each, its origin."""

    records: list[Record]
    origins: list[Origin]
    facts: TableFacts

    @property
    def columns(self) -> list[str]:
        """Every column of every record, in the order of appearance."""
        return list(dict.fromkeys(name for record in self.records for name in record))


def cell(value: Any) -> Any:
    """A value from a data frame as JSON would hold it: NaN and missing become None, numpy scalars plain numbers."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and math.isnan(value)):
        return None
    return value


def listed_names(names: Iterable[Any], most: int = 30) -> str:
    """Names of columns as a message lists them: the first ones, each cut where it is long."""
    found = list(names)
    listed = ", ".join(" ".join(str(name)[:60].split()) for name in found[:most]) or "nothing"
    return f"{listed}, and {len(found) - most:,} more" if len(found) > most else listed


def shown(value: Any, limit: int = 60) -> str:
    """A value as a one-line message shows it: quoted, cut to `limit` characters."""
    try:
        text = " ".join((value[: 50 * limit] if isinstance(value, str) else repr(value)).split())
    except (RecursionError, ValueError):  # nested too deeply, or a number of too many digits
        return type(value).__name__
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return f'"{text}"' if isinstance(value, str) else text
