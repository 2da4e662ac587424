"""What a long command tells the one who waits: the stream that progress bars, logs and notebooks consume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.core.types import Step

__all__ = ["Event", "Notice", "Progress", "Stage", "Stepped", "Validated", "Warned", "counted", "silence"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the work begins."""

    name: str
    """A word or two: `data`, `model`, `train`, `evaluate`, ..."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come."""

    stage: str
    done: int
    total: int
    """0 where it is not known."""
    in_bytes: bool = False
    """Whether these are bytes of a download."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """One optimizer update was done."""

    step: Step
    total_steps: int
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Validated:
    """The model was judged on the validation split."""

    step: int
    loss: float
    """Nats."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    best: bool = False
    """Whether these are the best weights so far."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth knowing, one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that may make the result worse than it could be, one line."""

    text: str


Event = Stage | Progress | Stepped | Validated | Notice | Warned


def silence(event: Event) -> None:
    """What is told where nobody listens."""


def counted(say: Callable[[Event], None], stage: str, total: int) -> Callable[[int], None]:
    """What tells, given how many of so many are done, how far a stage has come."""
    return lambda done: say(Progress(stage, done, total))
