"""The lines of a text file, packed or plain, with what is wrong with their bytes."""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.data._decoding import BOM, decode
from tunesmith.data._unpacking import opened
from tunesmith.data.quarantine import InvalidRow
from tunesmith.data.table import Record

__all__ = ["LONGEST_TEXT", "Item", "raw_lines", "readable", "text_lines"]

Item = tuple[int, Record | InvalidRow]
"""What a reader finds: where it begins, and the record, or what keeps it from being one. What keeps the file from being read is raised."""

LONGEST_TEXT = 16 * 2**20
"""Characters. A longer field of a table, or paragraph of a text, is no example."""


def raw_lines(path: Path, name: str) -> Iterator[tuple[int, int, bytes]]:
    """(number, offset, content) of the physical lines of a file, a byte order mark left out."""
    offset = 0
    with opened(path, name) as file:
        for number, raw in enumerate(file.lines(), start=1):
            content = raw.removeprefix(BOM) if number == 1 else raw
            yield number, offset + len(raw) - len(content), content
            offset += len(raw)


def text_lines(path: Path, name: str) -> Iterator[str]:
    """The physical lines of a file, decoded, a byte order mark left out."""
    for number, offset, content in raw_lines(path, name):
        yield decode(content, name, number, offset)


def readable(content: bytes) -> str:
    """Bytes that are not UTF-8 as text for people."""
    return content.decode("utf-8", "backslashreplace")
