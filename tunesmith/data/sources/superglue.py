"""A task of SuperGLUE: `{superglue: boolq}` or `{superglue: "boolq:validation"}`, from the hub (aps/super_glue) or from a folder with the authors' files.

Tasks: boolq, cb, copa, multirc, record, rte, wic, wsc. Parts: train (where none is named), validation, test, whose labels were never published.
Each answer of multirc and copa is a row of its own, with the question as its first text, true or false. record is a question on a text, answered by a piece of it.
wic names the word before the first sentence; wsc marks the pronoun with asterisks, and its second text is what it may stand for.
Source: Wang et al. (2019), "SuperGLUE", https://arxiv.org/abs/1905.00537.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from string import punctuation
from typing import Any, ClassVar

from tunesmith.core.errors import DataError, one_line
from tunesmith.core.files import file_sha256
from tunesmith.data.labels import raw_label
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.sources._benchmark import Benchmark, class_of, from_hub, parted, require_file, rows_of_hub, table_of
from tunesmith.data.sources._rows import rows_of, whole_path
from tunesmith.data.table import Record, Table, TableFacts, listed_names, shown

__all__ = ["SuperGlue"]

_SUPERGLUE = Benchmark("superglue", "SuperGLUE", "Wang et al. (2019), SuperGLUE: A Stickier Benchmark, https://arxiv.org/abs/1905.00537")
_FILES = {"train": "train", "validation": "val", "test": "test"}
"""Part of a task -> what its file is called, without its end."""
_TRUTH = ("False", "True")
_ASKED = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}

Made = Iterator[tuple[str, Record]]
"""The group of each record, where it has one, and the record with its label as the authors write it."""


def _texts(text: str, pair: str) -> Callable[[Mapping[str, Any]], Made]:
    """Two columns and a label."""
    return lambda row: iter([("", {"text": row[text], "text_pair": row[pair], "label": row["label"]})])


def _copa(row: Mapping[str, Any]) -> Made:
    asked, right = f"{row['premise']} {_ASKED[row['question']]}", raw_label(row["label"])
    if right not in ("0", "1"):
        raise ValueError(f"its label is {right}, expected 0 or 1")
    for number, choice in (("0", "choice1"), ("1", "choice2")):
        yield asked, {"text": asked, "text_pair": row[choice], "label": str(number == right)}


def _multirc(row: Mapping[str, Any]) -> Made:
    if "paragraph" in row:  # the hub's rows are of one answer
        yield _answer(row["idx"]["paragraph"], row["paragraph"], row["question"], row["answer"], row["label"])
        return
    for question in row["passage"]["questions"]:
        for answer in question["answers"]:
            yield _answer(row["idx"], row["passage"]["text"], question["question"], answer["text"], answer["label"])


def _answer(number: int, passage: str, question: str, answer: str, label: Any) -> tuple[str, Record]:
    return f"passage {number}", {"text": f"{question} {passage}", "text_pair": answer, "label": label}


def _record(row: Mapping[str, Any]) -> Made:
    if "query" in row:  # the hub's rows are of one query
        spans = row["entity_spans"]
        places = zip(spans["text"], spans["start"], strict=True)
        right = [(text, start) for text, start in places if text in row["answers"]]
        yield _query(row["idx"]["passage"], row["passage"], row["query"], right)
        return
    for query in row["qas"]:
        right = [(answer["text"], answer["start"]) for answer in query["answers"]]
        yield _query(row["idx"], row["passage"]["text"], query["query"], right)


def _query(number: int, passage: str, query: str, right: Sequence[tuple[str, int]]) -> tuple[str, Record]:
    if not right:
        raise ValueError("a query without an answer; use the part validation")
    answers = {"text": [text for text, _ in right], "answer_start": [start for _, start in right]}
    return f"passage {number}", {"question": query, "context": passage, "answers": answers}


def _wic(row: Mapping[str, Any]) -> Made:
    yield "", {"text": f"{row['word']}: {row['sentence1']}", "text_pair": row["sentence2"], "label": row["label"]}


def _wsc(row: Mapping[str, Any]) -> Made:
    target = row.get("target", row)
    marked = _marked(row["text"], target["span2_text"], target["span2_index"])
    yield "", {"text": marked, "text_pair": target["span1_text"], "label": row["label"]}


def _marked(text: str, phrase: str, index: int) -> str:
    """The text with asterisks around the phrase: where it begins nearest to the word `index`, as some published numbers are off by a few.

    Raises: ValueError, where the text does not hold the phrase.
    """
    words, wanted = text.split(), _bare(phrase.split())
    places = [at for at in range(len(words)) if _bare(words[at : at + len(wanted)]) == wanted]
    if not places:
        raise ValueError(f"its text does not hold {shown(phrase)}")
    begin = min(places, key=lambda at: abs(at - index))
    end = begin + len(wanted)
    return " ".join([*words[:begin], "*", *words[begin:end], "*", *words[end:]])


def _bare(words: Sequence[str]) -> list[str]:
    return [word.strip(punctuation).casefold() for word in words]


@dataclass(frozen=True, slots=True)
class _Task:
    folder: str
    make: Callable[[Mapping[str, Any]], Made]
    classes: tuple[str, ...] = _TRUTH
    """In the order of the hub's numbers; none: pieces of a text."""
    hub: str = ""
    """The hub's name of the task, where it is another."""


