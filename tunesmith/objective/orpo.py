"""Odds-ratio preference optimization: supervised tuning on chosen answers and a push away from rejected ones, in one, without a reference.

loss = - mean over tokens of chosen answers of log pi(y_t) - lambda * mean over pairs of log sigmoid(log odds(chosen) - log odds(rejected)), where
odds(y) = P / (1 - P) and log P is the mean of log pi(y_t) over the answer's tokens.

Source: Hong, Lee, Thorne (2024), "ORPO: Monolithic Preference Optimization without Reference Model", https://arxiv.org/abs/2403.07691, eq. 3 to 7.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Encoder, Example, Forward, Loss, Preference, Row
from tunesmith.objective._answers import in_order, of_preference
from tunesmith.objective._language_model import LanguageModelLoss

__all__ = ["ORPO"]

_LEAST_DOUBT = 1e-6
"""Nats: a likelihood of exactly one has no odds."""


@dataclass(frozen=True, kw_only=True)
class ORPO(LanguageModelLoss):
    """Learn chosen answers, and make them likelier than rejected ones."""

    weight: float = 0.1
    """The paper's lambda: what the odds ratio counts beside the chosen answers' likelihood, >= 0."""

    accepts: ClassVar[tuple[type, ...]] = (Preference,)
    fills: ClassVar[frozenset[str]] = frozenset({"scores", "text"})
    headline: ClassVar[str] = "pair_accuracy"

    def __post_init__(self) -> None:
        """Raises: RecipeError, where the weight is out of its range."""
        if self.weight < 0:
            raise RecipeError(f"objective.weight: {self.weight:g}: expected a number from 0.")

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row, in which the prompt stands once; the rejected answer's tokens weigh nothing as targets."""
        assert isinstance(example, Preference)
        return of_preference(example, encoder, weights=(1.0, 0.0))

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Summed, in nats; a step divides the likelihood by the chosen answers' tokens and the rest by the number of pairs."""
        logprobs_N, _ = forward.logprobs(batch, with_entropy=False)
        means_P2 = _means(logprobs_N, batch).view(-1, 2)
        ratios_P = log_odds(means_P2[:, 0]) - log_odds(means_P2[:, 1])
        likelihood = -(logprobs_N * batch.weights_N).sum()
        seen = {"log_odds_ratio": ratios_P.detach().sum(), "pair_accuracy": in_order(ratios_P).sum()}
        return Loss({"target": likelihood, "row": -self.weight * F.logsigmoid(ratios_P).sum()}, seen)

    def scores(self, forward: Forward, batch: Batch) -> Tensor:
        """The mean log-probability of each answer's tokens, (A,)."""
        return _means(forward.logprobs(batch, with_entropy=False)[0], batch)


def _means(logprobs_N: Tensor, batch: Batch) -> Tensor:
    return batch.by_answer(logprobs_N) / batch.by_answer(torch.ones_like(logprobs_N))


def log_odds(mean_logprobs_A: Tensor) -> Tensor:
    """log(P / (1 - P)) of answers whose tokens have these mean log-probabilities, nats, < 0, (A,)."""
    below_one_A = mean_logprobs_A.clamp(max=-_LEAST_DOUBT)
    return below_one_A - torch.log(-torch.expm1(below_one_A))
