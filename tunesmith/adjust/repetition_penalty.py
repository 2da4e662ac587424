"""Repetition penalty: what stands in the answer already is made less likely.

Source: Keskar et al. (2019), "CTRL", https://arxiv.org/abs/1909.05858, section 4.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.adjust._decoding import TEXT, refusal
from tunesmith.adjust._ranges import check_most
from tunesmith.core.adjusting import Array, Knob, Subject, Trial

__all__ = ["RepetitionPenalty"]


@dataclass(frozen=True, kw_only=True)
class RepetitionPenalty:
    """How much an answer avoids its own words."""

    most: float = 1.5
    """The largest penalty that is tried; the least is 1, none."""

    moves: ClassVar[frozenset[str]] = TEXT
    trial: ClassVar[Trial] = "asked"

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds nothing but 1."""
        check_most("repetition_penalty", self.most)

    def refusal(self, subject: Subject) -> str:
        """A model that writes nothing repeats nothing."""
        return refusal(subject, "repetition_penalty")

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One."""
        return [Knob("repetition penalty", 1.0, self.most, 1.0)]

    def decoding(self, values: Sequence[float]) -> dict[str, float]:
        """As it is."""
        return {"repetition_penalty": values[0]}

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """The penalty."""
        return [f"repetition penalty {values[0]:.3f}"]
