"""What was predicted before a run, against what was measured: its error is shown wherever the prediction is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.numbers import MISSING, NARROW_SPACE, duration, signed, size

__all__ = ["Prediction", "arm_predictions", "error_text", "predictions"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A number that was predicted, and came out."""

    name: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was measured; above 0 where too much was predicted."""
        return self.predicted / self.measured - 1

    @property
    def cells(self) -> tuple[str, str, str]:
        """Predicted, measured and the error, as a table has them."""
        said = size if self.name == "peak memory" else duration
        return said(self.predicted), said(self.measured), error_text(self.error)

    @property
    def text(self) -> str:
        """For a line of text."""
        predicted, measured, error = self.cells
        return f"{self.name} {measured}, predicted {predicted} ({error})"


_NAMES = {"peak_memory_bytes": "peak memory", "train_seconds": "training", "total_seconds": "in all"}


def predictions(predicted: Mapping[str, Any], cost: Mapping[str, Any]) -> list[Prediction]:
    """What was predicted and measured. `predicted`, `cost`: of a report.json."""
    known = [(name, title) for name, title in _NAMES.items() if predicted.get(name) and cost.get(name)]
    return [Prediction(title, float(predicted[name]), float(cost[name])) for name, title in known]


def arm_predictions(document: Mapping[str, Any]) -> dict[str, list[Prediction]]:
    """The same of each arm that was run and of which something was predicted. `document`: of schema `tunesmith/compare/1`."""
    found = dict[str, list[Prediction]]()
    for name, arm in document["arms"].items():
        cost = {"peak_memory_bytes": arm["memory_bytes"], "train_seconds": arm["train_seconds"], "total_seconds": arm.get("total_seconds")}
        if said := predictions(arm.get("predicted") or {}, cost):
            found[name] = said
    return found


def error_text(error: float | None) -> str:
    """An error in percent, with its sign: +12 %."""
    return MISSING if error is None else f"{signed(100 * error, 0)}{NARROW_SPACE}%"
