"""Tensors kept by row, in memory and in a file without a name."""

from pathlib import Path

import pytest
import torch
from families import facts_of, make, random_rows
from torch import Tensor

from tunesmith.core.batch import Batch, collate
from tunesmith.engine.row_store import RowStore, tokens_of

FACTS = facts_of("llama", make("llama"))
ROWS = random_rows((3, 5, 2), FACTS)


def _told(dtype: torch.dtype = torch.float32) -> tuple[list[int], object]:
    """A function of tokens, (T, 2), and the rows that it was asked for."""
    asked = list[int]()

    def compute(batch: Batch) -> Tensor:
        asked.append(len(batch.rows))
        return torch.stack([batch.stream.tokens_T, -batch.stream.tokens_T], 1).to(dtype)

    return asked, compute


def _of(store: RowStore, rows: list, compute: object) -> Tensor:  # type: ignore[type-arg]
    return store.of(collate(rows, FACTS), [tokens_of(row) for row in rows], [row.num_tokens for row in rows], compute)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_what_is_in_memory_and_in_the_file_comes_back_as_it_was(dtype: torch.dtype, tmp_path: Path) -> None:
    asked, compute = _told(dtype)
    size = torch.empty(0, dtype=dtype).element_size()
    with RowStore(max_bytes=3 * 2 * size, folder=tmp_path, max_file_bytes=10**6) as store:
        first = _of(store, ROWS, compute)
        assert (store.num_bytes, store.num_file_bytes) == (3 * 2 * size, 7 * 2 * size)
        again = _of(store, ROWS[::-1], compute)
        assert asked == [3]
        assert again.dtype == first.dtype == dtype
        assert torch.equal(torch.cat([again[7:], again[2:7], again[:2]]), first)
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_stands_twice_in_a_batch_is_made_once() -> None:
    asked, compute = _told()
    found = _of(RowStore(), [ROWS[0], ROWS[1], ROWS[0]], compute)
    assert asked == [2]
    assert torch.equal(found[:3], found[8:])


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    compute = _told()[1]
    store = RowStore(max_bytes=0, folder=tmp_path / "missing", max_file_bytes=10**6)
    for _ in range(2):
        assert torch.equal(_of(store, ROWS, compute), compute(collate(ROWS, FACTS)))  # type: ignore[operator]
    assert store.num_file_bytes == 0
