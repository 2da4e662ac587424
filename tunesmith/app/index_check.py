"""How well an index finds what answers questions, where people have marked the spans that do."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tunesmith.app.index import Index, open_index
from tunesmith.app.interruption import Interruption
from tunesmith.context.fusion import fused
from tunesmith.context.measures import iou, ndcg, recall
from tunesmith.core.errors import DataError
from tunesmith.core.events import Event, Progress, Stage
from tunesmith.core.files import finite
from tunesmith.core.passages import Passage
from tunesmith.core.statistics import bootstrap, paired_bootstrap
from tunesmith.data.library import Document, read_library
from tunesmith.data.read import read_table

__all__ = ["check_index"]

_WAYS = ("by_meaning", "by_words", "both")
_DOCUMENT_KEYS = ("document", "corpus_id")
Tokens = frozenset[tuple[str, int]]
"""Document, and which of its tokens."""


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    references: Tokens
    document: str


def check_index(
    folder: Path, questions: str | Path, *, count: int = 5, seed: int = 0, progress: Callable[[Event], None] | None = None
) -> dict[str, Any]:
    """Search for each question by meaning, by words, and by both, and hold what is found against the spans that answer it.

    Args:
        questions: a table, or a source such as `python-questions`, with `question`, `references` (a text that stands in a document, a list of such, or of `{content, start_index, end_index}`; as JSON in a table of texts), and
            `document`, or `corpus_id`, its name with or without its ending.
        count: passages that are looked at.
    Returns: {schema, index, questions, rows, left_out, count, ways: {WAY: {recall, iou, ndcg}}, differences: {WAY: {...}}}. Every number has its 95 % interval over questions;
        `differences`: both rankings made one, minus that ranking alone, over the same questions. `left_out`: ROW -> why.
    Raises: UsageError, where there is no index, or its vectors' model is another by now; DataError, where no question can be used; FetchError; ModelError.
    """
    index = open_index(folder)
    with Interruption() as interruption:
        say = interruption.checked(progress)
        say(Stage("data", index.source))
        documents, stale = _documents(index)
        token_starts = {name: index.embedder.token_starts(one.text) for name, one in documents.items() if name not in stale}
        asked, left_out = _questions(index, questions, documents, stale, token_starts)
        if not asked:
            raise DataError(
                f"{questions}: no question can be used.{''.join(f' Row {row}: {why}' for row, why in list(left_out.items())[:1])}"
            )
        say(Stage("search", f"{len(asked):,} questions"))
        vectors_QH = index.embedder.vectors([one.text for one in asked])
        held = {name: [_held(one, token_starts) for one in index.store.passages(name)] for name in {one.document for one in asked}}
        stats = dict[str, list[tuple[float, ...]]]({way: [] for way in _WAYS})
        for number, one in enumerate(asked):
            say(Progress("search", number, len(asked)))
            rankings = index.rankings(one.text, vectors_QH[number], count)
            for way, ranking in zip(_WAYS, (*rankings, fused(rankings)), strict=True):
                found = [_held(passage, token_starts) for passage in ranking[:count]]
                stats[way].append(
                    (
                        recall(one.references, found, count),
                        iou(one.references, found, count),
                        ndcg(one.references, found, count, held[one.document]),
                    )
                )
    tables = {way: np.array(rows) for way, rows in stats.items()}
    document: dict[str, Any] = finite(
        {
            "schema": "tunesmith/index-check/1",
            "index": str(folder),
            "questions": str(questions),
            "rows": len(asked),
            "left_out": left_out,
            "count": count,
            "ways": {way: _measured(table, seed) for way, table in tables.items()},
            "differences": {way: _differences(tables[way], tables["both"], seed) for way in _WAYS[:2]},
        }
    )
    return document


_MEASURES = ("recall", "iou", "ndcg")


def _mean(stats_n1: Any) -> float:
    return float(stats_n1.mean())


def _measured(table: Any, seed: int) -> dict[str, Any]:
    return {name: asdict(bootstrap(table[:, [at]], _mean, seed=seed)) for at, name in enumerate(_MEASURES)}


def _differences(alone: Any, both: Any, seed: int) -> dict[str, Any]:
    pairs = {name: paired_bootstrap(alone[:, [at]], both[:, [at]], _mean, seed=seed) for at, name in enumerate(_MEASURES)}
    return {name: asdict(pair.difference) for name, pair in pairs.items()}


def _documents(index: Index) -> tuple[dict[str, Document], set[str]]:
    """The documents, and the names of those that are others than when they were indexed, or cannot be read now."""
    known = index.store.documents()
    found = {one.name: one for one in read_library(index.source) if isinstance(one, Document)}
    return found, {name for name in (*known, *found) if name not in found or found[name].sha256 != known.get(name)}


def _held(passage: Passage, token_starts: Mapping[str, Sequence[int]]) -> Tokens:
    if passage.document not in token_starts:  # of a document that has changed: it answers none of the questions that are asked
        return frozenset((passage.document, passage.start + place) for place in range(len(passage.text.split())))
    return _between(passage.document, passage.start, passage.end, token_starts[passage.document])


def _between(document: str, start: int, end: int, starts: Sequence[int]) -> Tokens:
    """The tokens that begin in a span, and the one that its beginning lies in."""
    first = max(bisect_right(starts, start) - 1, 0)
    return frozenset((document, place) for place in range(first, bisect_left(starts, end)))


def _questions(
    index: Index,
    questions: str | Path,
    documents: Mapping[str, Document],
    stale: AbstractSet[str],
    token_starts: Mapping[str, Sequence[int]],
) -> tuple[list[_Question], dict[str, str]]:
    """Those whose references stand in the documents, and why the others are left out."""
    names, found, left_out = _names(documents), list[_Question](), dict[str, str]()
    table = read_table(questions)
    for row, record in zip((origin.row for origin in table.origins), table.records, strict=True):
        called = str(next((record[key] for key in _DOCUMENT_KEYS if record.get(key)), ""))
        question, references = str(record.get("question") or "").strip(), _texts(record.get("references"))
        candidates = names.get(called, set())
        if not question or not references or not candidates:
            left_out[str(row)] = "expected question, references and document (or corpus_id), the name of an indexed one."
            continue
        if len(candidates) > 1:
            left_out[str(row)] = f"{called} is the name of {', '.join(sorted(candidates))}. Name one with its folder."
            continue
        (name,) = candidates
        if name in stale:
            left_out[str(row)] = f"{name} is not as it was indexed. Bring the index up to date: {index.command}."
            continue
        places = [(_nearest(documents[name].text, text, at), text) for text, at in references]
        missing = [text for place, text in places if place < 0]
        if missing:
            left_out[str(row)] = f"{name} does not hold: {missing[0][:60]}"
            continue
        spans = [_between(name, place, place + len(text), token_starts[name]) for place, text in places]
        found.append(_Question(question, frozenset().union(*spans), name))
    return found, left_out


def _names(documents: Iterable[str]) -> dict[str, set[str]]:
    """What people may call a document: by its name, that without its ending, or the file's alone, in this order."""
    found = dict[str, set[str]]()
    for shorten in (str, lambda name: str(PurePosixPath(name).with_suffix("")), lambda name: PurePosixPath(name).stem):
        called = dict[str, set[str]]()
        for name in documents:
            called.setdefault(shorten(name), set()).add(name)
        found = {**called, **found}
    return found


def _nearest(text: str, wanted: str, at: int | None) -> int:
    """Where `wanted` stands, nearest to `at` where that is told; -1, where it does not."""
    if at is None:
        return text.find(wanted)
    before, after = text.rfind(wanted, 0, at + len(wanted)), text.find(wanted, at)
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: abs(place - at), default=-1)


def _texts(given: Any) -> list[tuple[str, int | None]]:
    """Of one reference, or several, the texts, and where they begin, where that is told; what a table of texts holds as JSON is read as such."""
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            return [(given, None)]
    found = list[tuple[str, int | None]]()
    for one in given if isinstance(given, list) else [given]:
        text, at = (one.get("content"), one.get("start_index")) if isinstance(one, Mapping) else (one, None)
        if isinstance(text, str) and text.strip():
            found.append((text.replace("\r\n", "\n").strip(), at if isinstance(at, int) else None))
    return found
