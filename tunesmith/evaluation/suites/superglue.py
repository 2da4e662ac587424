"""SuperGLUE, asked without tuning: eight tasks of understanding, zero-shot, or with shots from their training files.

The score of CB is the mean of accuracy and F1, that of ReCoRD of F1 and exact match, that of MultiRC of F1 over all answers (F1a) and the share of questions whose answers are all
judged right (EM); the suite's is the mean over the tasks.
Source: Wang et al. (2019), "SuperGLUE: A Stickier Benchmark for General-Purpose Language Understanding Systems", https://arxiv.org/abs/1905.00537.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._classes import MACRO_F1
from tunesmith.evaluation.suites._files import WithShots, first_of, json_rows, number, text
from tunesmith.evaluation.suites._multirc import MULTIRC
from tunesmith.evaluation.suites._record import RECORD
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["SuperGlue"]

_FOLDERS = {
    "boolq": "BoolQ",
    "cb": "CB",
    "copa": "COPA",
    "multirc": "MultiRC",
    "record": "ReCoRD",
    "sglue_rte": "RTE",
    "wic": "WiC",
    "wsc": "WSC",
}
_HEADLINES = {"cb": ("acc", "f1"), "multirc": ("f1a", "em"), "record": ("f1", "em")}
_CB = {"metric_list": [{"metric": "acc"}, dict(MACRO_F1)]}
_SHARED = {
    "boolq": "passage",
    "cb": "premise",
    "copa": "premise",
    "multirc": "paragraph",
    "record": "passage",
    "sglue_rte": "premise",
    "wsc": "text",
}
"""Task -> the column that rows about one text have in common."""
_SPLITS = {"validation": "val", "train": "train"}
Reader = Callable[[Mapping[str, Any], str], Iterator[dict[str, Any]]]
"""The rows that a line of a file holds; its second argument is the line's place."""


@dataclass(frozen=True, kw_only=True)
class SuperGlue(LmEvalSuite):
    """The validation rows, as the test's answers are not public."""

    definitions: ClassVar[str] = "super_glue"
    folder: ClassVar[str] = "superglue"
    num_fewshot: ClassVar[int | None] = 0
    files: ClassVar[str] = "TASK/val.jsonl (and TASK/train.jsonl for shots), from super.gluebenchmark.com"

    @property
    def tasks(self) -> Mapping[str, str]:
        """The eight."""
        return dict.fromkeys(_FOLDERS, "")

    def headline(self, task: str) -> tuple[str, ...]:
        """The benchmark's own metrics."""
        return _HEADLINES.get(task, ("acc",))

    def group(self, task: str, row: Mapping[str, Any]) -> Hashable:
        """The text that the row is about."""
        return row[_SHARED[task]] if task in _SHARED else None

    def definition(self, task: str) -> Mapping[str, Any]:
        """MultiRC's metrics and CB's, and ReCoRD whole; the other tasks as in lm-eval."""
        return {"cb": _CB, "multirc": MULTIRC, "record": RECORD}.get(task, {})

    def read(self, folder: Path, task: str) -> Rows | None:
        """An object a line, in a folder a task or in files named TASK__val.jsonl."""
        name = _FOLDERS[task]
        paths = {split: first_of(folder, f"{name}/{end}.jsonl", f"{name}__{end}.jsonl") for split, end in _SPLITS.items()}
        if paths["validation"] is None:
            return None
        rows = partial(_read, _READERS[task])
        return WithShots({"validation": rows(paths["validation"])}, {"train": partial(rows, paths["train"])} if paths["train"] else {})


def _read(read: Reader, path: Path) -> list[dict[str, Any]]:
    return [made for place, row in json_rows(path) for made in read(row, place)]


def _label(row: Mapping[str, Any], place: str, *labels: str) -> int:
    """The place of a row's label among these; true and false, and their numbers, may be written as JSON's own."""
    found = str(row.get("label")).lower()
    found = {"0": "false", "1": "true"}.get(found, found) if "true" in labels else found
    if found not in labels:
        raise DataError(f"{place}: label: found {row.get('label')!r}, expected one of {', '.join(labels)}.")
    return labels.index(found)


def _yes_no(*keys: str, numbers: tuple[str, ...] = ()) -> Reader:
    def read(row: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
        found = {key: text(row, key, place) for key in keys} | {key: number(row, key, place) for key in numbers}
        yield {**found, "label": _label(row, place, "false", "true")}

    return read


def _entailment(*labels: str) -> Reader:
    def read(row: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
        yield {**{key: text(row, key, place) for key in ("premise", "hypothesis")}, "label": _label(row, place, *labels)}

    return read


def _copa(row: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
    label = number(row, "label", place)
    if label not in (0, 1):
        raise DataError(f"{place}: label: found {label}, expected 0 or 1.")
    yield {**{key: text(row, key, place) for key in ("premise", "choice1", "choice2", "question")}, "label": label}


def _multirc(row: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
    passage = _inner(row, "passage", place)
    paragraph, at = text(passage, "text", place), number(row, "idx", place)
    for which, question in enumerate(_each(passage, "questions", place)):
        for count, answer in enumerate(_each(question, "answers", place)):
            asked = {"question": text(question, "question", place), "answer": text(answer, "text", place)}
            idx = {"paragraph": at, "question": which, "answer": count}
            yield {"paragraph": paragraph, **asked, "label": number(answer, "label", place), "idx": idx}


def _record(row: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
    passage = _inner(row, "passage", place)
    paragraph = text(passage, "text", place)
    spans = [(number(one, "start", place), number(one, "end", place)) for one in _each(passage, "entities", place)]
    entities = [paragraph[start : end + 1] for start, end in spans]
    for asked in _each(row, "qas", place):
        answers = [text(answer, "text", place) for answer in _each(asked, "answers", place)]
        yield {"passage": paragraph, "query": text(asked, "query", place), "entities": entities, "answers": answers}


def _wsc(row: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
    target = _inner(row, "target", place)
    spans = {key: number(target, key, place) for key in ("span1_index", "span2_index")}
    named = {key: text(target, key, place) for key in ("span1_text", "span2_text")}
    yield {"text": text(row, "text", place), **spans, **named, "label": _label(row, place, "false", "true")}


def _inner(row: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    found = row.get(key)
    if not isinstance(found, Mapping):
        raise DataError(f"{place}: {key}: found {type(found).__name__}, expected an object.")
    return found


def _each(row: Mapping[str, Any], key: str, place: str) -> list[Mapping[str, Any]]:
    found = row.get(key)
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise DataError(f"{place}: {key}: found {type(found).__name__}, expected a list of objects.")
    return found


_READERS: dict[str, Reader] = {
    "boolq": _yes_no("question", "passage"),
    "cb": _entailment("entailment", "contradiction", "neutral"),
    "copa": _copa,
    "multirc": _multirc,
    "record": _record,
    "sglue_rte": _entailment("entailment", "not_entailment"),
    "wic": _yes_no("word", "sentence1", "sentence2", numbers=("start1", "end1", "start2", "end2")),
    "wsc": _wsc,
}
