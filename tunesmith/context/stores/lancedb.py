"""Passages in a LanceDB table: vectors and words in one folder, without a server.

Vectors are searched exactly. Words are searched by BM25 over stems of English words; of other languages the words stand as they are.
Source: https://lancedb.com; BM25: Robertson, Zaragoza (2009), "The Probabilistic Relevance Framework: BM25 and Beyond", https://doi.org/10.1561/1500000019.
"""

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
from filelock import FileLock
from lancedb.index import FTS

from tunesmith.core.passages import Array, Hit, Passage

__all__ = ["LanceDB"]

_TABLE = "passages"
_SHOWN = ["document", "start", "end", "headings", "text"]
_SCHEMA = [
    pa.field("document", pa.string()),
    pa.field("sha256", pa.string()),
    pa.field("start", pa.int64()),
    pa.field("end", pa.int64()),
    pa.field("headings", pa.string()),
    pa.field("text", pa.string()),
]
"""Beside the vector, whose length the model tells."""
_ATTEMPTS, _PAUSE_SECONDS = 6, 0.02


@dataclass(frozen=True, kw_only=True)
class LanceDB:
    """A table in a folder."""

    folder: str
    """Where it lies; made where it is not there."""

    def __len__(self) -> int:
        """Number of passages."""
        return int(self._read(lambda table: table.count_rows(), 0))

    def documents(self) -> Mapping[str, str]:
        """Document -> hash."""
        found = self._rows(lambda table: table.search().select(["document", "sha256"]).limit(None))
        return {row["document"]: row["sha256"] for row in found}

    def passages(self, document: str) -> list[Passage]:
        """By where they begin."""
        found = self._rows(lambda table: table.search().where(_among([document])).select(_SHOWN).limit(None))
        return sorted(map(_passage, found), key=lambda one: one.start)

    def put(self, passages: Sequence[Passage], vectors_PH: Array, hashes: Mapping[str, str]) -> None:
        """Replace all passages of these documents."""
        columns = {
            "document": [one.document for one in passages],
            "sha256": [hashes[one.document] for one in passages],
            "start": [one.start for one in passages],
            "end": [one.end for one in passages],
            "headings": [json.dumps(one.headings) for one in passages],
            "text": [one.text for one in passages],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors_PH.reshape(-1)), vectors_PH.shape[1]),
        }
        rows = pa.table(columns, pa.schema([*_SCHEMA, pa.field("vector", pa.list_(pa.float32(), vectors_PH.shape[1]))]))
        with self._writing():
            table = self._table
            if table is None:
                _with_words(lancedb.connect(self.folder).create_table(_TABLE, rows))
                return
            merged = table.merge_insert(["document", "start"]).when_matched_update_all().when_not_matched_insert_all()
            merged.when_not_matched_by_source_delete(_among(list(hashes))).execute(rows)

    def remove(self, documents: Sequence[str]) -> None:
        """Delete their rows."""
        with self._writing():
            table = self._table
            if table is not None and documents:
                table.delete(_among(documents))

    def tidy(self) -> None:
        """Take new rows into the index of words, and drop the versions of the table that still held what was replaced."""
        with self._writing(), warnings.catch_warnings():
            table = self._table
            if table is not None:
                warnings.filterwarnings("ignore", "optimize", UserWarning)  # that readers of older versions fail: they look again
                _with_words(table).optimize(cleanup_older_than=timedelta(0))

    def nearest(self, vector_H: Array, count: int) -> list[Hit]:
        """By the inner product."""
        shown = [*_SHOWN, "_distance"]
        return self._best(lambda table: table.search(vector_H).distance_type("dot").select(shown), lambda row: 1 - row["_distance"], count)

    def matching(self, words: str, count: int) -> list[Hit]:
        """By BM25."""
        shown = [*_SHOWN, "_score"]
        return (
            self._best(lambda table: table.search(words, query_type="fts").select(shown), lambda row: row["_score"], count)
            if words.strip()
            else []
        )

    def _best(self, search: Callable[[Any], Any], score: Callable[[Mapping[str, Any]], float], count: int) -> list[Hit]:
        """The best; LanceDB gives those of one score in any order, so that more are asked for until the last of these is worse than the last that is wanted."""
        most = 2 * count
        while True:
            rows = self._rows(lambda table, most=most: search(table).limit(most))  # type: ignore[misc]
            hits = sorted(
                (Hit(_passage(row), float(score(row))) for row in rows),
                key=lambda hit: (-hit.score, hit.passage.document, hit.passage.start),
            )
            if len(hits) < most or hits[-1].score < hits[count - 1].score:
                return hits[:count]
            most *= 4

    def _rows(self, asked: Callable[[Any], Any]) -> list[dict[str, Any]]:
        """Those of a query."""
        found: list[dict[str, Any]] = self._read(lambda table: asked(table).to_list(), [])
        return found

    @property
    def _table(self) -> Any:
        """As it stands now, whoever wrote it; None before anything was put in."""
        database = lancedb.connect(self.folder)
        return database.open_table(_TABLE) if _TABLE in database.list_tables().tables else None

    def _read(self, asked: Callable[[Any], Any], otherwise: Any) -> Any:
        """What is asked of the table; again, where somebody tidies the version away that is being read, or has not finished making it."""
        for attempt in range(_ATTEMPTS):
            try:
                table = self._table
                return otherwise if table is None else asked(table)
            except (OSError, RuntimeError, ValueError):
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(_PAUSE_SECONDS * 2**attempt)
        raise AssertionError

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One at a time."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        with FileLock(Path(self.folder) / ".lock"):
            yield


def _with_words(table: Any) -> Any:
    """The table, with its index of words, which may be missing where its making was interrupted."""
    if not any("text" in index.columns for index in table.list_indices()):
        table.create_index("text", config=FTS())
    return table


def _passage(row: Mapping[str, Any]) -> Passage:
    return Passage(row["document"], row["start"], row["end"], tuple(json.loads(row["headings"])), row["text"])


def _among(documents: Sequence[str]) -> str:
    """The condition that a row is of one of these."""
    quoted = ["'" + name.replace("'", "''") + "'" for name in documents]
    return f"document IN ({', '.join(quoted)})"
