"""Questions that most people can answer, each with four choices: `general-questions`, written for this project.

They show whether a model lost what it knew while it learned something else.
"""

import csv
import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.types import Origin
from tunesmith.data.table import Table, TableFacts

__all__ = ["GeneralQuestions"]

_NAME = "general-questions"
_FILE = Path(__file__).with_suffix(".tsv")
_LICENCE = "Apache-2.0"


@dataclass(frozen=True, kw_only=True)
class GeneralQuestions:
    """Read the questions that come with tunesmith; the place of the right choice is drawn by hash, the same for everybody."""

    rank = 10

    def claims(self, source: Any) -> bool:
        """Whether `source` is `general-questions`."""
        return isinstance(source, str) and source == _NAME

    def read(self, source: Any) -> Table:
        """Every question with its choices and the place of the right one."""
        content = _FILE.read_bytes()
        rows = list(csv.reader(content.decode("utf-8").splitlines(), delimiter="\t"))[1:]
        records = [_record(*row) for row in rows]
        origins = [Origin(_NAME, number) for number in range(1, len(rows) + 1)]
        return Table(records, origins, TableFacts(_NAME, hashlib.sha256(content).hexdigest(), _LICENCE))


def _record(question: str, right: str, *wrong: str) -> dict[str, Any]:
    choices = [right, *wrong]
    random.Random(question).shuffle(choices)
    return {"question": question, "choices": choices, "answer": choices.index(right)}
