"""What rewards an answer that a model wrote, and the contract of a reward. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tunesmith.core.examples import Example, Message, asked_turns
from tunesmith.core.metrics import Output

__all__ = ["Ask", "Response", "Reward"]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that a model wrote."""

    example: Example
    """What it was asked."""
    prompt: str
    """The same as text: of a conversation its last turn."""
    text: str
    """The answer, without surrounding space."""
    reference: str
    """The answer that the data has; empty where it has none."""
    num_tokens: int
    """Of the answer, the one that ends it among them."""
    has_ended: bool
    """Whether it came to its end before it was as long as it may be."""

    @property
    def turns(self) -> tuple[Message, ...]:
        """What it was asked, as turns: what is no conversation is one of the user's."""
        return asked_turns(self.example) or (Message("user", self.prompt),)


Ask = Callable[[str, Sequence[Example]], Sequence[Output]]
"""What a finished run, by its name, says to examples."""


@runtime_checkable
class Reward(Protocol):
    """How good an answer is. A file in `reward/`."""

    @property
    def weight(self) -> float:
        """What it counts beside the recipe's other rewards; below 0 it is a penalty."""

    def score(self, responses: Sequence[Response], ask: Ask) -> Sequence[float]:
        """One number an answer, the higher the better, before it is weighed. Raises: TunesmithError, where one cannot be had."""
