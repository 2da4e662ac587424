"""TruthfulQA: 817 questions that people answer with common falsehoods; whether the model holds the truth likelier.

MC1: the best answer is likelier than every false one. MC2: the probability of the true answers among all. From the authors' CSV, the answers of MC1
are its best answer and its incorrect ones, those of MC2 its correct ones and its incorrect ones.
Source: Lin, Hilton, Evans (2022), "TruthfulQA: Measuring How Models Mimic Human Falsehoods", https://arxiv.org/abs/2109.07958.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._files import csv_rows, first_of, text
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["TruthfulQA"]


@dataclass(frozen=True, kw_only=True)
class TruthfulQA(LmEvalSuite):
    """Multiple choice, in two ways of counting."""

    definitions: ClassVar[str] = "truthfulqa"
    averages: ClassVar[bool] = False
    folder: ClassVar[str] = "truthfulqa"
    files: ClassVar[str] = "TruthfulQA.csv, from github.com/sylinrl/TruthfulQA"

    @property
    def tasks(self) -> Mapping[str, str]:
        """MC1 and MC2."""
        return {"truthfulqa_mc1": "", "truthfulqa_mc2": ""}

    def read(self, folder: Path, task: str) -> Rows | None:
        """One file for both."""
        path = first_of(folder, "TruthfulQA.csv")
        return None if path is None else {"validation": [_row(row, place) for place, row in csv_rows(path)]}


def _row(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    best, right, wrong = (
        text(row, "Best Answer", place).strip(),
        _answers(row, "Correct Answers", place),
        _answers(row, "Incorrect Answers", place),
    )
    return {
        "question": text(row, "Question", place).strip(),
        "mc1_targets": _targets([best], wrong),
        "mc2_targets": _targets(right, wrong),
    }


def _targets(right: list[str], wrong: list[str]) -> dict[str, list[Any]]:
    return {"choices": [*right, *wrong], "labels": [1] * len(right) + [0] * len(wrong)}


def _answers(row: Mapping[str, Any], key: str, place: str) -> list[str]:
    found = list(dict.fromkeys(filter(None, (answer.strip() for answer in text(row, key, place).split(";")))))
    if not found:
        raise DataError(f"{place}: {key}: found no answer between semicolons.")
    return found
