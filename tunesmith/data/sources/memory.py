"""Data that is in memory already: a pandas DataFrame, a datasets.Dataset, or a list of dicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import hash_of
from tunesmith.core.types import Origin
from tunesmith.data.sources._features import class_names
from tunesmith.data.table import Record, Table, TableFacts, cell

__all__ = ["Memory"]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Read rows by what the object can do, so that pandas and datasets need not be installed."""

    rank = 0

    def claims(self, source: Any) -> bool:
        """Whether `source` is an object and not a name."""
        return not isinstance(source, str | Path)

    def read(self, source: Any) -> Table:
        """Every row. Raises: DataError, where `source` is something else, or empty."""
        names: Mapping[str, tuple[str, ...]] = {}
        if hasattr(source, "to_dict") and hasattr(source, "columns"):
            name = "DataFrame"
            records = [{str(key): cell(value) for key, value in record.items()} for record in source.to_dict("records")]
        elif hasattr(source, "column_names") and hasattr(source, "features"):
            name, names, records = "Dataset", class_names(source.features), [dict(record) for record in source]
        elif isinstance(source, Mapping):
            parts = ", ".join(str(key) for key in source)
            raise DataError(
                f"{type(source).__name__}: holds several sets ({parts}). Pass one of them, for example data[{next(iter(source), 'train')!r}]."
            )
        elif isinstance(source, Sequence) and not isinstance(source, bytes):
            name, records = "list", [self._record(item, number) for number, item in enumerate(source, start=1)]
        else:
            raise DataError(
                f"data: found {type(source).__name__}, expected a path, a name, a DataFrame, a datasets.Dataset or a list of dicts."
            )
        if not records:
            raise DataError(f"{name}: holds no rows.")
        origins = [Origin(name, number) for number in range(1, len(records) + 1)]
        return Table(records, origins, TableFacts(name, hash_of(records), class_names=names))

    @staticmethod
    def _record(item: Any, number: int) -> Record:
        if not isinstance(item, Mapping):
            raise DataError(f'list, item {number}: found {type(item).__name__}, expected a dict such as {{"text": ...}}.')
        return {str(key): cell(value) for key, value in item.items()}
