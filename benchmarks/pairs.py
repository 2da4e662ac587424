"""What the legs of `dpo` are given and what they give back. Imports no torch."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.comparison import FLOAT32, Tolerance
from benchmarks.workload import ORDERS, Config, Settings

__all__ = ["Learned", "LearnedAlike", "Pair", "Pairs", "learned_alike"]

UNTRAINED = math.log(2)
"""Nats: the loss of a model that is its own reference."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt with two answers to it, as tokens; every token of an answer is scored."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    @property
    def num_answer_tokens(self) -> int:
        """Of both answers."""
        return len(self.chosen) + len(self.rejected)

    @property
    def length(self) -> int:
        """Tokens of the longer of its two sequences."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))

    @classmethod
    def from_document(cls, found: Mapping[str, Sequence[int]]) -> "Pair":
        """What `dataclasses.asdict` made of one, read back."""
        return cls(*(tuple(found[name]) for name in ("prompt", "chosen", "rejected")))


@dataclass(frozen=True, slots=True)
class Pairs:
    """What every side learns from."""

    settings: Settings
    """`examples_per_step` counts pairs."""
    beta: float
    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]
    orders: Mapping[str, Sequence[int]]
    """Of the training pairs, the same in every epoch."""

    def write(self, folder: Path) -> None:
        """To pairs.json; `start/` beside it holds the adapter that every side begins with."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pairs.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Pairs":
        """What `write` wrote."""
        found: dict[str, Any] = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))
        train, held_out = (tuple(map(Pair.from_document, found[name])) for name in ("train", "held_out"))
        return cls(Settings(**found["settings"]), found["beta"], train, held_out, found["orders"])

    def in_order(self, config: Config, num_steps: int | None = None) -> list[Pair]:
        """The pairs of one epoch in the order of a configuration; of a trial, those of its first steps."""
        chosen = [self.train[index] for index in self.orders[ORDERS[config]]]
        return chosen if num_steps is None else chosen[: num_steps * self.settings.examples_per_step]


@dataclass(frozen=True, slots=True)
class Learned:
    """What one leg reports."""

    first_loss: float
    """Of the first step, before any update: ln 2, where the reference is right."""
    held_out_loss: float
    """At the end, nats a pair, by one plain function for all sides. NaN of a trial."""
    held_out_accuracy: float
    """The share of held-out pairs whose chosen answer gained more."""
    seconds: float
    """From the moment when the base model is loaded to the end of the last update: what the reference says is in it."""
    num_answer_tokens: int
    """Of both answers, each as often as it was learned from; the reference's reading does not count."""
    peak_memory_bytes: int
    """Of the process, from its start to the end of training."""
    version: str
    setting: str = ""
    """What the configuration came to."""

    @property
    def answer_tokens_per_second(self) -> float:
        """What was learned from in a second."""
        return self.num_answer_tokens / self.seconds


@dataclass(frozen=True, slots=True)
class LearnedAlike:
    """Whether two sides learned, and the same; the largest differences over all their legs."""

    passed: bool
    first_loss_difference: float
    """Nats, from ln 2."""
    held_out_loss_difference: float
    """Relative to ours."""
    allowed: Tolerance
    held_out_losses: tuple[float, float]
    """Ours and theirs, the last leg's; below ln 2 where something was learned."""
    held_out_accuracies: tuple[float, float]


def learned_alike(ours: Sequence[Learned], theirs: Sequence[Learned], allowed: Tolerance = FLOAT32) -> LearnedAlike:
    """Compare every leg of one side with every leg of the other. A loss that is not finite fails, and so does a side that learned nothing."""
    legs = [*ours, *theirs]
    first = max(abs(leg.first_loss - UNTRAINED) for leg in legs)
    final = max(abs(b.held_out_loss - a.held_out_loss) / a.held_out_loss for a in ours for b in theirs)
    is_finite = all(math.isfinite(loss) for leg in legs for loss in (leg.first_loss, leg.held_out_loss))
    is_alike = first <= allowed.first and final <= allowed.final
    passed = is_finite and is_alike and all(leg.held_out_loss < UNTRAINED for leg in legs)
    ends = (ours[-1], theirs[-1])
    return LearnedAlike(
        passed,
        first,
        final,
        allowed,
        (ends[0].held_out_loss, ends[1].held_out_loss),
        (ends[0].held_out_accuracy, ends[1].held_out_accuracy),
    )
