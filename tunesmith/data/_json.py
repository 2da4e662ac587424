"""JSON as data files hold it: one document a line, or an array that is read item by item, in bounded memory.

Python's parser reads it. Beyond what that refuses: an object that has a key twice, of which one value would vanish without a word, and documents
made to fill a memory.
"""

import json
from collections.abc import Iterator
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.data._decoding import BOM, decode

__all__ = ["array_items", "document"]

_LARGE_CHARACTERS = 4 * 2**20
_MOST_VALUES = 2_000_000
"""Commas and brackets of a document above `_LARGE_CHARACTERS`: each may be a value of a hundred bytes in memory."""
_LONGEST_ITEM = 16 * 2**20
"""Characters. A longer item is no example."""
_GROWTH = 8 * 2**20
_CHUNK_END = 16
"""Characters at the end of what was read so far: an error there may be for want of the rest (`\\u12`, `-`, `tru`)."""


class _KeyTwice(ValueError):
    """An object has a key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set[str]()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _KeyTwice(f'an object has the key "{twice[:60]}" twice. Keep one of them.')
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def document(text: str, place: str) -> Any:
    """The value of one JSON document. Raises: DataError, beginning with `place`."""
    _refuse_too_many(text, place)
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        said = f"broken JSON: {error.msg}, column {min(error.pos, len(text.rstrip())) + 1}"
        raise DataError(f"{place}: {said}. Each line must be one JSON object.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: {_unreadable(error)}") from None


def _unreadable(error: ValueError | RecursionError) -> str:
    """Why a document of sound syntax is not read."""
    if isinstance(error, RecursionError):
        return "JSON nested too deeply to read."
    if isinstance(error, _KeyTwice):
        return str(error)
    return "a number of too many digits. Write it as text, or remove it."  # Python's own limit, 4,300


def _refuse_too_many(text: str, place: str) -> None:
    if len(text) > _LARGE_CHARACTERS and text.count(",") + text.count("[") + text.count("{") > _MOST_VALUES:
        raise DataError(f"{place}: more than {_MOST_VALUES:,} values in one row. Each row is one example.")


def array_items(chunks: Iterator[bytes], name: str) -> Iterator[Any]:
    """The items of the array that a file holds, or of the one at its key "data", one at a time.

    Raises: DataError, naming the line, where it is broken, or no array.
    """
    text = _Window(chunks, name)
    first, is_found = text.peek(), False
    if first == "[":
        is_found = True
        yield from _items(text)
    elif first == "{":
        for key in _keys(text):
            if key == "data" and text.peek() == "[" and not is_found:
                is_found = True
                yield from _items(text)
            else:
                text.value()
    elif first:
        text.value()
    if text.peek():
        raise DataError(f"{name}:{text.line}: more than one JSON document. Where each line is one, name the file .jsonl.")
    if not is_found:
        raise DataError(f'{name}: expected an array of objects, or {{"data": [...]}}.')


def _items(text: "_Window") -> Iterator[Any]:
    text.take("[")
    if text.peek() == "]":
        return text.take("]")
    while True:
        text.peek()
        yield text.value()
        if text.peek() == "]":
            return text.take("]")
        text.take(",")


def _keys(text: "_Window") -> Iterator[str]:
    """The keys of an object; whoever takes one reads its value before the next."""
    text.take("{")
    if text.peek() == "}":
        return text.take("}")
    while True:
        if text.peek() != '"':
            raise text.broken("Expecting property name enclosed in double quotes", text.at)
        key = text.value()
        text.peek()
        text.take(":")
        text.peek()
        yield key
        if text.peek() == "}":
            return text.take("}")
        text.take(",")


class _Window:
    """The part of a file's text that is being read."""

    def __init__(self, chunks: Iterator[bytes], name: str) -> None:
        self._chunks, self._name = chunks, name
        self._undecoded, self._num_bytes = b"", 0
        self._buffer, self.at, self._ended = "", 0, False
        self._line, self._column = 1, 0  # of the buffer's first character

    @property
    def line(self) -> int:
        """The line of the next character, from 1."""
        return self._line + self._buffer.count("\n", 0, self.at)

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            while self.at < len(self._buffer):
                if self._buffer[self.at] not in " \t\n\r":
                    return self._buffer[self.at]
                self.at += 1
            if self._ended:
                return ""
            self._more()

    def take(self, character: str) -> None:
        """Pass over `character`. Raises: DataError, where another one is next."""
        if self.peek() != character:
            raise self.broken(f"Expecting '{character}'", self.at)
        self.at += 1

    def value(self) -> Any:
        """The value that begins here. Raises: DataError."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self.at)
                rest = self._buffer[end : end + _CHUNK_END]
                if self._ended or (
                    rest and (rest[0] not in ".eE" or len(rest) == _CHUNK_END)
                ):  # else a number might go on: `1`, `1.`, `1e+`
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                may_go_on = error.msg.startswith("Unterminated string") or error.pos >= len(self._buffer) - _CHUNK_END
                if self._ended or not may_go_on:
                    raise self.broken(error.msg, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise DataError(f"{self._name}:{self.line}: {_unreadable(error)}") from None
            if len(self._buffer) - self.at > _LONGEST_ITEM:
                raise DataError(f"{self._name}:{self.line}: an item of more than {_LONGEST_ITEM:,} characters. Each item is one example.")
            self._more()
            _refuse_too_many(self._buffer, f"{self._name}:{self.line}")

    def broken(self, said: str, at: int) -> DataError:
        """The error for what stands at `at` in the buffer."""
        num_lines = self._buffer.count("\n", 0, at)
        column = at - self._buffer.rfind("\n", 0, at) - 1 if num_lines else self._column + at
        return DataError(f"{self._name}:{self._line + num_lines}: broken JSON: {said}, column {column + 1}.")

    def _more(self) -> None:
        """Read on: as much again as is not used up, at most 8 MB, so that nothing is parsed more often than a few times."""
        passed, self._buffer = self._buffer[: self.at], self._buffer[self.at :]
        num_lines = passed.count("\n")
        self._column = len(passed) - passed.rfind("\n") - 1 if num_lines else self._column + len(passed)
        self._line, self.at = self._line + num_lines, 0
        wanted, parts = len(self._buffer) + min(len(self._buffer), _GROWTH) + 1, [self._buffer]
        while sum(map(len, parts)) < wanted and not self._ended:
            parts.append(self._decoded(parts))
        self._buffer = "".join(parts)

    def _decoded(self, before: list[str]) -> str:
        """The next chunk as text; the bytes of a character that is cut in two wait for the next."""
        chunk = next(self._chunks, b"")
        self._ended = not chunk
        if self._num_bytes == 0:
            chunk = chunk.removeprefix(BOM)
        content = self._undecoded + chunk
        cut = 0 if self._ended else _num_cut(content)
        whole, self._undecoded = content[: len(content) - cut], content[len(content) - cut :]
        line = self._line + sum(part.count("\n") for part in before)
        text = _decode(whole, self._name, line, self._num_bytes)
        self._num_bytes += len(whole)
        return text


def _num_cut(content: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 that goes on after them."""
    for back in range(1, min(4, len(content) + 1)):
        byte = content[-back]
        if byte >= 0xC0:
            return back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            return 0
    return 0


def _decode(content: bytes, name: str, line: int, before_bytes: int) -> str:
    """As `decode`; the line is found only where something is wrong."""
    if before_bytes == 0:
        return decode(content, name)
    try:
        if b"\0" not in content:
            return content.decode("utf-8")
        at = content.index(b"\0")
    except UnicodeDecodeError as error:
        at = error.start
    return decode(content, name, line + content.count(b"\n", 0, at), before_bytes)
