"""HellaSwag: which of four endings goes on with a scene.

Source: Zellers et al. (2019), "HellaSwag: Can a Machine Really Finish Your Sentence?", https://arxiv.org/abs/1905.07830.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._files import WithShots, first_of, json_rows, number, text, texts
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["HellaSwag"]


@dataclass(frozen=True, kw_only=True)
class HellaSwag(LmEvalSuite):
    """The validation scenes, as the test's answers are not public."""

    definitions: ClassVar[str] = "hellaswag"
    num_fewshot: ClassVar[int | None] = 0
    folder: ClassVar[str] = "hellaswag"
    files: ClassVar[str] = "hellaswag_val.jsonl (and hellaswag_train.jsonl for shots), from the folder data of github.com/rowanz/hellaswag"

    @property
    def tasks(self) -> Mapping[str, str]:
        """One."""
        return {"hellaswag": ""}

    def headline(self, task: str) -> tuple[str, ...]:
        """Accuracy by likelihood per character, as it is usually reported."""
        return ("acc_norm",)

    def read(self, folder: Path, task: str) -> Rows | None:
        """An object a line."""
        asked, shots = (first_of(folder, f"hellaswag_{part}.jsonl") for part in ("val", "train"))
        if asked is None:
            return None
        return WithShots({"validation": _rows(asked)}, {"train": partial(_rows, shots)} if shots else {})


def _rows(path: Path) -> list[dict[str, Any]]:
    return [_row(row, place) for place, row in json_rows(path)]


def _row(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    endings, label = texts(row, "endings", place), number(row, "label", place)
    if not 0 <= label < len(endings):
        raise DataError(f"{place}: label: found {label}, expected the place of one of {len(endings)} endings, counted from 0.")
    scene = {key: text(row, key, place) for key in ("activity_label", "ctx_a")}
    return {**scene, "ctx_b": str(row.get("ctx_b") or ""), "endings": endings, "label": str(label)}
