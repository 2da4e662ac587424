"""Passages in a LanceDB table: vectors and words in one folder, without a server.

Vectors are searched exactly. Words are searched by BM25 over stems of English words; of other languages the words stand as they are.
Source: https://lancedb.com; BM25: Robertson, Zaragoza (2009), "The Probabilistic Relevance Framework: BM25 and Beyond", https://doi.org/10.1561/1500000019.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.index import FTS

from tunesmith.core.passages import Array, Hit, Passage

__all__ = ["LanceDB"]

_TABLE = "passages"
_SHOWN = ["document", "start", "end", "headings", "text"]


@dataclass(frozen=True, kw_only=True)
class LanceDB:
    """A table in a folder."""

    folder: str
    """Where it lies; made where it is not there."""

    def __len__(self) -> int:
        """Number of passages."""
        table = self._table
        return 0 if table is None else int(table.count_rows())

    def documents(self) -> Mapping[str, str]:
        """Document -> hash."""
        table = self._table
        if table is None:
            return {}
        found = table.search().select(["document", "sha256"]).limit(None).to_arrow()
        return dict(zip(found["document"].to_pylist(), found["sha256"].to_pylist(), strict=True))

    def passages(self, document: str) -> list[Passage]:
        """By where they begin."""
        table = self._table
        if table is None:
            return []
        found = table.search().where(_among([document])).select(_SHOWN).limit(None).to_list()
        return sorted(map(_passage, found), key=lambda one: one.start)

    def put(self, passages: Sequence[Passage], vectors_PH: Array, hashes: Mapping[str, str]) -> None:
        """Replace all passages of these documents."""
        rows = pa.table(
            {
                "document": [one.document for one in passages],
                "sha256": [hashes[one.document] for one in passages],
                "start": pa.array([one.start for one in passages], pa.int64()),
                "end": pa.array([one.end for one in passages], pa.int64()),
                "headings": [json.dumps(one.headings) for one in passages],
                "text": [one.text for one in passages],
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors_PH.reshape(-1)), vectors_PH.shape[1]),
            }
        )
        table = self._table
        if table is None:
            lancedb.connect(self.folder).create_table(_TABLE, rows).create_index("text", config=FTS())
            return
        merged = table.merge_insert(["document", "start"]).when_matched_update_all().when_not_matched_insert_all()
        merged.when_not_matched_by_source_delete(_among(list(hashes))).execute(rows)

    def remove(self, documents: Sequence[str]) -> None:
        """Delete their rows."""
        table = self._table
        if table is not None and documents:
            table.delete(_among(documents))

    def tidy(self) -> None:
        """Take new rows into the index of words, and drop the versions of the table that still held what was replaced."""
        table = self._table
        if table is not None:
            with warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", "optimize", UserWarning
                )  # that readers of older versions fail: each search opens the newest
                table.optimize(cleanup_older_than=timedelta(0))

    def nearest(self, vector_H: Array, count: int) -> list[Hit]:
        """By the inner product."""
        table = self._table
        if table is None:
            return []
        found = table.search(vector_H).distance_type("dot").select([*_SHOWN, "_distance"]).limit(2 * count).to_list()
        return _ordered([Hit(_passage(row), 1 - float(row["_distance"])) for row in found])[:count]

    def matching(self, words: str, count: int) -> list[Hit]:
        """By BM25."""
        table = self._table
        if table is None or not words.strip():
            return []
        found = table.search(words, query_type="fts").select([*_SHOWN, "_score"]).limit(2 * count).to_list()
        return _ordered([Hit(_passage(row), float(row["_score"])) for row in found])[:count]

    @property
    def _table(self) -> Any:
        """As it stands now, whoever wrote it; None before anything was put in."""
        database = lancedb.connect(self.folder)
        return database.open_table(_TABLE) if _TABLE in database.list_tables().tables else None


def _passage(row: Mapping[str, Any]) -> Passage:
    return Passage(row["document"], row["start"], row["end"], tuple(json.loads(row["headings"])), row["text"])


def _ordered(hits: Sequence[Hit]) -> list[Hit]:
    """LanceDB gives those of one score in any order; twice as many are asked for, so that few are cut between two that are equal."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.passage.document, hit.passage.start))


def _among(documents: Sequence[str]) -> str:
    """The condition that a row is of one of these."""
    quoted = ["'" + name.replace("'", "''") + "'" for name in documents]
    return f"document IN ({', '.join(quoted)})"
