"""GLUE, asked without tuning: nine tasks of understanding sentences, zero-shot, or with shots from their training files.

A task's score is the mean of its metrics, MNLI's that of its matched and its mismatched part; the suite's is the mean over the nine tasks.
For STS-B the likeliest of the scores 0.0, 0.2, ... 5.0 is what the model says, in the steps that T5 is taught. A model that says the same of every pair gets 0.
Source: Wang et al. (2018), "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding", https://arxiv.org/abs/1804.07461;
the steps: Raffel et al. (2020), "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", https://arxiv.org/abs/1910.10683, section 2.4.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tunesmith.core import registry
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._classes import F1, MCC, likeliest, metric
from tunesmith.evaluation.suites._files import WithShots
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["Glue"]

_PAIR = ("sentence1", "sentence2")
_COLUMNS = {
    "cola": ("sentence",),
    "sst2": ("sentence",),
    "mrpc": _PAIR,
    "stsb": _PAIR,
    "qqp": ("question1", "question2"),
    "mnli": ("premise", "hypothesis"),
    "mnli_mismatch": ("premise", "hypothesis"),
    "qnli": ("question", "sentence"),
    "rte": _PAIR,
    "wnli": _PAIR,
}
"""Task -> its texts, as the definition calls them."""
_HEADLINES = {"cola": ("mcc",), "mrpc": ("acc", "f1"), "qqp": ("acc", "f1"), "stsb": ("pearson", "spearman")}
_METRICS: Mapping[str, Sequence[Mapping[str, Any]]] = {"cola": [MCC], "mrpc": [{"metric": "acc"}, F1], "qqp": [{"metric": "acc"}, F1]}
_MNLI = {"mnli": ("mnli", "validation", "validation_matched"), "mnli_mismatch": ("mnli", "validation_mismatched", "validation_mismatched")}
"""Its two -> the task and its part as for tuning, and the hub's split."""
_SHARED = {"mnli": "premise", "mnli_mismatch": "premise", "qnli": "question", "rte": "sentence1", "wnli": "sentence1"}
"""Task -> the column that several rows may have in common."""
_SCORES = [f"{fifths / 5:.1f}" for fifths in range(26)]


@dataclass(frozen=True, kw_only=True)
class Glue(LmEvalSuite):
    """The validation rows, as most of the test's answers are not public."""

    definitions: ClassVar[str] = "glue"
    num_fewshot: ClassVar[int | None] = 0
    folder: ClassVar[str] = "glue"
    files: ClassVar[str] = (
        "TASK/dev.tsv, of MNLI dev_matched.tsv and dev_mismatched.tsv (and TASK/train.tsv for shots), from gluebenchmark.com"
    )

    @property
    def tasks(self) -> Mapping[str, str]:
        """The nine, of which MNLI has two parts."""
        return dict.fromkeys(_COLUMNS, "")

    def headline(self, task: str) -> tuple[str, ...]:
        """The benchmark's own metrics."""
        return _HEADLINES.get(task, ("acc",))

    def weight(self, task: str, num_rows: int) -> float:
        """Every task weighs the same, MNLI's parts a half each."""
        return 1 / len(_MNLI) if task in _MNLI else 1.0

    def group(self, task: str, row: Mapping[str, Any]) -> Hashable:
        """The premise or question."""
        return row[_SHARED[task]] if task in _SHARED else None

    def definition(self, task: str) -> Mapping[str, Any]:
        """STS-B's whole, which lm-eval does not have, and the metrics of CoLA, MRPC and QQP; else as in lm-eval."""
        if task != "stsb":
            return {"metric_list": [dict(one) for one in _METRICS[task]]} if task in _METRICS else {}
        return {
            "dataset_path": "nyu-mll/glue",
            "dataset_name": "stsb",
            "training_split": "train",
            "validation_split": "validation",
            "output_type": "multiple_choice",
            "doc_to_text": "Sentence 1: {{sentence1}}\nSentence 2: {{sentence2}}\n"
            "Question: From 0.0 to 5.0, how similar in meaning are both sentences?\nAnswer:",
            "doc_to_choice": _SCORES,
            "doc_to_target": _nearest,
            "process_results": _scored,
            "metric_list": [{"metric": name, "aggregation": _correlation(name), "higher_is_better": True} for name in _HEADLINES["stsb"]],
        }

    def read(self, folder: Path, task: str) -> Rows | None:
        """The files that tuning on the task reads, in a folder a task."""
        if not folder.is_dir():
            return None
        name, part, split = _MNLI.get(task, (task, "validation", "validation"))
        sources = {
            split: registry.create("data_source", "glue", glue=f"{name}:{part}", folder=str(folder)),
            "train": registry.create("data_source", "glue", glue=name, folder=str(folder)),
        }
        there = {split: partial(_rows, source, _COLUMNS[task]) for split, source in sources.items() if source.file() is not None}
        asked = there.pop(split, None)
        return None if asked is None else WithShots({split: asked()}, there)


def _rows(source: Any, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a tuning source, in the hub's columns: a class by its number."""
    table = source.read(None)
    classes = table.facts.class_names.get("label")
    return [
        {column: record[text] for column, text in zip(columns, _PAIR, strict=False)}
        | {"label": classes.index(record["label"]) if classes else record["score"]}
        for record in table.records
    ]


def _nearest(doc: Mapping[str, Any]) -> int:
    """The place of the listed score that is nearest to a row's."""
    return round(5 * float(doc["label"]))


def _scored(doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """The row's own score and the one that the model finds likeliest."""
    said = float(_SCORES[likeliest(results)])
    return dict.fromkeys(_HEADLINES["stsb"], (float(doc["label"]), said))


def _correlation(name: str) -> Callable[[Sequence[tuple[float, float]]], float]:
    return partial(_correlated, metric(name).value)


def _correlated(value: Callable[[Any], float], items: Sequence[tuple[float, float]]) -> float:
    """0 where the same is said of pairs that differ; NaN where these do not."""
    pairs = np.array(items, dtype=np.float64)
    return 0.0 if np.ptp(pairs[:, 1]) == 0 < np.ptp(pairs[:, 0]) else value(pairs)
