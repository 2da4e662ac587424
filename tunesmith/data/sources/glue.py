"""A task of GLUE: `{glue: sst2}` or `{glue: "sst2:validation"}`, from the hub (nyu-mll/glue) or from a folder with the authors' files.

Tasks: cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte, wnli. Parts: train (where none is named), validation, test; mnli also has validation_mismatched and
test_mismatched. In files a quote is a character like any other. The labels of most test parts were never published.
Source: Wang et al. (2018), "GLUE", https://arxiv.org/abs/1804.07461.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.files import file_sha256
from tunesmith.core.types import Origin
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.records import iter_lines
from tunesmith.data.sources._benchmark import Benchmark, class_of, find_file, from_hub, parted, require_file, rows_of_hub, table_of
from tunesmith.data.sources._rows import whole_path
from tunesmith.data.table import Record, Table, TableFacts, listed_names, shown

__all__ = ["Glue"]

_GLUE = Benchmark(
    "glue", "GLUE", "Wang et al. (2018), GLUE: A Multi-Task Benchmark and Analysis Platform, https://arxiv.org/abs/1804.07461"
)
_PARTS = {"train": "train", "validation": "dev", "test": "test"}
"""Part of a task -> what its file is called, without its end."""
_MNLI_PARTS = {
    "train": "train",
    "validation": "dev_matched",
    "test": "test_matched",
    "validation_mismatched": "dev_mismatched",
    "test_mismatched": "test_mismatched",
}
_ENDS = (".tsv", ".csv", ".txt")
_HIGHEST_SCORE = 5.0


@dataclass(frozen=True, slots=True)
class _Task:
    """A task as its files and the hub have it; of several names for a column, one is there."""

    folder: str
    label: tuple[str, ...]
    text: tuple[str, ...]
    pair: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    """In the order of their numbers; none: a score."""
    names: tuple[str, ...] = ()
    """The columns of a file without a header, where the authors ship one."""
    num_beside: int = 0
    """Fields that may follow those in such a file."""
    prefix: str = ""
    """What the authors' own files of the task are called before the part."""
    parts: Mapping[str, str] = field(default_factory=lambda: _PARTS)


