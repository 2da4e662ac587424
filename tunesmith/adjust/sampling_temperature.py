"""Sampling temperature: what the logits are divided by before a token of an answer is drawn; near 0 the likeliest one is taken, as tunesmith does where nothing else is set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.adjust._decoding import TEXT, refusal
from tunesmith.adjust._ranges import check_most
from tunesmith.core.adjusting import Array, Knob, Subject, Trial

__all__ = ["SamplingTemperature"]

_LIKELIEST = 0.05
"""Below, the likeliest token is taken."""


@dataclass(frozen=True, kw_only=True)
class SamplingTemperature:
    """How much chance answers are left to."""

    most: float = 1.5
    """The highest temperature that is tried; the lowest takes the likeliest token."""

    moves: ClassVar[frozenset[str]] = TEXT
    trial: ClassVar[Trial] = "asked"

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds nothing but the likeliest token."""
        check_most("sampling_temperature", self.most, above=_LIKELIEST)

    def refusal(self, subject: Subject) -> str:
        """A model that writes nothing draws nothing."""
        return refusal(subject, "sampling_temperature")

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One."""
        return [Knob("sampling temperature", 0.0, self.most, 0.0)]

    def decoding(self, values: Sequence[float]) -> dict[str, float]:
        """0 for what is next to nothing."""
        return {"temperature": values[0] if values[0] >= _LIKELIEST else 0.0}

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """The temperature, or what it comes to."""
        return [f"sampling temperature {values[0]:.3f}" if values[0] >= _LIKELIEST else "the likeliest token"]
