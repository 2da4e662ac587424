"""Examples to encoded rows, with what was cut and dropped counted, kept on disk so that it is done once."""

import inspect as python_inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median_low
from typing import Any, Literal

from tunesmith.core.errors import DataError
from tunesmith.core.files import cache_folder, file_sha256, hash_of, hash_of_each
from tunesmith.core.types import Encoded, EncodedContext, EncodedWords, Encoder, Example, Objective, Origin, Row, Text, Tokens
from tunesmith.data._cache import load_rows, save_rows
from tunesmith.data.encoder import TextEncoder

__all__ = ["EncodedFacts", "EncodedRows", "Lengths", "Watching", "encode"]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a row, over the rows of a split; zeros where there are none."""

    min: int = 0
    median: int = 0
    p95: int = 0
    max: int = 0


@dataclass(frozen=True, slots=True)
class EncodedFacts:
    """What became of a split's examples."""

    num_rows: int
    """Encoded rows; a long text makes several."""
    num_examples: int
    """Examples that at least one row came from."""
    num_tokens: int
    num_scored_tokens: int
    lengths: Lengths
    num_cut: int
    """Examples that were cut to the model's length."""
    num_dropped: int
    """Examples left out: too long (where the recipe says so), or nothing left to learn."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows, and for each the index of its example."""

    rows: list[Row]
    examples: list[int]
    facts: EncodedFacts


class Watching:
    """An encoder that counts the tokens that it cut, over all that it was asked."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self.num_cut = encoder, 0

    def encode(self, example: Example) -> Encoded:
        """As the encoder's."""
        encoded = self._encoder.encode(example)
        self.num_cut += encoded.num_cut
        return encoded

    def windows(self, example: Text | Tokens) -> list[Encoded]:
        """As the encoder's."""
        windows = self._encoder.windows(example)
        self.num_cut += sum(window.num_cut for window in windows)
        return windows

    def words(self, words: Sequence[str]) -> EncodedWords:
        """As the encoder's."""
        found = self._encoder.words(words)
        self.num_cut += found.encoded.num_cut
        return found

    def contexts(self, question: str, context: str) -> list[EncodedContext]:
        """As the encoder's."""
        windows = self._encoder.contexts(question, context)
        self.num_cut += sum(window.encoded.num_cut for window in windows)
        return windows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


def encode(
    examples: Sequence[Example],
    objective: Objective,
    encoder: TextEncoder,
    *,
    cache_key: Any = None,
    too_long: Literal["cut", "drop", "refuse"] = "cut",
    name: str = "data",
) -> EncodedRows:
    """Encode every example as `objective` learns from it.

    Args:
        cache_key: what else the rows depend on (the objective's options); None: encode anew and keep nothing.
        too_long: what becomes of an example longer than the model takes.
        name: what notes and messages call the examples.
    Raises: DataError, where an example is too long and `too_long` is refuse, or where no example is left.
    """
    if objective.uses_lm_head and encoder.labelled_as != "answer":
        encoder = replace(encoder, labelled_as="answer")
    path = None
    if cache_key is not None and examples:
        key = hash_of(
            _code(), _source(type(objective)), repr(objective), cache_key, encoder.fingerprint(), too_long, hash_of_each(examples)
        )
        path = cache_folder("encoded") / f"{key}.npz"
        found = load_rows(path, examples)
        if found is not None:
            rows, owners, counts = found
            return EncodedRows(
                rows, owners, _facts(rows, owners, counts["num_cut"], counts["num_too_long"], len(examples), name, encoder.max_length)
            )
    rows, owners, num_cut, num_too_long = _encode(examples, objective, encoder, too_long)
    facts = _facts(rows, owners, num_cut, num_too_long, len(examples), name, encoder.max_length)
    if examples and not rows:
        cause = "longer than the model takes" if num_too_long == len(examples) else "left with nothing to learn after cutting"
        raise DataError(
            f"{name}: every one of the {len(examples)} rows is {cause} ({encoder.max_length} tokens). Raise model.max_length, or shorten the texts."
        )
    if path is not None:
        save_rows(path, rows, owners, examples, {"num_cut": num_cut, "num_too_long": num_too_long})
    return EncodedRows(rows, owners, facts)


def _encode(
    examples: Sequence[Example], objective: Objective, encoder: TextEncoder, too_long: str
) -> tuple[list[Row], list[int], int, int]:
    rows, owners, num_cut, num_too_long = list[Row](), list[int](), 0, 0
    for index, example in enumerate(examples):
        watching = Watching(encoder)
        found = objective.encode(example, watching)
        if watching.num_cut and too_long == "refuse":
            raise DataError(
                f"{_place(example.origin)}: {watching.num_cut} tokens longer than the {encoder.max_length} that fit. "
                "Shorten it, raise model.max_length, or set data.too_long to cut or drop."
            )
        if watching.num_cut and too_long == "drop":
            num_too_long += 1
            continue
        num_cut += bool(watching.num_cut and found)
        rows += found
        owners += [index] * len(found)
    return rows, owners, num_cut, num_too_long


def _facts(
    rows: Sequence[Row], owners: Sequence[int], num_cut: int, num_too_long: int, total: int, name: str, max_length: int
) -> EncodedFacts:
    num_examples = len(set(owners))
    num_nothing = total - num_examples - num_too_long
    notes = []
    if num_cut:
        notes.append(f"{name}: {num_cut} of {total} rows were cut to {max_length} tokens")
    if num_too_long:
        notes.append(f"{name}: {num_too_long} of {total} rows are longer than {max_length} tokens and were left out")
    if num_nothing:
        notes.append(f"{name}: {num_nothing} of {total} rows had nothing left to learn in {max_length} tokens and were left out")
    sizes = sorted(row.num_tokens for row in rows)
    lengths = Lengths(sizes[0], int(median_low(sizes)), sizes[-(-95 * len(sizes) // 100) - 1], sizes[-1]) if sizes else Lengths()
    return EncodedFacts(
        num_rows=len(rows),
        num_examples=num_examples,
        num_tokens=sum(sizes),
        num_scored_tokens=sum(len(row.targets.labels) for row in rows),
        lengths=lengths,
        num_cut=num_cut,
        num_dropped=total - num_examples,
        notes=tuple(notes),
    )


@cache
def _code() -> str:
    """A hash of the code that encodes, and of the versions that it works with."""
    here = Path(__file__).parent
    own = [file_sha256(here / name) for name in ("_cache.py", "encode.py", "encoder.py", "located.py", "render.py")]
    versions = []
    for package in ("transformers", "tokenizers", "tunesmith"):
        try:
            versions.append(version(package))
        except PackageNotFoundError:
            versions.append("")
    return hash_of(own, versions)


@cache
def _source(kind: type) -> str:
    """The source of an objective, with that of what it builds on in its own package."""
    try:
        folder = Path(python_inspect.getfile(kind)).parent
        return hash_of(kind.__qualname__, [python_inspect.getsource(kind), *(file_sha256(path) for path in sorted(folder.glob("_*.py")))])
    except (OSError, TypeError):  # defined where there is no source: a notebook's cell, an interpreter's line
        return f"{kind.__module__}.{kind.__qualname__}"


def _place(origin: Origin) -> str:
    return f"{origin.file}:{origin.row}"
