"""GSM8K's files."""

from pathlib import Path
from typing import ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._files import first_of, json_rows, text
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["Gsm8kFiles", "read_problems"]


class Gsm8kFiles(LmEvalSuite):
    """Where the problems are."""

    definitions: ClassVar[str] = "gsm8k"
    folder: ClassVar[str] = "gsm8k"
    files: ClassVar[str] = "test.jsonl and train.jsonl, from the folder grade_school_math/data of github.com/openai/grade-school-math"

    def headline(self, task: str) -> tuple[str, ...]:
        """The share of answers in the form that the shots have whose number is right."""
        return ("exact_match,strict-match",)


def read_problems(folder: Path, *splits: str) -> Rows | None:
    """The splits' files: questions and worked answers that end in `#### NUMBER`. None: the first is not there. Raises: DataError."""
    if first_of(folder, f"{splits[0]}.jsonl") is None:
        return None
    return {split: _rows(folder / f"{split}.jsonl") for split in splits}


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; the shots come from it. Bring it.")
    rows = []
    for place, row in json_rows(path):
        found = {key: text(row, key, place) for key in ("question", "answer")}
        if "####" not in found["answer"]:
            raise DataError(f"{place}: answer: found no #### before its number.")
        rows.append(found)
    return rows
