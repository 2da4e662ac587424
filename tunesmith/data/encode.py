"""Examples to encoded rows, with what was cut and dropped counted, kept on disk so that it is done once."""

import inspect as python_inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.files import cache_folder, file_sha256, hash_of, hash_of_each, staged_file
from tunesmith.core.garbage import collected_later
from tunesmith.core.types import Encoded, EncodedContext, EncodedWords, Encoder, Example, Objective, Origin, Text, Tokens
from tunesmith.data.encoder import TextEncoder
from tunesmith.data.row_table import Damaged, RowTable, RowWriter, read_rows
from tunesmith.data.tokenizing import Tokenized

__all__ = ["EncodedFacts", "EncodedRows", "Lengths", "Watching", "encode"]

_AHEAD = 2
"""Batches that are tokenized while the rows of another are made."""
_BATCH = 512
"""Examples that are rendered and tokenized together."""


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

    rows: RowTable
    examples: list[int]
    facts: EncodedFacts


class Watching:
    """An encoder that counts the tokens that it cut, over all that it was asked."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self.num_cut = encoder, 0

    def encode(self, example: Example) -> Encoded:
        """As the encoder's."""
        return self._counted(self._encoder.encode(example))

    def windows(self, example: Text | Tokens) -> list[Encoded]:
        """As the encoder's."""
        return [self._counted(window) for window in self._encoder.windows(example)]

    def words(self, words: Sequence[str]) -> EncodedWords:
        """As the encoder's."""
        found = self._encoder.words(words)
        self._counted(found.encoded)
        return found

    def contexts(self, question: str, context: str) -> list[EncodedContext]:
        """As the encoder's."""
        windows = self._encoder.contexts(question, context)
        for window in windows:
            self._counted(window.encoded)
        return windows

    def _counted(self, encoded: Encoded) -> Encoded:
        self.num_cut += encoded.num_cut
        return encoded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


class _Batch(Watching):
    """For the examples of one batch, which are encoded together when the first is asked for."""

    def __init__(self, encoder: TextEncoder, together: Sequence[Example], tokenized: Callable[[], Tokenized]) -> None:
        """`together`: its conversations, whose tokens `tokenized` waits for."""
        super().__init__(encoder)
        self._together, self._tokenized = together, tokenized
        self._assemble = encoder.assembled
        self._encoded: dict[int, Encoded] | None = None

    def encode(self, example: Example) -> Encoded:
        """As the encoder's."""
        if self._encoded is None:
            self._encoded = dict(zip(map(id, self._together), self._assemble(self._tokenized()), strict=True)) if self._together else {}
        encoded = self._encoded.get(id(example))
        return super().encode(example) if encoded is None else self._counted(encoded)


@dataclass(slots=True)
class _Counts:
    """Of a split's examples."""

    num_examples: int = 0
    num_cut: int = 0
    num_too_long: int = 0


