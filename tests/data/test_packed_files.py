"""Packed files: read as what is in them, and refused in one line where they are broken, or made to fill a memory."""

import bz2
import gzip
import io
import lzma
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tunesmith.core.errors import DataError
from tunesmith.data import _unpacking, read
from tunesmith.data.records import iter_records, iter_rows

CSV = b"text,label\nfine,1\ndull,0\n"


def _zst(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def _zip(content: bytes, name: str = "inner/rows.csv") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return sink.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "csv.gz": gzip.compress,
    "csv.bz2": bz2.compress,
    "csv.xz": lzma.compress,
    "csv.zst": _zst,
    "zip": _zip,
}


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        list(iter_rows(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ending", PACKERS)
def test_a_packed_file_is_read_as_what_is_in_it(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    path.write_bytes(PACKERS[ending](CSV))
    assert list(iter_rows(path)) == [(2, {"text": "fine", "label": "1"}), (3, {"text": "dull", "label": "0"})]
    dataset = read(str(path))
    assert (dataset.facts.num_rows, dataset.facts.labels) == (2, ("0", "1"))


@pytest.mark.parametrize("ending", PACKERS)
def test_one_that_is_cut_off_is_said_to_be(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    whole = PACKERS[ending](b"a,b\n" + b"".join(b"%d,%d\n" % (i * 7919 % 10007, i) for i in range(5000)))
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be unpacked" in refused(path)


@pytest.mark.parametrize("ending", PACKERS)
def test_one_that_is_not_what_its_name_says(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    path.write_bytes(CSV)
    assert "cannot be unpacked" in refused(path)


def test_one_that_is_empty_inside_holds_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match="the file holds no rows"):
        read(str(path))


def test_an_archive_of_several_files_or_none_or_with_a_password(tmp_path: Path) -> None:
    path = tmp_path / "rows.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", CSV)
    assert "holds 2 files (a.csv, b.csv), expected one" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("empty")
    assert "holds 0 files, expected one" in refused(path)
    locked = bytearray(_zip(CSV))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(signature) + offset] |= 1
    path.write_bytes(locked)
    assert "has a password" in refused(path)


def test_what_a_mac_adds_to_an_archive_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "rows.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rows.csv", CSV)
        archive.writestr("__MACOSX/._rows.csv", b"x")
    assert len(list(iter_records(path))) == 2


def test_a_name_in_an_archive_leads_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "rows.zip"
    path.write_bytes(_zip(CSV, "../../escaped.csv"))
    assert "a name that leads out of it" in refused(path)
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["rows.zip"]
    assert not (tmp_path.parent / "escaped.csv").exists()


@pytest.mark.parametrize("name", ["rows.gz", "rows.doc.gz", "rows.docx"])
def test_a_kind_that_is_not_known(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(CSV))
    assert "a file of an unknown kind" in refused(path)


def test_parquet_packs_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet.gz"
    path.write_bytes(gzip.compress(b"PAR1"))
    assert "a packed parquet file" in refused(path)


@pytest.mark.skipif(sys.platform == "win32", reason="the memory of a process is read otherwise there")
@pytest.mark.parametrize(
    ("ending", "line", "said"),
    [
        ("csv.xz", b"a" * 999 + b"\n", "unpacks to more than 300 times its size"),
        ("csv.zst", b"\0" * 2**20, "unpacks to more than 300 times its size"),
        ("csv.gz", b"\0" * 2**20, "unpacks to more than 300 times its size"),
        ("zip", b"\0" * 2**20, "unpacks to more than 300 times its size"),
    ],
)
def test_a_file_made_to_fill_the_memory_does_not(ending: str, line: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    path.write_bytes(PACKERS[ending](b"a\n" + line * (100 * 2**20 // len(line))))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    assert said in refused(path)
    assert time.perf_counter() - started < 5
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 500


def test_a_file_that_packs_well_is_no_danger_while_it_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.txt.xz"
    path.write_bytes(lzma.compress(b"the same line\n" * 200_000))
    assert sum(1 for _ in iter_rows(path)) == 200_000
    monkeypatch.setattr(_unpacking, "_FREE_BYTES", 1000)
    assert "unpacks to more than" in refused(path)


def test_a_plain_line_can_be_too_long_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_unpacking, "LONGEST_LINE", 1000)
    path = tmp_path / "rows.txt"
    path.write_bytes(b"short\n" + b"x" * 999 + b"\n" + b"x" * 1001 + b"\n")
    with pytest.raises(DataError, match=r"rows\.txt:3: a line of more than"):
        list(iter_rows(path))
