"""IFEval: 541 prompts with instructions that a program can verify; the checks are tunesmith's own.

`prompt_level` counts a prompt whose instructions are all followed, `inst_level` each instruction; `loose` forgives an introduction, an outro and asterisks.
Source: Zhou et al. (2023), "Instruction-Following Evaluation for Large Language Models", https://arxiv.org/abs/2311.07911.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.ifeval import checked_row, followed
from tunesmith.evaluation.suites._files import first_of, json_rows, text
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["IfEval"]

_MOST_TOKENS = 1280


@dataclass(frozen=True, kw_only=True)
class IfEval(LmEvalSuite):
    """Prompts and settings as in lm-eval; nothing is downloaded to check what is written."""

    definitions: ClassVar[str] = ""
    folder: ClassVar[str] = "ifeval"
    files: ClassVar[str] = "input_data.jsonl, from the folder instruction_following_eval/data of github.com/google-research/google-research"

    @property
    def tasks(self) -> Mapping[str, str]:
        """One."""
        return {"ifeval": ""}

    def headline(self, task: str) -> tuple[str, ...]:
        """Whole prompts, strictly."""
        return ("prompt_level_strict_acc",)

    def definition(self, task: str) -> Mapping[str, Any]:
        """The whole of it."""
        metrics = [
            {"metric": f"{level}_level_{strictness}_acc", "aggregation": "mean" if level == "prompt" else _share, "higher_is_better": True}
            for strictness in ("strict", "loose")
            for level in ("prompt", "inst")
        ]
        return {
            "dataset_path": "google/IFEval",
            "test_split": "train",
            "num_fewshot": 0,
            "output_type": "generate_until",
            "doc_to_text": "prompt",
            "doc_to_target": 0,
            "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": _MOST_TOKENS},
            "process_results": _checked,
            "metric_list": metrics,
        }

    def read(self, folder: Path, task: str) -> Rows | None:
        """An object a line: a prompt, the ids of its instructions, and what each asks for exactly."""
        path = first_of(folder, "input_data.jsonl")
        return None if path is None else {"train": [_row(row, place) for place, row in json_rows(path)]}


def _row(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    ids = row.get("instruction_id_list")
    try:
        asked = checked_row(ids, row.get("kwargs"))
    except ValueError as error:
        raise DataError(f"{place}: {error}") from None
    return {"prompt": text(row, "prompt", place), "instruction_id_list": ids, "kwargs": asked}


def _checked(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    found = followed(doc["instruction_id_list"], doc["kwargs"], results[0])
    return {
        "prompt_level_strict_acc": all(found.strict),
        "inst_level_strict_acc": list(found.strict),
        "prompt_level_loose_acc": all(found.loose),
        "inst_level_loose_acc": list(found.loose),
    }


def _share(items: Sequence[Sequence[bool]]) -> float:
    """Of all instructions, those that are followed."""
    return sum(map(sum, items)) / sum(map(len, items))
