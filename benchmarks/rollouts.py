"""What a leg of `grpo` is given and what it gives back: learning from rewards of the model's own answers. Imports no torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.workload import Settings

__all__ = ["Prompts", "Rewarded", "reward"]

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
    """Of the user, in the order of the steps; the model's own template goes around each."""
    num_answers: int = 8
    """The paper's G: to each prompt."""
    max_new_tokens: int = 32
    temperature: float = 1.0

    @property
    def answers_per_step(self) -> int:
        """To all of a step's prompts."""
        return self.num_answers * self.settings.examples_per_step

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

    rewards: tuple[float, ...]
    """The mean reward of each step's answers, as they were written before its update."""
    num_answers: int
    """Written and learned from, in all steps."""
    num_answer_tokens: int
    """Of these answers, their ends included."""
    seconds: float
    """From the moment when the base model is loaded to the end of the last update."""
    peak_memory_bytes: int
    """Of the process, from its start to the end of training."""
    version: str
    setting: str = ""
    """What the configuration came to."""

    @classmethod
    def from_document(cls, found: Mapping[str, Any]) -> "Rewarded":
        """What `dataclasses.asdict` made of one, read back."""
        return cls(**{**found, "rewards": tuple(found["rewards"])})

    @property
    def answers_per_second(self) -> float:
        """Answers that were written and learned from in a second."""
        return self.num_answers / self.seconds
