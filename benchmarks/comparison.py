"""The order of the legs, the gate, the target and the ratios: pure functions over what legs measured."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.workload import Measured, Point

__all__ = ["BF16", "FLOAT32", "Gate", "Ratio", "Target", "Tolerance", "gate", "interleaved", "ratio", "seconds_to"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two sides may be apart."""

    first: float
    """Nats, between the losses of the first step."""
    final: float
    """Relative, between the held-out losses at the end; and how far above its best a target lies."""


FLOAT32 = Tolerance(1e-4, 0.005)
BF16 = Tolerance(1e-2, 0.005)


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether two sides did the same work; the largest differences over all their legs."""

    passed: bool
    first_loss_difference: float
    """Nats."""
    held_out_loss_difference: float
    """Relative to ours."""
    allowed: Tolerance


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over theirs, over the repeats."""

    median: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Target:
    """What a side has to reach: of a classifier an accuracy, else a held-out loss."""

    loss: float | None = None
    accuracy: float | None = None

    @classmethod
    def of(cls, best: Sequence[Measured]) -> "Target":
        """What the peer's best configuration reaches at its end: its accuracy, or its loss and a margin of 0.5 % above."""
        ends = [leg.curve[-1] for leg in best]
        if ends[0].accuracy is not None:
            return cls(accuracy=min(end.accuracy for end in ends if end.accuracy is not None))
        return cls(loss=max(end.loss for end in ends) * (1 + FLOAT32.final))

    def reached(self, point: Point) -> bool:
        """Whether a checkpoint is there."""
        if self.accuracy is not None:
            return point.accuracy is not None and point.accuracy >= self.accuracy
        return self.loss is not None and point.loss <= self.loss


def interleaved(repeats: Mapping[str, int]) -> list[str]:
    """The order of the legs: each round forwards, the next one backwards (A B B A), so that a slow drift of the machine falls on all alike.

    Args:
        repeats: how often each leg runs; one with fewer repeats stays away from the last rounds.
    """
    order = list[str]()
    for round_index in range(max(repeats.values(), default=0)):
        names = [name for name, count in repeats.items() if count > round_index]
        order += reversed(names) if round_index % 2 else names
    return order


def gate(ours: Sequence[Measured], theirs: Sequence[Measured], allowed: Tolerance = FLOAT32) -> Gate:
    """Compare every leg of one side with every leg of the other. A loss that is not finite fails."""
    pairs = [(a, b) for a in ours for b in theirs]
    losses = [loss for leg in (*ours, *theirs) for loss in (leg.first_loss, leg.held_out_loss)]
    if not pairs or not all(math.isfinite(loss) for loss in losses):
        return Gate(False, math.inf, math.inf, allowed)
    first = max(abs(a.first_loss - b.first_loss) for a, b in pairs)
    final = max(abs(b.held_out_loss - a.held_out_loss) / a.held_out_loss for a, b in pairs)
    return Gate(first <= allowed.first and final <= allowed.final, first, final, allowed)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Ours over theirs, repeat by repeat: the legs of a round ran next to each other. A round that only one side ran is left out."""
    found = [a / b for a, b in zip(ours, theirs, strict=False)]
    return Ratio(statistics.median(found), min(found), max(found))


def seconds_to(target: Target, leg: Measured) -> float | None:
    """Until the first checkpoint that reaches `target`; None, where none does."""
    return next((point.seconds for point in leg.curve if target.reached(point)), None)
