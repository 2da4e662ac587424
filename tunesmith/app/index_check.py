"""How well an index finds what answers questions, where people have marked the spans that do."""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.app.index import Index, open_index
from tunesmith.app.interruption import Interruption
from tunesmith.context.fusion import fused
from tunesmith.context.measures import iou, ndcg, recall
from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.events import Event, Progress, Stage
from tunesmith.core.files import finite
from tunesmith.core.passages import Passage
from tunesmith.core.statistics import bootstrap, paired_bootstrap
from tunesmith.data import iter_rows
from tunesmith.data.library import Document, read_library

__all__ = ["check_index"]

_WAYS = ("by_meaning", "by_words", "both")
_DOCUMENT_KEYS = ("document", "corpus_id")
Tokens = frozenset[tuple[str, int]]
"""Document, and which of its tokens."""


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    references: Tokens
    documents: frozenset[str]


def check_index(
    folder: Path, questions: Path, *, count: int = 5, seed: int = 0, progress: Callable[[Event], None] | None = None
) -> dict[str, Any]:
    """Search for each question by meaning, by words, and by both, and hold what is found against the spans that answer it.

    Args:
        questions: a table with `question`, `references` (a text that stands in a document, a list of such, or of `{content, start_index, end_index}`; as JSON in a table of texts), and
            `document`, or `corpus_id`, its name with or without its ending.
        count: passages that are looked at.
    Returns: {schema, index, questions, rows, left_out, count, ways: {WAY: {recall, iou, ndcg}}, differences: {WAY: {...}}}. Every number has its 95 % interval over questions;
        `differences`: both rankings made one, minus that ranking alone, over the same questions. `left_out`: ROW -> why.
    Raises: UsageError, where there is no index, its vectors' model is another by now, or its documents are; DataError, where no question can be used; FetchError; ModelError.
    """
    index = open_index(folder)
    with Interruption() as interruption:
        say = interruption.checked(progress)
        say(Stage("data", index.source))
        documents = _documents(index)
        token_starts = {name: index.embedder.token_starts(one.text) for name, one in documents.items()}
        asked, left_out = _questions(questions, documents, token_starts)
        if not asked:
            raise DataError(
                f"{questions}: no question can be used.{''.join(f' Row {row}: {why}' for row, why in list(left_out.items())[:1])}"
            )
        say(Stage("search", f"{len(asked):,} questions"))
        vectors_QH = index.embedder.vectors([one.text for one in asked])
        stats = dict[str, list[tuple[float, ...]]]({way: [] for way in _WAYS})
        for number, one in enumerate(asked):
            say(Progress("search", number, len(asked)))
            rankings = index.rankings(one.text, vectors_QH[number], count)
            every = [_held(passage, token_starts) for name in one.documents for passage in index.store.passages(name)]
            for way, ranking in zip(_WAYS, (*rankings, fused(rankings)), strict=True):
                found = [_held(passage, token_starts) for passage in ranking[:count]]
                stats[way].append(
                    (recall(one.references, found, count), iou(one.references, found, count), ndcg(one.references, found, count, every))
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


def _documents(index: Index) -> dict[str, Document]:
    """The documents as they were indexed. Raises: UsageError, where they are others by now."""
    known = index.store.documents()
    found = {one.name: one for one in read_library(index.source) if isinstance(one, Document)}
    stale = [name for name in known if name not in found or found[name].sha256 != known[name]]
    if stale or len(found) > len(known):
        raise UsageError(f"{index.folder}: its documents have changed since. Bring it up to date: tunesmith index {index.source}.")
    return found


def _held(passage: Passage, token_starts: Mapping[str, Sequence[int]]) -> Tokens:
    return _between(passage.document, passage.start, passage.end, token_starts[passage.document])


def _between(document: str, start: int, end: int, starts: Sequence[int]) -> Tokens:
    return frozenset((document, place) for place in range(bisect_left(starts, start), bisect_left(starts, end)))


def _questions(
    file: Path, documents: Mapping[str, Document], token_starts: Mapping[str, Sequence[int]]
) -> tuple[list[_Question], dict[str, str]]:
    """Those whose references stand in the documents, and why the others are left out."""
    names = {key: name for name in documents for key in (name, Path(name).stem)} | {name: name for name in documents}
    found, left_out = list[_Question](), dict[str, str]()
    for row, record in iter_rows(file):
        name = names.get(str(next((record[key] for key in _DOCUMENT_KEYS if record.get(key)), "")))
        question, references = str(record.get("question") or "").strip(), _texts(record.get("references"))
        if name is None or not question or not references:
            left_out[str(row)] = "expected question, references and document (or corpus_id), the name of an indexed one."
            continue
        text = documents[name].text
        places = [(text.find(reference), reference) for reference in references]
        missing = [reference for place, reference in places if place < 0]
        if missing:
            left_out[str(row)] = f"{name} does not hold: {missing[0][:60]}"
            continue
        spans = [_between(name, place, place + len(reference), token_starts[name]) for place, reference in places]
        found.append(_Question(question, frozenset().union(*spans), frozenset([name])))
    return found, left_out


def _texts(given: Any) -> list[str]:
    """Of one reference, or several, the texts; what a table of texts holds as JSON is read as such."""
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            return [given]
    several = given if isinstance(given, list) else [given]
    found = [one.get("content") if isinstance(one, Mapping) else one for one in several]
    return [one for one in found if isinstance(one, str) and one.strip()]