_ENTAILMENT = ("entailment", "not_entailment")
_PARAPHRASES = ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")
_TASKS = {
    "cola": _Task("CoLA", ("label",), ("sentence",), (), ("unacceptable", "acceptable"), ("source", "label", "notation", "sentence")),
    "sst2": _Task("SST-2", ("label",), ("sentence",), (), ("negative", "positive")),
    "mrpc": _Task(
        "MRPC", ("Quality", "label"), ("#1 String", "sentence1"), ("#2 String", "sentence2"), ("not_equivalent", "equivalent"), _PARAPHRASES,
        prefix="msr_paraphrase_",
    ),
    "qqp": _Task("QQP", ("is_duplicate", "label"), ("question1",), ("question2",), ("not_duplicate", "duplicate")),
    "stsb": _Task(
        "STS-B", ("score", "label"), ("sentence1",), ("sentence2",),
        names=("genre", "file", "year", "index", "score", "sentence1", "sentence2"), num_beside=2, prefix="sts-",
    ),
    "mnli": _Task(
        "MNLI", ("gold_label", "label"), ("sentence1", "premise"), ("sentence2", "hypothesis"), ("entailment", "neutral", "contradiction"),
        parts=_MNLI_PARTS,
    ),
    "qnli": _Task("QNLI", ("label",), ("question",), ("sentence",), _ENTAILMENT),
    "rte": _Task("RTE", ("label",), ("sentence1",), ("sentence2",), _ENTAILMENT),
    "wnli": _Task("WNLI", ("label",), ("sentence1",), ("sentence2",), _ENTAILMENT[::-1]),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Glue:
    """Read a part of a task as texts, or pairs of texts, with the names of their classes; of stsb with scores from 0 to 5."""

    glue: str
    """The task, and perhaps the part: `sst2`, `mnli:validation_mismatched`."""
    folder: str | None = None
    """The folder with the authors' files (`SST-2/train.tsv`, ...), or the task's own; none: the hub. `data.folder` sets it for every source."""

    quarantines: ClassVar[bool] = True

    def whole_paths(self) -> dict[str, str]:
        """The option that is a path, from the root."""
        return {"folder": whole_path(self.folder)} if self.folder else {}

    def file(self) -> Path | None:
        """The part's file; None where `folder` holds none. Raises: UsageError, DataError."""
        name, part = self._named()
        return find_file(self.folder or "", *_place(_TASKS[name], part))

    def require(self, source: Any) -> None:
        """Raises: UsageError, DataError, for an unknown task or part, or one that `folder` holds no file of."""
        name, part = self._named()
        if self.folder is not None:
            require_file(self.folder, *_place(_TASKS[name], part))

    def read(self, source: Any, quarantine: Quarantine | None = None) -> Table:
        """Every row of the part.

        Raises: UsageError, for an unknown task or part; DataError, for a missing file, a broken row, a label that is none of the task's, a part
            without labels; FetchError.
        """
        name, part = self._named()
        task = _TASKS[name]
        class_names = {"label": task.classes} if task.classes else {}
        if self.folder is None:
            split = f"{part}_matched" if name == "mnli" and part in ("validation", "test") else part
            table = from_hub(f"nyu-mll/glue/{name}:{split}", _GLUE)
            return table_of(rows_of_hub(table), partial(_record, task), replace(table.facts, class_names=class_names), quarantine)
        path = require_file(self.folder, *_place(task, part))
        facts = TableFacts(str(path), file_sha256(path), citation=_GLUE.citation, class_names=class_names)
        columns, rows = _rows(iter_lines(path, str(path)), str(path), task)
        make = partial(_fields_record, task, columns)
        return table_of(((Origin(str(path), number), fields) for number, fields in rows), make, facts, quarantine)

    def _named(self) -> tuple[str, str]:
        return parted(_GLUE, self.glue, {name: task.parts for name, task in _TASKS.items()})


def _place(task: _Task, part: str) -> tuple[str, tuple[str, str], tuple[str, ...]]:
    """Folder, names and ends of a part's file."""
    file = task.parts[part]
    return task.folder, (file, task.prefix + file), _ENDS


def _rows(lines: Iterator[str], name: str, task: _Task) -> tuple[Sequence[str], Iterator[tuple[int, list[str]]]]:
    """The columns of a file and its rows, each with its line. Raises: DataError, where the first line is neither a header nor a row."""
    numbered = ((number, line.rstrip("\r\n").split("\t")) for number, line in enumerate(lines, start=1) if line.strip())
    number, first = next(numbered, (1, [""]))
    if not set(task.text) & set(first):
        if not task.names:
            wanted = ", ".join(names[0] for names in (task.text, task.pair, task.label) if names)
            raise DataError(
                f"{name}:{number}: no header of {task.folder}: expected {wanted}, parted by tabs; found {shown(' '.join(first))}."
            )
        return task.names, chain([(number, first)], numbered)
    for names in (task.label, task.pair):
        if names and not set(names) & set(first):
            hint = " Without labels only the benchmark's own server can judge; use the part validation." if names is task.label else ""
            raise DataError(f"{name}:{number}: the header has no column {' or '.join(names)}: {listed_names(first)}.{hint}")
    return first, numbered


def _fields_record(task: _Task, columns: Sequence[str], fields: Sequence[str], where: str) -> Iterable[tuple[str, Record]]:
    most = len(columns) + (task.num_beside if columns is task.names else 0)
    if not len(columns) <= len(fields) <= most:
        raise DataError(
            f"{where}: {len(fields)} fields, expected {len(columns)}, parted by tabs. Look for a tab or a line break in a text."
        )
    return _record(task, dict(zip(columns, fields, strict=False)), where)


def _record(task: _Task, found: Mapping[str, Any], where: str) -> Iterable[tuple[str, Record]]:
    text, pair, label = (next((found[name] for name in names if name in found), None) for names in (task.text, task.pair, task.label))
    record: Record = {"sentence1": text, "sentence2": pair} if task.pair else {"sentence1": text}
    return [("", record | ({"label": class_of(label, task.classes, where)} if task.classes else {"score": _score(label, where)}))]


def _score(raw: Any, where: str) -> float:
    """Raises: DataError, where it is no number from 0 to 5."""
    try:
        score = float(raw)
    except (TypeError, ValueError):
        score = -1.0
    if not 0 <= score <= _HIGHEST_SCORE:
        hint = " Rows without a score are judged by the benchmark's own server; use the part validation." if raw in (-1.0, None) else ""
        raise DataError(f"{where}: the score {shown(raw)}, expected a number from 0 to {_HIGHEST_SCORE:g}.{hint}")
    return score
