"""LAMBADA: the last word of a passage, which needs all of it: accuracy, and perplexity of that word.

`lambada_standard` is the passages as they were published, `lambada_openai` those that GPT-2 was tested on; they are two forms of one test.
Source: Paperno et al. (2016), "The LAMBADA dataset", https://arxiv.org/abs/1606.06031.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._files import first_of, json_rows, read_text, text
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["Lambada"]

_FILES = {
    "lambada_standard": ("lambada_test_plain_text.txt", "lambada_test.json"),
    "lambada_openai": ("lambada_test.jsonl", "lambada_test_en.jsonl"),
}


@dataclass(frozen=True, kw_only=True)
class Lambada(LmEvalSuite):
    """The test passages."""

    definitions: ClassVar[str] = "lambada"
    averages: ClassVar[bool] = False
    folder: ClassVar[str] = "lambada"
    files: ClassVar[str] = (
        "lambada_test_plain_text.txt (or lambada_test.json: context and continuation a line), and lambada_test.jsonl of GPT-2's authors"
    )

    @property
    def tasks(self) -> Mapping[str, str]:
        """The two forms."""
        return dict.fromkeys(_FILES, "")

    def read(self, folder: Path, task: str) -> Rows | None:
        """A passage a line: plain, or an object with its text, or with context and continuation."""
        path = first_of(folder, *_FILES[task])
        if path is None:
            return None
        rows = [{"text": passage} for passage in _passages(path)]
        if not rows:
            raise DataError(f"{path}: has no rows.")
        return {"test": rows}


def _passages(path: Path) -> Iterator[str]:
    if path.suffix == ".txt":
        yield from filter(None, read_text(path).split("\n"))
        return
    for place, row in json_rows(path):
        yield text(row, "text", place) if "text" in row else f"{text(row, 'context', place)} {text(row, 'continuation', place)}"
