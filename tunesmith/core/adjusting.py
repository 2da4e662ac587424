"""The contract of what the method `direct` adjusts, a file in `adjust/`, and of a method whose change is searched for.

n rows    K outputs of a head
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from tunesmith.core.types import Method

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Adjustment", "DecodingAdjustment", "Knob", "SampledBy", "ScoreAdjustment", "SearchedMethod", "Subject", "WeightAdjustment"]

Array = np.ndarray[Any, np.dtype[np.float64]]
SampledBy = Literal["auto", "cmaes", "tpe"]
"""What proposes the next trial."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A number that is searched for. The middle of its range, of its logarithms where `is_log`, is where CMA-ES begins."""

    name: str
    low: float
    high: float
    start: float
    """What the model does as it is."""
    is_log: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be adjusted."""

    model: str
    """As the recipe names it."""
    objective: str
    kind: str
    """What the model learned to do: one of the values of `chosen_objective.KINDS`."""
    writes: bool
    """Whether it answers with text of its own."""
    max_new_tokens: int
    """Where such an answer is cut as it is."""
    labels: tuple[str, ...]
    """Of a head's outputs; empty where they have no names."""
    knows_labels: bool
    """Whether the model is a run whose head gives all of these outputs."""
    trunk: nn.Module
    adjusted: tuple[str, ...]
    """Names of all adjustments that are searched together."""


class Adjustment(Protocol):
    """One aspect of a model: its options say within which range."""

    moves: ClassVar[frozenset[str]]
    """What of a prediction it can change: what metrics need (`Metric.needs`)."""

    def refusal(self, subject: Subject) -> str:
        """Why it says nothing to this model, as a sentence; empty where it does."""

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """The numbers that are searched for. `scores_nk`: what the model's head says to the validation rows; None where it has none."""

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """The values in words, one phrase each."""


@runtime_checkable
class ScoreAdjustment(Adjustment, Protocol):
    """Changes what a head says, not how it comes to it: outputs become `scale * outputs + shift`."""

    def affine(self, subject: Subject, values: Sequence[float], num_outputs: int) -> tuple[list[float], list[float]]:
        """Scale and shift, each one number an output."""


@runtime_checkable
class WeightAdjustment(Adjustment, Protocol):
    """Changes some of the trunk's own parameters."""

    def touches(self, trunk: nn.Module) -> list[str]:
        """Names of the parameters that change."""

    def asks_earlier(self, trunk: nn.Module) -> bool:
        """Whether it is told by the model as that was before its last adapter, which is loaded once more for it."""

    def changed(self, trunk: nn.Module, values: Sequence[float], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those parameters by name. `own`: as they were before the search."""

    def save(self, trunk: nn.Module, values: Sequence[float], folder: Path, metadata: Mapping[str, str]) -> list[str]:
        """Write the change in a form of its own, where there is a smaller one than the parameters.

        Args:
            metadata: what files of tensors say of themselves.
        Returns: names of the parameters that need no more be written.
        """


@runtime_checkable
class DecodingAdjustment(Adjustment, Protocol):
    """Changes how an answer is made of what the model holds likely."""

    def decoding(self, values: Sequence[float]) -> dict[str, float]:
        """Fields of `engine.sampling.Sampling`."""


@runtime_checkable
class SearchedMethod(Method, Protocol):
    """A method without gradients: what it changes is searched for by a metric of the validation rows."""

    metric: str | None
    """None: the recipe's own choice."""
    trials: int | None
    """None: as many as are usual."""
    sampler: SampledBy

    @property
    def adjustments(self) -> Mapping[str, Adjustment]:
        """By their names."""

    def keep(self, values: Mapping[str, Sequence[float]]) -> None:
        """What was found, by adjustment, for `save`; empty where the model stays as it was."""