_TASKS = {
    "boolq": _Task("BoolQ", _texts("question", "passage")),
    "cb": _Task("CB", _texts("premise", "hypothesis"), ("entailment", "contradiction", "neutral")),
    "copa": _Task("COPA", _copa),
    "multirc": _Task("MultiRC", _multirc),
    "record": _Task("ReCoRD", _record, ()),
    "rte": _Task("RTE", _texts("premise", "hypothesis"), ("entailment", "not_entailment")),
    "wic": _Task("WiC", _wic),
    "wsc": _Task("WSC", _wsc, hub="wsc.fixed"),
}


@dataclass(frozen=True, kw_only=True)
class SuperGlue:
    """Read a part of a task as texts, pairs of texts, or questions, with the names of their classes."""

    superglue: str
    """The task, and perhaps the part: `boolq`, `copa:validation`."""
    folder: str | None = None
    """The folder with the authors' files (`BoolQ/train.jsonl`, ...), or the task's own; none: the hub. `data.folder` sets it for every source."""

    quarantines: ClassVar[bool] = True

    def whole_paths(self) -> dict[str, str]:
        """The option that is a path, from the root."""
        return {"folder": whole_path(self.folder)} if self.folder else {}

    def require(self, source: Any) -> None:
        """Raises: UsageError, DataError, for an unknown task or part, or one that `folder` holds no file of."""
        name, part = parted(_SUPERGLUE, self.superglue, dict.fromkeys(_TASKS, _FILES))
        if self.folder is not None:
            require_file(self.folder, _TASKS[name].folder, (_FILES[part],), (".jsonl",))

    def read(self, source: Any, quarantine: Quarantine | None = None) -> Table:
        """Every row of the part.

        Raises: UsageError, for an unknown task or part; DataError, for a missing file, a broken row, a label that is none of the task's, a part
            without labels; FetchError.
        """
        name, part = parted(_SUPERGLUE, self.superglue, dict.fromkeys(_TASKS, _FILES))
        task = _TASKS[name]
        class_names = {"label": task.classes} if task.classes else {}
        make = partial(_made, task)
        if self.folder is None:
            table = from_hub(f"aps/super_glue/{task.hub or name}:{part}", _SUPERGLUE)
            return table_of(rows_of_hub(table), make, replace(table.facts, class_names=class_names), quarantine)
        path = require_file(self.folder, task.folder, (_FILES[part],), (".jsonl",))
        facts = TableFacts(str(path), file_sha256(path), citation=_SUPERGLUE.citation, class_names=class_names)
        return table_of(rows_of(path, str(path), quarantine), make, facts, quarantine)


def _made(task: _Task, row: Mapping[str, Any], where: str) -> Made:
    """Raises: DataError, where the row is not laid out as the task's, or has no label, or another."""
    try:
        made = list(task.make(row))
    except KeyError as error:
        is_unlabelled = error.args[0] in ("label", "answers")
        hint = "Without labels only the benchmark's own server can judge; use the part validation." if is_unlabelled else ""
        raise DataError(f'{where}: no "{error.args[0]}" in a row of {task.folder}; it holds {listed_names(row)}. {hint}'.rstrip()) from None
    except (TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{where}: not laid out as a row of {task.folder} ({one_line(error)}).") from None
    for group, record in made:
        yield group, record | ({"label": class_of(record["label"], task.classes, where)} if task.classes else {})
