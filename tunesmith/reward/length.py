"""A penalty on length: minus one for each so many tokens that an answer is longer than it should be.

Source: the overlong penalty of Yu et al. (2025), "DAPO", https://arxiv.org/abs/2503.14476, section 3.4, without its bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.core.rewards import Ask, Response

__all__ = ["Length"]


@dataclass(frozen=True, kw_only=True)
class Length:
    """How much longer an answer is than it should be, below 0."""

    longest: int = 0
    """Tokens that cost nothing."""
    per_tokens: int = 10
    """So many tokens beyond them cost 1, > 0."""
    weight: float = 1.0
    """What it counts beside the recipe's other rewards."""

    def __post_init__(self) -> None:
        """Raises: ValueError, where a number is out of its range."""
        if self.longest < 0 or self.per_tokens < 1:
            raise ValueError(f"expected longest >= 0 and per_tokens >= 1, found {self.longest} and {self.per_tokens}.")

    def score(self, responses: Sequence[Response], ask: Ask) -> list[float]:
        """0 or less an answer."""
        return [-max(0, response.num_tokens - self.longest) / self.per_tokens for response in responses]
