"""The running Python itself: docstrings (function -> first sentence of its docstring), docstring-choices (a shorter function, and which of four sentences is
its docstring's) and python-reference (pages of the language reference).
"""

import ast
import hashlib
import json
import os
import re
import sys
import sysconfig
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import cache_folder, hash_of, write_json
from tunesmith.core.types import Origin
from tunesmith.data.sources._pages import reference_pages
from tunesmith.data.table import Table, TableFacts

__all__ = ["Python"]

_LICENCE = "PSF-2.0"
_CITATION = f"Python Software Foundation, Python {sys.version_info.major}.{sys.version_info.minor}, https://docs.python.org/"
_PASSED_OVER = ("site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test")
_LINES = range(4, 32)
_FEW_LINES = range(2, 4)
"""Of the functions of docstring-choices: none of those of docstrings, so that the two can stand in one mixture."""
_NUM_CHOICES = 4
_WORDS = range(4, 41)
_LAYOUT = 1
"""Changes when the pairs below would be made otherwise: part of the cache's key."""


@dataclass(frozen=True, kw_only=True)
class Python:
    """Read pairs or pages out of the standard library's source, without importing it."""

    rank = 10

    def claims(self, source: Any) -> bool:
        """Whether `source` is `docstrings`, `docstring-choices` or `python-reference`."""
        return isinstance(source, str) and source in ("docstrings", "docstring-choices", "python-reference")

    def read(self, source: Any) -> Table:
        """Every pair, question or page. Raises: DataError, where this Python comes without its sources."""
        if source == "python-reference":
            return _reference()
        return _docstrings() if source == "docstrings" else _choices()


def _docstrings() -> Table:
    """Functions of 4 to 31 lines, without their docstring, and its first sentence."""
    rows, sha256 = _functions("docstrings", _LINES)
    return _table("docstrings", [{"source": row[2], "target": row[3]} for row in rows], rows, sha256)


def _choices() -> Table:
    """Functions of 2 or 3 lines, and four sentences, of which three are other functions'; drawn by hash, the same for everybody."""
    rows, sha256 = _functions("docstring-choices", _FEW_LINES)
    sentences = list(dict.fromkeys(row[3] for row in rows))
    if len(sentences) < _NUM_CHOICES:
        raise DataError(
            "docstring-choices: this Python's sources hold too few short functions with docstrings. Use one that comes with all of them."
        )
    records = []
    for _, _, source, right in rows:
        chosen, draw = [right], 0
        while len(chosen) < _NUM_CHOICES:
            other = sentences[_drawn(source, draw) % len(sentences)]
            draw += 1
            if other not in chosen:
                chosen.append(other)
        at = _drawn(source, -1) % _NUM_CHOICES
        chosen[0], chosen[at] = chosen[at], chosen[0]
        records.append({"question": source, "choices": chosen, "answer": at})
    return _table("docstring-choices", records, rows, sha256)


def _drawn(text: str, draw: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{draw}\0{text}".encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _table(alias: str, records: list[dict[str, Any]], rows: list[list[Any]], sha256: str) -> Table:
    note = f"{alias}: read from the standard library of Python {sys.version.split()[0]}"
    return Table(
        records, [Origin(f"{alias}:{name}", line) for name, line, _, _ in rows], TableFacts(alias, sha256, _LICENCE, _CITATION, (note,))
    )


def _functions(alias: str, num_lines: range) -> tuple[list[list[Any]], str]:
    """(file, line, source, sentence) of every function of so many lines, and the hash of what was read."""
    root = Path(sysconfig.get_path("stdlib"))
    contents = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in _sources(root)]
    digest = hashlib.sha256()
    for name, content in contents:
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    cached = cache_folder("data") / f"{alias}-{hash_of(_LAYOUT, sys.version, digest.hexdigest())[:32]}.json"
    rows = _cached_rows(cached)
    if rows is None:
        found: dict[tuple[str, str], tuple[str, int]] = {}
        for name, content in contents:
            for line, source, target in _pairs(content, num_lines):
                found.setdefault((source, target), (name, line))
        rows = [[name, line, source, target] for (source, target), (name, line) in found.items()]
        if rows:
            write_json(cached, rows)
    if not rows:
        raise DataError(
            f"{alias}: {root} holds no Python source with docstrings. Use a Python that comes with its standard library's sources."
        )
    return rows, digest.hexdigest()


def _cached_rows(path: Path) -> list[list[Any]] | None:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return rows if all(len(row) == 4 for row in rows) else None
    except (OSError, ValueError, TypeError):
        return None


def _sources(root: Path) -> Iterator[Path]:
    """The standard library's modules, in a fixed order, without its tests and without what was installed beside it."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER)
        yield from (Path(folder) / name for name in sorted(files) if name.endswith(".py"))


def _pairs(content: bytes, num_lines: range = _LINES) -> Iterator[tuple[int, str, str]]:
    """(line, source of a function without its docstring, first sentence of its docstring)"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = content.decode("utf-8")
            tree = ast.parse(text)
    except (SyntaxError, ValueError):  # a module in another encoding, or one that is meant not to parse
        return
    lines = text.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or len(node.body) < 2:
            continue
        sentence, doc = _first_sentence(ast.get_docstring(node) or ""), node.body[0]
        if len(sentence.split()) not in _WORDS or doc.lineno == node.lineno:
            continue
        kept = lines[node.lineno - 1 : doc.lineno - 1] + lines[doc.end_lineno : node.end_lineno]
        if sum(bool(line.strip()) for line in kept) in num_lines:
            yield node.lineno, textwrap.dedent("\n".join(kept)).strip(), sentence


def _first_sentence(docstring: str) -> str:
    """The first sentence of the first paragraph, on one line; nothing where it does not end in a full stop."""
    sentence = re.split(r"(?<=[.!?])\s", " ".join(docstring.partition("\n\n")[0].split()), maxsplit=1)[0]
    return sentence if sentence.endswith(".") else ""


def _reference() -> Table:
    pages = reference_pages("python-reference")
    return Table(
        [{"text": text, "topic": topic} for topic, text in pages],
        [Origin("python-reference", row) for row in range(1, len(pages) + 1)],
        TableFacts("python-reference", hash_of(pages), _LICENCE, _CITATION, beside=("topic",)),
    )
