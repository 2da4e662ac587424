"""What a leg of `grpo` is given and what it gives back: learning from rewards of the model's own answers. Imports no torch."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.workload import Settings

__all__ = ["Drawn", "Estimate", "Prompts", "Rewarded", "RewardedAlike", "mean_reward", "reward", "rewarded_alike"]

_MOST_WORDS = 32


def reward(answer: str) -> float:
    """The fewer words, the better: from 0 for none down to about -1. It differs among nearly all answers, so that every group teaches something."""
    return -len(answer.split()) / _MOST_WORDS


@dataclass(frozen=True, slots=True)
class Prompts:
    """What every side answers and learns from."""

    settings: Settings
    """`examples_per_step` counts prompts."""
    prompts: tuple[str, ...]
    """Of the user, in the order of the steps, the same in every epoch; the model's own template goes around each."""
    num_answers: int = 8
    """The paper's G: to each prompt."""
    max_new_tokens: int = 32
    temperature: float = 1.0

    @property
    def answers_per_step(self) -> int:
        """To all of a step's prompts."""
        return self.num_answers * self.settings.examples_per_step

    @property
    def steps_per_epoch(self) -> int:
        """Whole ones."""
        return len(self.prompts) // self.settings.examples_per_step

    @property
    def num_steps(self) -> int:
        """Of all epochs."""
        return self.steps_per_epoch * self.settings.epochs

    def in_order(self, num_steps: int | None = None) -> list[str]:
        """The prompts of all steps; of a trial, those of its first ones."""
        asked = list(self.prompts) * self.settings.epochs
        return asked if num_steps is None else asked[: num_steps * self.settings.examples_per_step]

    def write(self, folder: Path) -> None:
        """To prompts.json; `start/` beside it holds the adapter that every side begins with."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prompts.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Prompts":
        """What `write` wrote."""
        found: dict[str, Any] = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
        return cls(**{**found, "settings": Settings(**found["settings"]), "prompts": tuple(found["prompts"])})


@dataclass(frozen=True, slots=True)
class Rewarded:
    """What one leg reports."""

    rewards: tuple[tuple[float, ...], ...]
    """Of each step's answers, as they were written before its update; those to a prompt stand side by side."""
    lengths: tuple[tuple[int, ...], ...]
    """Tokens of the same answers, their ends included."""
    seconds: float
    """From the moment when the base model is loaded to the end of the last update."""
    peak_memory_bytes: int
    """Of the process, from its start to the end of training."""
    version: str
    setting: str = ""
    """What the configuration came to."""

    @classmethod
    def of(cls, given: Prompts, rewards: Sequence[float], lengths: Sequence[int], **others: Any) -> "Rewarded":
        """From all answers in the order that they were written in."""
        size = given.answers_per_step
        starts = range(0, len(rewards), size)
        return cls(tuple(tuple(rewards[at : at + size]) for at in starts), tuple(tuple(lengths[at : at + size]) for at in starts), **others)

    @classmethod
    def from_document(cls, found: Mapping[str, Any]) -> "Rewarded":
        """What `dataclasses.asdict` made of one, read back."""
        return cls(**{**found, **{name: tuple(map(tuple, found[name])) for name in ("rewards", "lengths")}})

    @property
    def mean_rewards(self) -> list[float]:
        """Of each step."""
        return list(map(statistics.fmean, self.rewards))

    @property
    def num_answers(self) -> int:
        """Written and learned from, in all steps."""
        return sum(map(len, self.rewards))

    @property
    def mean_length(self) -> float:
        """Tokens of an answer."""
        return sum(map(sum, self.lengths)) / self.num_answers

    @property
    def answers_per_second(self) -> float:
        """Answers that were written and learned from in a second."""
        return self.num_answers / self.seconds


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that was found from what a model drew."""

    value: float
    standard_error: float

    @property
    def in_errors(self) -> float:
        """How many standard errors it is from 0."""
        return self.value / self.standard_error if self.standard_error else math.copysign(math.inf, self.value) if self.value else 0.0

    def less(self, other: "Estimate") -> "Estimate":
        """The difference of two that were drawn apart."""
        return Estimate(self.value - other.value, math.hypot(self.standard_error, other.standard_error))


def mean_reward(legs: Sequence[Rewarded], steps: slice, num_answers: int) -> Estimate:
    """Of the answers of some steps of all legs. Its error is that of drawing the answers, the prompts being what they are."""
    groups = [step[at : at + num_answers] for leg in legs for step in leg.rewards[steps] for at in range(0, len(step), num_answers)]
    variance = sum(statistics.variance(group) / len(group) for group in groups) / len(groups) ** 2
    return Estimate(statistics.fmean(map(statistics.fmean, groups)), math.sqrt(variance))


@dataclass(frozen=True, slots=True)
class Drawn:
    """How far two sides that draw their answers may be apart."""

    length: float = 0.1
    """Relative to ours, between the mean tokens of an answer."""
    errors: float = 4.0
    """Standard errors: between the first rewards, and that a side's reward may have fallen by."""


@dataclass(frozen=True, slots=True)
class RewardedAlike:
    """Whether two sides did the same work, as far as what is drawn at random can show it. Ours before theirs where there are two."""

    passed: bool
    num_answers: tuple[int, int]
    """Of a leg: the same in all legs of both sides, in as many steps."""
    mean_lengths: tuple[float, float]
    """Tokens of an answer, over all legs."""
    first_rewards: tuple[float, float]
    """Means of the first step, before any update."""
    first_reward_errors: float
    """How many standard errors of their difference they are apart."""
    rises: tuple[float, float]
    """By how much the mean reward of the last epoch is above that of the first one, to the same prompts."""
    rise_errors: tuple[float, float]
    """The same in standard errors."""
    allowed: Drawn


def rewarded_alike(given: Prompts, ours: Sequence[Rewarded], theirs: Sequence[Rewarded], allowed: Drawn = Drawn()) -> RewardedAlike:
    """Compare all legs of one side with all legs of the other. Where a leg has another number of steps or answers, nothing else is looked at."""
    counts, none = (ours[-1].num_answers, theirs[-1].num_answers), (math.nan, math.nan)
    if {tuple(map(len, leg.rewards)) for leg in (*ours, *theirs)} != {(given.answers_per_step,) * given.num_steps}:
        return RewardedAlike(False, counts, none, none, math.nan, none, none, allowed)
    our_length, their_length = (statistics.fmean(leg.mean_length for leg in side) for side in (ours, theirs))
    our_first, their_first = (mean_reward(side, slice(0, 1), given.num_answers) for side in (ours, theirs))
    our_rise, their_rise = (_rise(given, side) for side in (ours, theirs))
    apart = our_first.less(their_first).in_errors
    passed = (
        abs(their_length - our_length) <= allowed.length * our_length
        and abs(apart) <= allowed.errors
        and all(rise.in_errors >= -allowed.errors for rise in (our_rise, their_rise))
    )
    return RewardedAlike(
        passed,
        counts,
        (our_length, their_length),
        (our_first.value, their_first.value),
        apart,
        (our_rise.value, their_rise.value),
        (our_rise.in_errors, their_rise.in_errors),
        allowed,
    )


def _rise(given: Prompts, legs: Sequence[Rewarded]) -> Estimate:
    """Of the mean reward, from the first epoch to the last, whose prompts are the same."""
    last = mean_reward(legs, slice(-given.steps_per_epoch, None), given.num_answers)
    return last.less(mean_reward(legs, slice(given.steps_per_epoch), given.num_answers))
