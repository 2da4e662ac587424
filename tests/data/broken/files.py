"""Builders of files that are broken, hostile, or made by other programs, and of their sound twins. Nothing binary is kept: each is made when it is asked for."""

import gzip
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = [
    "arrow",
    "bomb",
    "chat",
    "fifo",
    "file",
    "folder",
    "jsonl",
    "link",
    "parquet",
    "parquet_of_one_value",
    "repeated",
    "unreadable",
    "zipped",
    "zst",
]

Build = Callable[[Path], Path]
"""Makes what it is to be in an empty folder, and returns where it is."""


def file(name: str, content: str | bytes) -> Build:
    def build(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        return path

    return build


def jsonl(*records: Any, name: str = "a.jsonl") -> Build:
    """One JSON document a line; what is text already stands as it is. Lone surrogates are escaped, as JSON spells them."""
    return file(name, "".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records))


def chat(value: Any, column: str = "messages", **beside: Any) -> Build:
    return jsonl({column: value, **beside})


def repeated(name: str, begin: bytes, part: bytes, times: int, end: bytes = b"") -> Build:
    """A large file, written piece by piece."""

    def build(folder: Path) -> Path:
        path, block = folder / name, part * max(1, 2**20 // len(part))
        num_blocks, rest = divmod(times, max(1, 2**20 // len(part)))
        with path.open("wb") as sink:
            sink.write(begin)
            for _ in range(num_blocks):
                sink.write(block)
            sink.write(part * rest + end)
        return path

    return build


def zst(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def zipped(*members: tuple[str, bytes], mode: int = 0, password: bool = False) -> bytes:
    """A zip archive. `mode`: the Unix file type of its members; `password`: only the flag that says so."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, mode << 16
            archive.writestr(info, content)
    content_out = bytearray(sink.getvalue())
    if password:
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content_out[content_out.index(signature) + offset] |= 1
    return bytes(content_out)


def bomb(name: str, pack: Callable[[bytes], bytes], part: bytes, times: int, begin: bytes = b"") -> Build:
    """A packed file that unpacks to `begin` and `times` times `part`."""

    def build(folder: Path) -> Path:
        return file(name, pack(begin + part * times))(folder)

    return build


def parquet(columns: dict[str, Sequence[Any]], name: str = "a.parquet", cut: int | None = None) -> Build:
    """A parquet file, or the first `cut` bytes of it."""

    def build(folder: Path) -> Path:
        path = folder / name
        pq.write_table(pa.table(columns), path)
        if cut is not None:
            path.write_bytes(path.read_bytes()[:cut])
        return path

    return build


def parquet_of(table: Callable[[], pa.Table]) -> Build:
    def build(folder: Path) -> Path:
        pq.write_table(table(), folder / "a.parquet")
        return folder / "a.parquet"

    return build


def parquet_of_one_value(num_characters: int, num_rows: int) -> Build:
    """A small file: one text, kept once, that every row repeats."""

    def build(folder: Path) -> Path:
        column = pa.DictionaryArray.from_arrays(pa.array([0] * num_rows, pa.int32()), pa.array(["x" * num_characters]))
        schema = pa.schema({"text": pa.dictionary(pa.int32(), pa.string())})
        pq.write_table(pa.table([column], schema=schema), folder / "a.parquet", compression="zstd", store_schema=False)
        return folder / "a.parquet"

    return build


def two_columns_of_a_name() -> pa.Table:
    return pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["text", "text"])


def texts_that_are_not_utf8() -> pa.Table:
    raw = pa.array([b"fine", b"caf\xe9"], pa.binary())
    buffers = raw.buffers()
    return pa.table({"text": pa.Array.from_buffers(pa.string(), 2, buffers)})


def arrow(name: str = "a.arrow") -> Build:
    def build(folder: Path) -> Path:
        table = pa.table({"text": ["a", "b"]})
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return folder / name

    return build


def folder(**texts: bytes) -> Build:
    """A folder of text files; `neg__1` is neg/1.txt."""

    def build(root: Path) -> Path:
        home = root / "texts"
        home.mkdir()
        for name, content in texts.items():
            path = home / f"{name.replace('__', '/')}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        return home

    return build


def named(name: str) -> Build:
    """A path at which nothing is made."""
    return lambda root: root / name


def link(name: str, target: str) -> Build:
    def build(root: Path) -> Path:
        (root / name).symlink_to(target)
        return root / name

    return build


def fifo(name: str) -> Build:
    def build(root: Path) -> Path:
        os.mkfifo(root / name)
        return root / name

    return build


def unreadable(name: str, content: str) -> Build:
    def build(root: Path) -> Path:
        path = file(name, content)(root)
        path.chmod(0)
        return path

    return build


def gzip_with_a_wrong_checksum(content: bytes) -> bytes:
    packed = bytearray(gzip.compress(content))
    packed[-8:-4] = struct.pack("<I", 12345)
    return bytes(packed)


def zip_with_a_wrong_directory(content: bytes) -> bytes:
    """The offset of the central directory leads before the file."""
    packed = bytearray(zipped(("rows.csv", content)))
    end = packed.rindex(b"PK\x05\x06")
    packed[end + 12 : end + 16] = struct.pack("<I", 2**31)
    return bytes(packed)
