"""What the legs of `evaluation` are given and what they give back. Imports no torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["TIE_NATS", "Agreement", "Question", "Questions", "Scored", "agreement"]

TIE_NATS = 1e-4
"""Choices no further apart than this count as equally good."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the worked examples before it, and what could follow it."""

    prompt: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """A multiple-choice test."""

    model: str
    """The folder of the model that answers."""
    questions: tuple[Question, ...]
    num_tokens: int
    """All tokens, as if each choice were read with everything before it: what is asked, however it is computed."""
    num_scored_tokens: int
    """The choices' own."""

    def write(self, folder: Path) -> None:
        """To questions.json."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "questions.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Questions":
        """What `write` wrote."""
        found: Mapping[str, Any] = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
        questions = tuple(Question(one["prompt"], tuple(one["choices"])) for one in found["questions"])
        return cls(**{**found, "questions": questions})


@dataclass(frozen=True, slots=True)
class Scored:
    """What one leg reports."""

    logprobs: tuple[tuple[float, ...], ...]
    """Of each choice of each question, the sum over its tokens, nats."""
    seconds: float
    """Wall clock of the scoring; the model is loaded before."""
    num_tokens: int
    num_scored_tokens: int
    peak_memory_bytes: int
    version: str

    @classmethod
    def from_document(cls, found: Mapping[str, Any]) -> "Scored":
        """What `dataclasses.asdict` made of one, read back."""
        return cls(**{**found, "logprobs": tuple(tuple(choices) for choices in found["logprobs"])})


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether two sides chose the same; over all their legs."""

    passed: bool
    num_items: int
    num_different: int
    logprob_difference: float
    """The largest, nats."""


def agreement(ours: Sequence[Scored], theirs: Sequence[Scored]) -> Agreement:
    """Compare every leg of one side with every leg of the other. Where the other side's choice is a tie with one's own, both are right."""
    different, items, largest = 0, 0, 0.0
    for a in ours:
        for b in theirs:
            pairs = list(zip(a.logprobs, b.logprobs, strict=True))
            items = max(items, len(pairs))
            different = max(different, sum(not _same_choice(one, other) for one, other in pairs))
            largest = max(largest, *(abs(x - y) for one, other in pairs for x, y in zip(one, other, strict=True)))
    return Agreement(items > 0 and different == 0, items, different, largest)


def _same_choice(one: Sequence[float], other: Sequence[float]) -> bool:
    if not all(x - x == 0 for x in (*one, *other)):  # not finite
        return False
    chosen, chosen_there = max(range(len(one)), key=one.__getitem__), max(range(len(other)), key=other.__getitem__)
    return chosen == chosen_there or (one[chosen] - one[chosen_there] <= TIE_NATS and other[chosen_there] - other[chosen] <= TIE_NATS)
