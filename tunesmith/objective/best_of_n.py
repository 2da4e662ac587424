"""Best of n: write several answers to a prompt and keep the one that is rewarded most. Nothing is trained.

What it says is at most log n - (n - 1) / n nats from the model. Source: Nakano et al. (2021), "WebGPT", https://arxiv.org/abs/2112.09332, section 3; the distance: Stiennon et al. (2020), https://arxiv.org/abs/2009.01325, appendix G.3,
as Beirami et al. (2024), https://arxiv.org/abs/2401.01879, theorem 1, bounds it.
"""

import math
from dataclasses import dataclass
from typing import NoReturn

from tunesmith.core.batch import Batch
from tunesmith.core.errors import ObjectiveError, RecipeError
from tunesmith.core.types import Forward
from tunesmith.objective._policy import PolicyLoss

__all__ = ["BestOfN"]


@dataclass(frozen=True, kw_only=True)
class BestOfN(PolicyLoss):
    """Keep the best of several answers."""

    num_tried: int = 8
    """Answers to a prompt, of which the best is kept, at least 2."""
    max_new_tokens: int = 64
    """The most tokens of an answer."""
    writes_pairs: bool = False
    """Whether the training prompts are answered too: the best and the worst answer to each are kept as a pair in the run's pairs.jsonl, for dpo, orpo or reward to learn from; those to the test prompts in pairs-test.jsonl."""

    def __post_init__(self) -> None:
        """Raises: RecipeError, where a number is out of its range."""
        if self.num_tried < 2 or self.max_new_tokens < 1:
            raise RecipeError(
                f"objective: best_of_n: expected num_tried of at least 2 and max_new_tokens of at least 1, found {self.num_tried} and {self.max_new_tokens}."
            )

    @property
    def most_kl(self) -> float:
        """How far what is kept can be from what the model says, nats an answer."""
        return math.log(self.num_tried) - (self.num_tried - 1) / self.num_tried

    def loss(self, forward: Forward, batch: Batch) -> NoReturn:
        """Raises: ObjectiveError: nothing is trained."""
        raise ObjectiveError("objective: best_of_n trains nothing. Set method=none, or use grpo or ppo.")
