"""What the validation rows said of the weights that were kept: validation.json."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.app.fitting import recorded_metric
from tunesmith.app.task import Task
from tunesmith.app.training import Fit
from tunesmith.comparison.learning_curve import Value
from tunesmith.core import registry
from tunesmith.core.errors import RunError
from tunesmith.core.files import number, write_json
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe

__all__ = ["Validated", "load_validated", "save_diverged", "save_validated", "value_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Validated:
    """NaN where the training diverged, or where there were no validation rows."""

    select_by: str
    """`loss` or a metric."""
    value: float
    loss: float
    """Nats a target."""
    units: Sequence[Sequence[float]]
    """What each row, or of a loss each batch, contributed to the value."""
    train_rows: int
    train_seconds: float

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the value is better."""
        return self.select_by != "loss" and registry.load("metric", self.select_by).higher_is_better is True

    @property
    def units_nk(self) -> Array:
        """As an array, shape (units, k)."""
        return np.array(self.units, dtype=np.float64)


def save_validated(file: Path, task: Task, fit: Fit) -> None:
    """Keep what a training's best validation said."""
    found = Validated(
        task.select_by, number(fit.best_value), number(fit.best_loss), fit.best_units, len(task.splits["train"].examples), fit.seconds
    )
    write_json(file, asdict(found), indent=None)


def save_diverged(file: Path) -> None:
    """Keep that a training diverged."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, asdict(Validated("loss", math.nan, math.nan, (), 0, 0.0)), indent=None)


def load_validated(file: Path) -> Validated:
    """What was kept. Raises: RunError, where it is missing or damaged."""
    found = RunDirectory(file.parent).read_json(file)
    try:
        return Validated(**{**found, "value": number(found["value"]), "loss": number(found["loss"])})
    except (KeyError, TypeError):
        raise RunError(f"{file}: is damaged. Make the run again.") from None


def value_of(recipe: Recipe, select_by: str) -> Value:
    """From what the units contributed, shape (units, k), to the value."""
    if select_by != "loss":
        return recorded_metric(recipe, select_by).value

    def loss(stats_nk: Array) -> float:
        sums_k, counts_k = np.split(stats_nk.sum(axis=0), 2)
        return float((sums_k / counts_k).sum())

    return loss
