"""Rows kept as arrays are the rows that were given, in memory and in a file."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.types import Origin, Row, Segment, Targets
from tunesmith.data import row_table
from tunesmith.data.row_table import Damaged, RowTable, RowWriter, read_rows

NUMBERS = st.integers(0, 2**40)
TOKENS = st.lists(NUMBERS, max_size=5).map(tuple)
SEGMENTS = st.builds(Segment, TOKENS, TOKENS, st.integers(-1, 2))
ORIGINS = st.builds(
    Origin, st.sampled_from(["a", "b/c.jsonl"]), st.integers(1, 10**6), st.sampled_from(["", "t"]), st.sampled_from(["", "g"])
)
TARGETS = st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from([1.0, 0.0, 0.3]), NUMBERS), max_size=4).map(
    lambda found: Targets(*(tuple(column) for column in zip(*found, strict=True))) if found else Targets()
)
VALUES = st.dictionaries(st.sampled_from(["label", "score"]), st.lists(st.sampled_from([0, 1, 0.25, -3.5]), max_size=2).map(tuple))
ROWS = st.builds(
    Row,
    st.lists(SEGMENTS, min_size=1, max_size=3).map(tuple),
    ORIGINS,
    TARGETS,
    TOKENS,
    VALUES,
    st.none() | st.builds(Segment, TOKENS, TOKENS),
)


def write(rows: list[Row], path: Path) -> RowTable:
    with path.open("wb") as file:
        writer = RowWriter(file)
        for index, row in enumerate(rows):
            writer.add([row], index * 2)
        writer.close({"what": "ever"})
    found, facts = read_rows(path)
    assert facts == {"what": "ever"}
    return found


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(ROWS, max_size=7), chunk=st.integers(1, 4))
def test_rows_come_back_as_they_were(rows: list[Row], chunk: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_table, "CHUNK_ROWS", chunk)
        memory = RowWriter()
        for index, row in enumerate(rows):
            memory.add([row], index * 2)
        for table in (memory.table(), write(rows, tmp_path_factory.mktemp("rows") / "a.rows")):
            assert table == rows
            assert list(table) == rows
            assert [table[index] for index in range(-len(rows), 0)] == rows
            assert table[1:3] == rows[1:3]
            assert table.owners().tolist() == [index * 2 for index in range(len(rows))]
            assert [table.tokens(at).tolist() for at in range(len(rows))] == [[n for s in row.segments for n in s.tokens] for row in rows]
            assert table.num_tokens().tolist() == [row.num_tokens for row in rows]
            assert table.num_targets().tolist() == [len(row.targets.labels) for row in rows]
            with pytest.raises(IndexError):
                table[len(rows)]


@pytest.mark.parametrize("cut", [0, 1, 10, 100])
def test_a_file_that_is_not_whole_is_damaged(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "a.rows"
    write([Row((Segment((1, 2, 3)),), Origin("a", 1))] * 5, path)
    content = path.read_bytes()
    path.write_bytes(content[: max(len(content) - cut - 1, 0) if cut else 0])
    with pytest.raises(Damaged):
        read_rows(path)


def test_every_flipped_byte_of_the_arrays_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.rows"
    rows = [Row((Segment((7, 8, index)),), Origin("a", index), Targets((0,), (8,), (1.0,), (0,))) for index in range(5)]
    write(rows, path)
    content = path.read_bytes()
    unnoticed = 0
    for at in range(8, len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        try:
            found, _ = read_rows(path)
        except (Damaged, ValueError):
            continue
        assert found == rows  # it was a byte of the padding between arrays
        unnoticed += 1
    assert unnoticed < len(content) / 4


def test_a_long_file_is_read_a_page_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_table, "_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(row_table, "_ROWS_MAPPED", 3)
    rows = [Row((Segment((index, index + 1)),), Origin("a", index + 1)) for index in range(50)]
    table = write(rows, tmp_path / "a.rows")
    assert list(table) == rows
    assert [table[index] for index in (40, 3, 49, 0)] == [rows[index] for index in (40, 3, 49, 0)]
    assert table.owners().tolist() == list(range(0, 100, 2))


def test_a_row_takes_a_few_bytes_a_token(tmp_path: Path) -> None:
    path, size = tmp_path / "a.rows", 200
    row = Row(
        (Segment(tuple(range(1000, 1000 + size)), (0,) * size),),
        Origin("a", 1),
        Targets(*[tuple(range(size))] * 2, (1.0,) * size, (0,) * size),
    )
    write([row] * 3000, path)
    assert path.stat().st_size / (3000 * size) < 13  # tokens, positions and labels, four bytes each
