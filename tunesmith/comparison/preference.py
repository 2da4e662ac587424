"""Which of several arms to take, where the test rows do not tell them apart: the one that is cheapest by what the user prefers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["PREFERENCES", "Cost", "chosen", "front"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an arm costs, and what it gives; NaN where that is not known."""

    quality: float
    """Its first metric, more being better."""
    train_seconds: float = 0.0
    seconds_per_answer: float = math.nan
    memory_bytes: float = math.nan
    """At most, while it was trained and asked."""
    saved_bytes: float = 0.0
    """Of what has to be kept beside the base."""
    usd_per_answer: float = 0.0
    """What an endpoint asks for."""
    is_renewed_without_training: bool = False
    """Whether it answers from data that may change, with nothing trained anew: documents that are looked up, examples."""
    is_asked_here: bool = True
    """Whether what it is asked stays on this machine."""


PREFERENCES: Mapping[str, tuple[str, ...]] = {
    "cost": ("usd_per_answer", "train_seconds", "seconds_per_answer", "saved_bytes"),
    "accuracy": ("quality", "train_seconds", "seconds_per_answer"),
    "latency": ("seconds_per_answer", "train_seconds"),
    "memory": ("memory_bytes", "train_seconds", "seconds_per_answer"),
    "privacy": ("is_asked_here", "usd_per_answer", "train_seconds", "seconds_per_answer"),
    "freshness": ("is_renewed_without_training", "train_seconds", "seconds_per_answer"),
}
"""What is looked at, the next where the one before is the same."""
_MORE_IS_BETTER = ("quality", "is_renewed_without_training", "is_asked_here")


def chosen(arms: Sequence[str], costs: Mapping[str, Cost], prefer: str) -> str:
    """The arm that is best by the preference; of equal ones the first. What is not known is worse than anything that is.

    Args:
        prefer: a key of PREFERENCES.
    Raises: ValueError, where there is no arm.
    """

    def rank(arm: str) -> tuple[float, ...]:
        values = [(-1.0 if name in _MORE_IS_BETTER else 1.0) * float(getattr(costs[arm], name)) for name in PREFERENCES[prefer]]
        return tuple(math.inf if math.isnan(value) else value for value in values)

    return min(arms, key=rank)


def front(arms: Sequence[str], costs: Mapping[str, Cost], by: str) -> list[str]:
    """The arms of the Pareto front of quality against a cost: no other is at least as good in both and better in one. Those whose cost is not known are on none."""
    known = [arm for arm in arms if not math.isnan(getattr(costs[arm], by)) and not math.isnan(costs[arm].quality)]

    def beats(one: str, other: str) -> bool:
        a, b = (costs[one].quality, -getattr(costs[one], by)), (costs[other].quality, -getattr(costs[other], by))
        return a != b and a[0] >= b[0] and a[1] >= b[1]

    return [arm for arm in known if not any(beats(other, arm) for other in known)]
