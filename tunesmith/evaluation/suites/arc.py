"""ARC: science questions of grade school, an easy and a challenging part.

Source: Clark et al. (2018), "Think you have Solved Question Answering? Try ARC", https://arxiv.org/abs/1803.05457.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._files import first_of, json_rows, text
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["Arc"]

_FILES = {"arc_easy": "ARC-Easy", "arc_challenge": "ARC-Challenge"}
_SPLITS = {"test": "Test", "train": "Train", "validation": "Dev"}


@dataclass(frozen=True, kw_only=True)
class Arc(LmEvalSuite):
    """Both parts."""

    definitions: ClassVar[str] = "arc"
    folder: ClassVar[str] = "arc"
    files: ClassVar[str] = (
        "ARC-Easy/ARC-Easy-Test.jsonl and ARC-Challenge/ARC-Challenge-Test.jsonl (-Train for shots), from allenai.org/data/arc"
    )

    @property
    def tasks(self) -> Mapping[str, str]:
        """The two parts."""
        return dict.fromkeys(_FILES, "")

    def headline(self, task: str) -> tuple[str, ...]:
        """Accuracy by likelihood per character, as it is usually reported."""
        return ("acc_norm",)

    def read(self, folder: Path, task: str) -> Rows | None:
        """An object a line, in a folder a part, or beside each other."""
        name = _FILES[task]
        paths = {split: first_of(folder, f"{name}/{name}-{end}.jsonl", f"{name}-{end}.jsonl") for split, end in _SPLITS.items()}
        if paths["test"] is None:
            return None
        return {split: [_row(row, place) for place, row in json_rows(path)] for split, path in paths.items() if path is not None}


def _row(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    question = row.get("question")
    choices = question.get("choices") if isinstance(question, Mapping) else None
    if not isinstance(question, Mapping) or not isinstance(choices, list) or not choices:
        raise DataError(f"{place}: question: found no stem with its choices.")
    answer = text(row, "answerKey", place)
    labels = [text(choice, "label", place) for choice in choices]
    if answer not in labels:
        raise DataError(f"{place}: answerKey: found {answer!r}, expected one of {', '.join(labels)}.")
    found = {"text": [text(choice, "text", place) for choice in choices], "label": labels}
    return {"question": text(question, "stem", place), "choices": found, "answerKey": answer}
