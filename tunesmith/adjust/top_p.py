"""Nucleus: tokens are drawn among the likeliest whose probabilities reach this sum together.

Source: Holtzman et al. (2020), "The Curious Case of Neural Text Degeneration", https://arxiv.org/abs/1904.09751, section 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.adjust._decoding import TEXT, refusal
from tunesmith.core.adjusting import Array, Knob, Subject, Trial
from tunesmith.core.errors import MethodError

__all__ = ["TopP"]


@dataclass(frozen=True, kw_only=True)
class TopP:
    """How many of the likeliest tokens are drawn among."""

    least: float = 0.3
    """The smallest sum that is tried; the largest is 1, all tokens."""

    moves: ClassVar[frozenset[str]] = TEXT
    trial: ClassVar[Trial] = "asked"

    def __post_init__(self) -> None:
        """Raises: MethodError, where it is no share."""
        if not 0 < self.least < 1:
            raise MethodError(f"top_p.least: {self.least:g}: expected a number between 0 and 1.")

    def refusal(self, subject: Subject) -> str:
        """Without draws there is nothing to draw among."""
        return refusal(subject, "top_p", needs_draws=True)

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One."""
        return [Knob("top_p", self.least, 1.0, 1.0)]

    def decoding(self, values: Sequence[float]) -> dict[str, float]:
        """As it is."""
        return {"top_p": values[0]}

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """The sum."""
        return [f"top_p {values[0]:.3f}"]
