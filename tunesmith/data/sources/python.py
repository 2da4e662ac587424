"""The running Python itself: docstrings (function -> first sentence of its docstring) and python-reference (pages of the language reference)."""

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
from tunesmith.data.table import Table, TableFacts

__all__ = ["Python"]

_LICENCE = "PSF-2.0"
_CITATION = f"Python Software Foundation, Python {sys.version_info.major}.{sys.version_info.minor}, https://docs.python.org/"
_PASSED_OVER = ("site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test")
_LINES = range(4, 32)
_WORDS = range(4, 41)
_LAYOUT = 1
"""Changes when the pairs below would be made otherwise: part of the cache's key."""


@dataclass(frozen=True, kw_only=True)
class Python:
    """Read pairs or pages out of the standard library's source, without importing it."""

    rank = 10

    def claims(self, source: Any) -> bool:
        """Whether `source` is `docstrings` or `python-reference`."""
        return isinstance(source, str) and source in ("docstrings", "python-reference")

    def read(self, source: Any) -> Table:
        """Every pair or page. Raises: DataError, where this Python comes without its sources."""
        return _docstrings() if source == "docstrings" else _reference()


def _docstrings() -> Table:
    root = Path(sysconfig.get_path("stdlib"))
    contents = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in _sources(root)]
    digest = hashlib.sha256()
    for name, content in contents:
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    cached = cache_folder("data") / f"docstrings-{hash_of(_LAYOUT, sys.version, digest.hexdigest())[:32]}.json"
    rows = _cached_rows(cached)
    if rows is None:
        found: dict[tuple[str, str], tuple[str, int]] = {}
        for name, content in contents:
            for line, source, target in _pairs(content):
                found.setdefault((source, target), (name, line))
        rows = [[name, line, source, target] for (source, target), (name, line) in found.items()]
        if rows:
            write_json(cached, rows)
    if not rows:
        raise DataError(
            f"docstrings: {root} holds no Python source with docstrings. Use a Python that comes with its standard library's sources."
        )
    return Table(
        [{"source": source, "target": target} for _, _, source, target in rows],
        [Origin(f"docstrings:{name}", line) for name, line, _, _ in rows],
        TableFacts(
            "docstrings",
            digest.hexdigest(),
            _LICENCE,
            _CITATION,
            (f"docstrings: read from the standard library of Python {sys.version.split()[0]}",),
        ),
    )


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


def _pairs(content: bytes) -> Iterator[tuple[int, str, str]]:
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
        if sum(bool(line.strip()) for line in kept) in _LINES:
            yield node.lineno, textwrap.dedent("\n".join(kept)).strip(), sentence


def _first_sentence(docstring: str) -> str:
    """The first sentence of the first paragraph, on one line; nothing where it does not end in a full stop."""
    sentence = re.split(r"(?<=[.!?])\s", " ".join(docstring.partition("\n\n")[0].split()), maxsplit=1)[0]
    return sentence if sentence.endswith(".") else ""


def _reference() -> Table:
    try:
        from pydoc_data import topics
    except ImportError:
        raise DataError(
            "python-reference: this Python comes without pydoc_data.topics. Use a Python with its whole standard library."
        ) from None
    pages = sorted(topics.topics.items())
    return Table(
        [{"text": text.strip(), "topic": topic} for topic, text in pages],
        [Origin("python-reference", row) for row in range(1, len(pages) + 1)],
        TableFacts("python-reference", hash_of(pages), _LICENCE, _CITATION),
    )
