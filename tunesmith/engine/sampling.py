"""Tokens drawn at random from what a model holds likely, and the same ones every time for a seed.

Each prompt has random numbers of its own, so that what it gets does not depend on the prompts that run beside it.

R rows of a step    V tokens of the vocabulary
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

__all__ = ["Choose", "Sampling", "Scattered", "drawn", "most_likely", "nucleus", "penalized"]

Choose = Callable[[Tensor, Sequence[int]], list[int]]
"""From logits, (R, V), and the number of the prompt of each row, the token of each row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn, and how many."""

    temperature: float = 1.0
    """Logits are divided by it: below 1 what is likely becomes more so; 0: the likeliest token is taken."""
    top_p: float = 1.0
    """Only the likeliest tokens are drawn whose probabilities reach this sum, in (0, 1]."""
    repetition_penalty: float = 1.0
    """What stands in the answer already is made less likely by it, > 0; 1: it is not."""
    max_new_tokens: int | None = None
    """Where an answer is cut whose asker names no length; None: where the recipe says."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.repetition_penalty <= 0:
            raise ValueError(
                "expected temperature >= 0, top_p in (0, 1] and repetition_penalty > 0, "
                f"found {self.temperature}, {self.top_p} and {self.repetition_penalty}"
            )

    @property
    def is_greedy(self) -> bool:
        """Whether always the likeliest token is taken."""
        return self.temperature == 0 and self.repetition_penalty == 1

    def chooser(self, num_prompts: int) -> Choose:
        """What draws the next token of each prompt, from the prompt's own random numbers."""
        if self.is_greedy:
            return most_likely
        numbers = [np.random.Generator(np.random.PCG64([self.seed, prompt])) for prompt in range(num_prompts)]
        written: list[dict[int, None]] = [{} for _ in range(num_prompts)]

        def choose(logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
            if self.repetition_penalty != 1:
                logits_RV = penalized(logits_RV, [list(written[prompt]) for prompt in prompts], self.repetition_penalty)
            if self.temperature == 0:
                chosen = most_likely(logits_RV, prompts)
            else:
                numbers_R = torch.tensor([numbers[prompt].random() for prompt in prompts], dtype=torch.float64)
                chosen = drawn(nucleus(logits_RV, self.temperature, self.top_p), numbers_R)
            for prompt, token in zip(prompts, chosen, strict=True):
                written[prompt][token] = None
            return chosen

        return choose


def most_likely(logits_RV: Tensor, prompts: Sequence[int]) -> list[int]:
    """The likeliest token of each row."""
    return logits_RV.argmax(1).tolist()


def penalized(logits_RV: Tensor, written: Sequence[Sequence[int]], penalty: float) -> Tensor:
    """The logits, (R, V), with those of the tokens that each row has written divided by `penalty` where they are positive, else multiplied by it.

    The prompt's tokens are left alone: an answer may need its words. Source: Keskar et al. (2019), "CTRL", https://arxiv.org/abs/1909.05858, section 4.1, with the sign seen to.
    """
    found_RV = logits_RV.clone()
    for row, tokens in enumerate(written):
        own = found_RV[row, tokens]
        found_RV[row, tokens] = torch.where(own > 0, own / penalty, own * penalty)
    return found_RV


def nucleus(logits_RV: Tensor, temperature: float, top_p: float) -> Tensor:
    """The probabilities of the tokens, (R, V), float32: 0 beyond the fewest likeliest ones that reach `top_p` together; rows sum to 1.

    Source: Holtzman et al. (2020), "The Curious Case of Neural Text Degeneration", https://arxiv.org/abs/1904.09751, section 3.1.
    """
    if top_p >= 1:  # all of them: to sort a vocabulary takes a hundred times as long as the rest
        return (logits_RV.float() / temperature).softmax(1)
    ordered_RV, tokens_RV = (logits_RV.float() / temperature).softmax(1).sort(dim=1, descending=True, stable=True)
    before_RV = ordered_RV.cumsum(1) - ordered_RV
    kept_RV = ordered_RV.masked_fill(before_RV >= top_p, 0.0)
    kept_RV[:, 0] = ordered_RV[:, 0]  # one is always left, whatever rounding does
    return torch.zeros_like(kept_RV).scatter_(1, tokens_RV, kept_RV / kept_RV.sum(1, keepdim=True))


def drawn(probabilities_RV: Tensor, numbers_R: Tensor) -> list[int]:
    """The token of each row at which the sum of the probabilities passes the row's number: (R,), float64, in [0, 1)."""
    sums_RV = probabilities_RV.cpu().double().cumsum(1)
    reached_R1 = (numbers_R * sums_RV[:, -1]).unsqueeze(1)
    return torch.searchsorted(sums_RV, reached_R1, right=True).squeeze(1).clamp(max=sums_RV.shape[1] - 1).tolist()


class Scattered(LogitsProcessor):
    """Makes transformers' greedy search take the tokens that `choose` does, for a batch of the prompts with these numbers."""

    def __init__(self, choose: Choose, prompts: Sequence[int]) -> None:
        self._choose, self._prompts = choose, prompts

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits that are finite at the chosen token alone, (R, V)."""
        chosen_R1 = torch.tensor(self._choose(scores, self._prompts), device=scores.device).unsqueeze(1)
        return torch.full_like(scores, float("-inf")).scatter_(1, chosen_R1, 0.0)