def encode(
    examples: Iterable[Example],
    objective: Objective,
    encoder: TextEncoder,
    *,
    cache_key: Any = None,
    too_long: Literal["cut", "drop", "refuse"] = "cut",
    name: str = "data",
    file: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> EncodedRows:
    """Encode every example as `objective` learns from it.

    Args:
        examples: where there is a `cache_key`, a sequence; else any stream, of which a few hundred at a time are held in memory.
        cache_key: what else the rows depend on (the objective's options); None: encode anew and keep nothing.
        too_long: what becomes of an example longer than the model takes.
        name: what notes and messages call the examples.
        progress: is told how many examples are done.
        file: without a `cache_key`, where the rows are written, in place of memory.
    Raises: DataError, where an example is too long and `too_long` is refuse, or where no example is left.
    """
    if objective.uses_lm_head and encoder.labelled_as != "answer":
        encoder = replace(encoder, labelled_as="answer")
    if cache_key is not None:
        examples = examples if isinstance(examples, Sequence) else list(examples)
        if examples:
            parts = (_code(), _source(type(objective)), repr(objective), cache_key, encoder.fingerprint(), too_long, hash_of_each(examples))
            file = cache_folder("encoded") / f"{hash_of(*parts)}.rows"
            found = _kept(file)
            if found is not None:
                return _encoded(*found, name, encoder.max_length)
    if file is None:
        writer = RowWriter()
        counts = _write(examples, objective, encoder, too_long, writer, name, progress)
        return _encoded(writer.table(), counts, name, encoder.max_length)
    with staged_file(file) as staged, staged.open("wb") as out:
        writer = RowWriter(out)
        writer.close(asdict(_write(examples, objective, encoder, too_long, writer, name, progress)))
    found = _kept(file)
    if found is None:
        raise DataError(f"{file}: was written and cannot be read again. Look at the disk.")
    return _encoded(*found, name, encoder.max_length)


def _kept(file: Path) -> tuple[RowTable, _Counts] | None:
    """What an earlier call wrote; None where there is nothing, or nothing whole."""
    try:
        rows, counts = read_rows(file)
        return rows, _Counts(**counts)
    except (OSError, Damaged, ValueError, KeyError, TypeError):
        return None


@collected_later()  # nothing here is a cycle, and nearly all that is made stays
def _write(
    examples: Iterable[Example],
    objective: Objective,
    encoder: TextEncoder,
    too_long: str,
    writer: RowWriter,
    name: str,
    progress: Callable[[int], None],
) -> _Counts:
    """Encode batch after batch; while the rows of one are made, the next one is tokenized."""
    counts, num_rows = _Counts(), 0
    for batch, watching in _tokenized_ahead(examples, objective, encoder):
        for example in batch:
            num_cut_before = watching.num_cut
            found = objective.encode(example, watching)
            num_cut = watching.num_cut - num_cut_before
            index, counts.num_examples = counts.num_examples, counts.num_examples + 1
            if num_cut and too_long == "refuse":
                raise DataError(
                    f"{_place(example.origin)}: {num_cut} tokens longer than the {encoder.max_length} that fit. "
                    "Shorten it, raise model.max_length, or set data.too_long to cut or drop."
                )
            if num_cut and too_long == "drop":
                counts.num_too_long += 1
                continue
            counts.num_cut += bool(num_cut and found)
            num_rows += len(found)
            writer.add(found, index)
        progress(counts.num_examples)
    if counts.num_examples and not num_rows:
        cause = "longer than the model takes" if counts.num_too_long == counts.num_examples else "left with nothing to learn after cutting"
        raise DataError(
            f"{name}: every one of the {counts.num_examples} rows is {cause} ({encoder.max_length} tokens). Raise model.max_length, or shorten the texts."
        )
    return counts


def _tokenized_ahead(examples: Iterable[Example], objective: Objective, encoder: TextEncoder) -> Iterator[tuple[list[Example], _Batch]]:
    """Batches of examples, and what encodes those of each: the tokens of the next ones' conversations are being made meanwhile."""
    batches, waiting = _batches(examples), deque[tuple[list[Example], _Batch]]()
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="tokenizing") as pool:

        def begun(batch: list[Example]) -> _Batch:
            talks = [example for example in batch if encoder.is_conversation(example)]
            if not talks or not objective.uses_lm_head:
                return _Batch(encoder, talks, lambda: encoder.tokenized(talks))
            return _Batch(encoder, talks, pool.submit(encoder.tokenized, talks).result)

        for batch in batches:
            waiting.append((batch, begun(batch)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        yield from waiting


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    stream = iter(examples)
    while batch := list(islice(stream, _BATCH)):
        yield batch


def _encoded(rows: RowTable, counts: _Counts, name: str, max_length: int) -> EncodedRows:
    owners, total = rows.owners(), counts.num_examples
    num_examples = len(np.unique(owners))
    num_nothing = total - num_examples - counts.num_too_long
    notes = []
    if counts.num_cut:
        notes.append(f"{name}: {counts.num_cut} of {total} rows were cut to {max_length} tokens")
    if counts.num_too_long:
        notes.append(f"{name}: {counts.num_too_long} of {total} rows are longer than {max_length} tokens and were left out")
    if num_nothing:
        notes.append(f"{name}: {num_nothing} of {total} rows had nothing left to learn in {max_length} tokens and were left out")
    sizes = np.sort(rows.num_tokens())
    places = (0, (len(sizes) - 1) // 2, -(-95 * len(sizes) // 100) - 1, -1)  # the lower median; the least that 95 % do not exceed
    lengths = Lengths(*(int(sizes[place]) for place in places)) if len(sizes) else Lengths()
    facts = EncodedFacts(
        num_rows=len(rows),
        num_examples=num_examples,
        num_tokens=int(sizes.sum()),
        num_scored_tokens=int(rows.num_targets().sum()),
        lengths=lengths,
        num_cut=counts.num_cut,
        num_dropped=total - num_examples,
        notes=tuple(notes),
    )
    return EncodedRows(rows, owners.tolist(), facts)


@cache
def _code() -> str:
    """A hash of the code that encodes, and of the versions that it works with."""
    here = Path(__file__).parent
    own = [
        file_sha256(here / name)
        for name in (
            "_look_alikes.py",
            "_pieces.py",
            "_recent.py",
            "_shapes.py",
            "_template_worker.py",
            "columns.py",
            "encode.py",
            "encoder.py",
            "located.py",
            "render.py",
            "row_table.py",
            "talks.py",
            "tokenizing.py",
            "wording.py",
        )
    ]
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
