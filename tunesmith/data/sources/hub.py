"""A data set of the Hugging Face hub: `owner/name`, `owner/name/config`, `name`, `name/config`, each with `:split` (default train).

Data sets that need their own Python code are refused. `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE` are honoured.
"""

import os
import re
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import DataError, FetchError, did_you_mean, one_line
from tunesmith.core.files import hash_of
from tunesmith.core.types import Origin
from tunesmith.data.hub import why_unreachable
from tunesmith.data.sources._aliases import ALIASES
from tunesmith.data.sources._features import class_names
from tunesmith.data.table import Table, TableFacts

__all__ = ["Hub"]

_NAME = re.compile(r"[\w.-]+(/[\w.-]+){0,2}(:[\w.\[\]%:+-]+)?")


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Read one split of a hub data set through the datasets library."""

    rank = 90

    def claims(self, source: Any) -> bool:
        """Whether `source` is written like a hub id."""
        return isinstance(source, str) and _NAME.fullmatch(source) is not None

    def read(self, source: Any) -> Table:
        """Every row of the split. Raises: FetchError, where it cannot be had; DataError, where it needs code or has no rows."""
        path, _, split = str(source).partition(":")
        dataset = self._load(str(source), path, split or "train")
        records = [dict(record) for record in dataset]
        if not records:
            raise DataError(f"{source}: the split {split or 'train'} has no rows.")
        origins = [Origin(str(source), number) for number in range(1, len(records) + 1)]
        info = dataset.info
        facts = TableFacts(
            name=str(source),
            sha256=hash_of([{key: str(value) for key, value in record.items()} for record in records]),
            licence=info.license or None,
            citation=" ".join((info.citation or "").split()) or None,
            class_names=class_names(dataset.features),
        )
        return Table(records, origins, facts)

    def _load(self, source: str, path: str, split: str) -> Any:
        import datasets

        unreachable = why_unreachable(path)
        if unreachable is not None:
            raise _refusal(source, "", unreachable) from None
        parts = path.split("/")
        ways: list[tuple[str, str | None]] = [(path, None)] if len(parts) < 3 else [("/".join(parts[:2]), parts[2])]
        if len(parts) == 2:
            ways.append((parts[0], parts[1]))  # an old name without owner, and its config
        failure: Exception = FileNotFoundError(path)
        for name, config in ways:
            try:
                return datasets.load_dataset(name, config, split=split)
            except (datasets.exceptions.DatasetNotFoundError, FileNotFoundError) as error:
                failure = error if failure.args == (path,) else failure
            except (OSError, ValueError, RuntimeError) as error:
                failure = error
                break
        raise _refusal(source, split, failure)


def _refusal(source: str, split: str, error: Exception) -> DataError | FetchError:
    said = one_line(error)
    if "script" in said.lower() and isinstance(error, RuntimeError):
        return DataError(f"{source}: needs Python code of its own, which is never run. Use a version of it in parquet, or a file.")
    if isinstance(error, ValueError) and "split" in said.lower():
        return DataError(f"{source}: has no split {split} ({said[:160]}). Name one as {source.partition(':')[0]}:SPLIT.")
    if isinstance(error, ValueError) and "config" in said.lower():
        return DataError(f"{source}: name one of its configurations as NAME/CONFIG ({said[:160]}).")
    cause = (
        "HF_HUB_OFFLINE is set and it is not in the cache"
        if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on")
        else said[:160]
    )
    return FetchError(
        f"{source}: no such file, folder or alias, and the hub did not give it ({cause}). Check the spelling, the network and HF_HUB_OFFLINE, or use an alias.{did_you_mean(source, ALIASES)}"
    )
