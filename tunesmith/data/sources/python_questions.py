"""Questions about the pages of `python-reference`, each with a short answer and the span that gives it: `python-questions`, written for this project.

They show whether a model can answer from documents, and whether a search finds the passage that answers.
"""

import csv
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import hash_of
from tunesmith.core.types import Origin
from tunesmith.data.sources._pages import reference_pages
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["PythonQuestions"]

_NAME = "python-questions"
_FILE = Path(__file__).with_suffix(".tsv")
_LICENCE = "Apache-2.0"


@dataclass(frozen=True, kw_only=True)
class PythonQuestions:
    """Read the questions whose spans stand in the pages of the running Python; pages differ a little from one Python to the next."""

    rank = 10

    def claims(self, source: Any) -> bool:
        """Whether `source` is `python-questions`."""
        return isinstance(source, str) and source == _NAME

    def read(self, source: Any) -> Table:
        """Every question with its answer, the page (`document`) and the text of the page that answers it (`references`).

        Raises: DataError, where this Python comes without the pages, or none of them holds what is asked.
        """
        pages = dict(reference_pages(_NAME))
        rows = list(csv.reader(_FILE.read_text(encoding="utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
        found = [(number, _record(pages, *row)) for number, row in enumerate(rows, start=1)]
        records = [(number, record) for number, record in found if record is not None]
        if not records:
            raise DataError(f"{_NAME}: the pages of Python {sys.version.split()[0]} hold nothing of what is asked. Use another Python.")
        missing = len(rows) - len(records)
        note = (
            f"{_NAME}: {missing} of {len(rows)} questions are left out, as the pages of Python {sys.version.split()[0]} do not answer them"
        )
        return Table(
            [record for _, record in records],
            [Origin(_NAME, number) for number, _ in records],
            TableFacts(_NAME, hash_of(records), _LICENCE, notes=(note,) if missing else (), beside=("document", "references")),
        )


def _record(pages: dict[str, str], page: str, question: str, answer: str, span: str) -> Record | None:
    """None where the page does not hold the span, wherever its lines are broken."""
    stands = re.search(r"\s+".join(map(re.escape, span.split())), pages.get(page, ""))
    return stands and {"question": question, "answer": answer, "document": page, "references": stands[0]}
