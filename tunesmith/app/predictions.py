"""predictions.jsonl of a finished run: what base and tuned said to every test row, and what each row contributed to each metric. Needs no torch."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import RunError
from tunesmith.core.run import RunDirectory

__all__ = ["answered", "read_predictions", "row_name", "stats_of"]


def read_predictions(directory: RunDirectory) -> list[dict[str, Any]]:
    """The lines of a finished run. Raises: RunError, where it is not finished, was removed, or was written before scores were kept."""
    directory.read_json(directory.report_json)  # the last file that a run writes
    try:
        lines = [json.loads(line) for line in directory.predictions.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise RunError(f"{directory.predictions}: cannot be read ({error}).") from None
    if any("scores" not in line for line in lines):
        raise RunError(f"{directory.predictions}: holds no scores of its rows; an earlier version wrote it. Train the run again.")
    return lines


def answered(directory: RunDirectory) -> dict[tuple[str, str], dict[str, Any]]:
    """(row, prompt) -> the line, of the test rows that were answered in words. Raises: as `read_predictions`."""
    return {(line["row"], line["prompt"]): line for line in read_predictions(directory) if line["split"] == "test" and "prompt" in line}


def row_name(line: Mapping[str, Any]) -> str:
    """What a row is matched by: its file and number, of a mixture with its task."""
    return f"{line['task']}: {line['row']}" if line.get("task") else str(line["row"])


def stats_of(lines: Sequence[Mapping[str, Any]], metric: str, split: str = "test", task: str = "") -> dict[str, list[Any]]:
    """Of the rows that the metric was measured on: `row`, their groups or else their names, and under `tuned` and `base` what each contributed.

    Args:
        task: of a mixture, whose rows alone are wanted; empty: all.
    Returns: as `core.crossed.Stats.of` takes it; without `base` where the base was not asked.
    """
    rows = [line for line in lines if line["split"] == split and task in ("", line.get("task")) and metric in line["scores"]["tuned"]]
    sides = [side for side in ("tuned", "base") if rows and all(metric in line["scores"].get(side, {}) for line in rows)]
    return {
        "row": [line.get("group") or row_name(line) for line in rows],
        **{side: [line["scores"][side][metric] for line in rows] for side in sides},
    }
