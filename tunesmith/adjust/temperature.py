"""Temperature scaling: what a classifier's scores are divided by before they become probabilities.

It makes the model more or less sure of itself, and changes no label.

Source: Guo, Pleiss, Sun, Weinberger (2017), "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599, section 4.2, eq. 9.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.adjust._ranges import check_most
from tunesmith.adjust._scores import refusal
from tunesmith.core.adjusting import Array, Knob, Subject, Trial

__all__ = ["Temperature"]


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """Divide all scores by one number."""

    most: float = 20.0
    """The highest temperature that is tried; the lowest is one divided by it."""

    moves: ClassVar[frozenset[str]] = frozenset({"probabilities"})
    trial: ClassVar[Trial] = "scores"

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds nothing but 1."""
        check_most("temperature", self.most)

    def refusal(self, subject: Subject) -> str:
        """Why there is no temperature: the model says no probabilities of classes that a metric reads, or has no head for these."""
        if subject.kind == "multi_label":
            return "no metric of several labels reads how sure the model is, which is all that a temperature changes. Name threshold"
        if subject.kind != "classification":
            other = " Of an answer in words it is sampling_temperature" if subject.writes else ""
            return f"it scales a classifier's probabilities, and a model of {subject.objective} has none.{other}"
        return refusal(subject)

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One."""
        return [Knob("temperature", 1 / self.most, self.most, 1.0, is_log=True)]

    def affine(self, subject: Subject, values: Sequence[float], num_outputs: int) -> tuple[list[float], list[float]]:
        """All outputs alike."""
        return [1 / values[0]] * num_outputs, [0.0] * num_outputs

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """The temperature."""
        return [f"temperature {values[0]:.3f}"]
