"""What is written is what the reader, and the library of each kind of file, reads."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tunesmith.core.errors import DataError
from tunesmith.data import iter_rows
from tunesmith.data.writing import WRITTEN, parquet_schema, record_writer

ROWS: list[dict[str, Any]] = [
    {"text": 'a "quoted", text\nof two lines\tand a tab', "id": 1, "score": 0.5},
    {"text": "\U0001f600 caf\xe9", "id": 2},
]
COLUMNS = ["text", "id", "score"]


def write(path: Path, rows: list[dict[str, Any]], columns: list[str]) -> Path:
    schema = parquet_schema(rows, columns, path.name) if path.suffix == ".parquet" else None
    with record_writer(path, path.suffix, columns, schema) as add:
        for row in rows:
            add(row)
    return path


@pytest.mark.parametrize("suffix", WRITTEN)
def test_texts_come_back_as_they_were(suffix: str, tmp_path: Path) -> None:
    found = [record for _, record in iter_rows(write(tmp_path / f"a{suffix}", ROWS, COLUMNS))]
    assert [record["text"] for record in found] == [row["text"] for row in ROWS]
    assert [str(record["id"]) for record in found] == ["1", "2"]


def test_csv_is_what_the_csv_module_reads_and_lists_are_json(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"text": "x", "tags": ["a", "b"]}], ["text", "tags"])
    with path.open(newline="", encoding="utf-8") as file:
        assert [json.loads(row["tags"]) for row in csv.DictReader(file)] == [["a", "b"]]


def test_parquet_holds_every_column_of_every_row(tmp_path: Path) -> None:
    """The keys of an object that only a late row has are kept, too: the schema is that of all rows, not of the first."""
    rows = [{"turns": [{"role": "user"}], "n": 1}] * 1500 + [{"turns": [{"role": "user", "weight": 0}], "n": 1.5, "late": "x"}]
    table = pq.read_table(write(tmp_path / "a.parquet", rows, ["turns", "n", "late"])).to_pylist()
    assert len(table) == 1501
    assert table[0] == {"turns": [{"role": "user", "weight": None}], "n": 1.0, "late": None}
    assert table[-1] == {"turns": [{"role": "user", "weight": 0}], "n": 1.5, "late": "x"}


@pytest.mark.parametrize("rows", [[{"n": 1}, {"n": "one"}], [{"n": 1}] * 1500 + [{"n": "one"}], [{"n": [1]}, {"n": 1}], [{"n": 2**70}]])
def test_a_column_of_several_kinds_is_no_parquet(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: a column holds values of several kinds .*Write \.jsonl"):
        parquet_schema(rows, ["n"], "a.parquet")


def test_half_of_a_character_is_written_as_json_spells_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": "x", "other": "\ud800"}], ["text", "other"])
    assert [record for _, record in iter_rows(path)] == [{"text": "x", "other": "\ud800"}]
