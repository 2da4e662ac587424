"""A penalty on answers without an end: minus one where an answer was still going on when it was as long as it may be.

Source: "missing EOS penalty", in Huang et al. (2024), "The N+ Implementation Details of RLHF with PPO", https://arxiv.org/abs/2403.17031, detail 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.core.rewards import Ask, Response

__all__ = ["Ended"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Whether an answer came to its end: 0, or -1 where it did not."""

    weight: float = 1.0
    """What it counts beside the recipe's other rewards."""

    def score(self, responses: Sequence[Response], ask: Ask) -> list[float]:
        """0 or -1 an answer."""
        return [0.0 if response.has_ended else -1.0 for response in responses]
