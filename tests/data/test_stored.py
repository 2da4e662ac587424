"""Examples that stay on the disk are those that would be in memory, in every choice of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Tagged
from tunesmith.data import StoredExamples, limited, read, refuse_overlap, split


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def labelled(count: int) -> list[dict[str, Any]]:
    return [{"text": f"text {n} ünï", "label": n % 3, "note": n} for n in range(count)]


def both(source: str, **options: Any) -> tuple[Any, Any]:
    stored, kept = read(source, most_bytes=-1, **options), read(source, **options)
    assert isinstance(stored.examples, StoredExamples)
    assert list(stored.examples) == list(kept.examples)
    assert stored.facts == kept.facts
    return stored, kept


def test_more_rows_than_a_batch_are_the_same_by_turns_and_at_random(tmp_path: Path) -> None:
    stored, kept = both(write(tmp_path / "a.jsonl", labelled(9000)))
    for place in (0, 4095, 4096, 8191, 8192, -1):
        assert stored.examples[place] == kept.examples[place]
    assert list(stored.examples[4090:4100]) == kept.examples[4090:4100]
    with pytest.raises(IndexError):
        stored.examples[9000]


@pytest.mark.parametrize("labels", [None, {"0": "no", "1": "perhaps", "2": "yes"}])
def test_labels_are_named_alike(tmp_path: Path, labels: dict[str, str] | None) -> None:
    stored, _ = both(write(tmp_path / "a.jsonl", labelled(50)), labels=labels)
    assert stored.facts.labels == (("no", "perhaps", "yes") if labels else ("0", "1", "2"))


def test_other_kinds_and_packed_files_and_patterns_too(tmp_path: Path) -> None:
    import gzip

    tagged = [{"words": ["a", "b"], "tags": ["O", f"B-{n % 4}"]} for n in range(30)]
    file = write(tmp_path / "t.jsonl", tagged)
    stored, _ = both(file)
    assert isinstance(stored.examples[0], Tagged)
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(Path(file).read_bytes()))
    both(str(tmp_path / "t.jsonl.gz"))
    write(tmp_path / "u.jsonl", tagged)
    both(str(tmp_path / "*.jsonl"))


def test_splits_and_limits_are_the_same_rows(tmp_path: Path) -> None:
    stored, kept = both(write(tmp_path / "a.jsonl", [*labelled(500), *labelled(20)]))
    for one, other in zip(split(stored).named().values(), split(kept).named().values(), strict=True):
        assert isinstance(one, StoredExamples)
        assert list(one) == list(other)
        assert list(limited(one, 17)) == list(limited(other, 17))
    refuse_overlap(split(stored))


def test_broken_rows_are_left_out_alike_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write(file, labelled(5))
    file.write_text(file.read_text(encoding="utf-8") + '{"text": 7, "label": 1}\n{"text":\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:7: broken JSON"):
        read(str(file), most_bytes=-1)
    assert not list((tmp_path / "cache").rglob("*.arrow"))
    stored, kept = both(str(file), skip_invalid=True)
    assert sorted(row.row for row in stored.invalid) == sorted(row.row for row in kept.invalid) == [6, 7]


def test_labels_that_are_no_classes_are_refused_alike(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [{"text": f"t{n}", "label": f"some answer {n}"} for n in range(80)])
    for options in ({}, {"most_bytes": -1}):
        with pytest.raises(DataError, match="text, not classes"):
            read(file, **options)  # type: ignore[arg-type]
    many = write(tmp_path / "b.jsonl", [{"text": f"t{n}", "label": f"class {n % 60}"} for n in range(600)])
    both(many)


def test_a_small_file_and_other_sources_stay_in_memory(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", labelled(5))
    assert isinstance(read(file, most_bytes=10**6).examples, list)
    assert isinstance(read(labelled(5), most_bytes=-1).examples, list)


MEASURED = """
import sys, tracemalloc
import pyarrow
from tunesmith.data import read, split
tracemalloc.start()
parts = split(read(sys.argv[1], most_bytes=-1))
print(len(parts.train), sum(len(example.text) for example in parts.train))
print(tracemalloc.get_traced_memory()[1] + pyarrow.default_memory_pool().max_memory())
"""
"""Pages of a file that is mapped are not counted: the system takes them back when it wants them."""


@pytest.mark.slow
def test_memory_grows_by_a_fraction_of_what_the_file_holds(tmp_path: Path) -> None:
    def megabytes(count: int) -> float:
        file = tmp_path / f"{count}.jsonl"
        with file.open("w", encoding="utf-8") as target:
            target.writelines(json.dumps({"text": f"{n} " + "some words " * 200, "label": n % 2}) + "\n" for n in range(count))
        done = subprocess.run([sys.executable, "-c", MEASURED, str(file)], capture_output=True, text=True, check=True)
        assert int(done.stdout.split()[0]) > 0.6 * count
        return int(done.stdout.split()[2]) / 2**20

    few, many = megabytes(9_000), megabytes(17_000)  # both more than twice the 4,096 rows that are written at a time; 17 MiB of text more
    assert many - few < 6
