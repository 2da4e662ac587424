"""Kahneman-Tversky optimization: learn from single answers that people liked or did not.

loss = sum over answers of w * (1 - sigmoid(s * (beta * h(y) - z))), with h(y) = log pi(y | x) - log pi_ref(y | x), s = 1 and w the weight of liked answers, s = -1 and w that of others, and
z = beta * max(0, the mean of h over the step's prompts with the next prompt's answers): how far the policy is from the reference whatever it is asked, without a gradient.

Source: Ethayarajh et al. (2024), "KTO: Model Alignment as Prospect Theoretic Optimization", https://arxiv.org/abs/2402.01306, eq. 8 and the estimate of z0 below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from tunesmith.core.batch import Batch, collate
from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Encoder, Example, Forward, Loss, Row, Targets, Unpaired
from tunesmith.objective._answers import answered_row, encoded_answers, log_ratios
from tunesmith.objective._language_model import LanguageModelLoss

__all__ = ["KTO"]


@dataclass(slots=True)
class _Drift:
    """What a step found of the distance between the policy and the reference."""

    batches: Sequence[Batch] = ()
    value: float = 0.0
    """Nats, >= 0."""


@dataclass(frozen=True, kw_only=True)
class KTO(LanguageModelLoss):
    """Make liked answers likelier and others less so, each for itself, held near the model as it was before."""

    beta: float = 0.1
    """Strength of the pull to the model as it was, > 0."""
    desirable_weight: float = 1.0
    """What a liked answer counts, > 0: its share of the rows times this should be about that of the others times theirs."""
    undesirable_weight: float = 1.0
    """What an answer counts that was not liked, > 0."""
    _drift: _Drift = field(default_factory=_Drift, init=False, repr=False, compare=False)

    accepts: ClassVar[tuple[type, ...]] = (Unpaired,)
    fills: ClassVar[frozenset[str]] = frozenset({"liked", "text"})
    headline: ClassVar[str] = "liked_auc"
    needs_reference: ClassVar[str] = "live"

    def __post_init__(self) -> None:
        """Raises: RecipeError, where a number is out of its range."""
        for name in ("beta", "desirable_weight", "undesirable_weight"):
            if getattr(self, name) <= 0:
                raise RecipeError(f"objective.{name}: {getattr(self, name):g}: expected a number above 0.")

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row; none where cutting left nothing of the answer."""
        assert isinstance(example, Unpaired)
        shared, wholes = encoded_answers(example, encoder)
        row = answered_row(shared, wholes, example.origin, values={"liked": (float(example.is_liked),)})
        return [row] if row else []

    def prepare(self, forward: Forward, batches: Sequence[Batch]) -> None:
        """Measure how far the policy has gone from the reference, on the step's prompts each with the next one's answer."""
        self._drift.batches, self._drift.value = batches, self._distance(forward, batches)

    def _distance(self, forward: Forward, batches: Sequence[Batch]) -> float:
        rows, found = [row for batch in batches for row in batch.rows], list[Tensor]()
        if len(rows) < 2:
            return 0.0
        following = iter([*rows[1:], rows[0]])
        for batch in batches:
            crossed = [_crossed(row, next(following), batch.facts.max_length) for row in batch.rows]
            other = collate(crossed, batch.facts).to(batch.stream.tokens_T.device)
            with torch.no_grad():
                policy_A = other.by_answer(forward.logprobs(other, with_entropy=False)[0])
            with forward.as_reference():
                found.append(policy_A - other.by_answer(forward.logprobs(other, with_entropy=False)[0]))
        return max(0.0, float(torch.cat(found).mean()))

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Summed over the answers; a step divides it by their number."""
        ratios_A, liked_A = log_ratios(forward.logprobs(batch, with_entropy=False)[0], batch), batch.per_answer["liked"]
        of_step = any(own is batch for own in self._drift.batches)
        drift = self._drift.value if of_step else self._distance(forward, [batch])
        loss = prospect_loss(ratios_A, liked_A, drift, self.beta, self.desirable_weight, self.undesirable_weight)
        return Loss({"row": loss}, {"kl": ratios_A.new_tensor(drift * len(batch.rows))})

    def scores(self, forward: Forward, batch: Batch) -> Tensor:
        """The implicit reward of each answer, beta times its log-ratio, (A,); zeros where no reference is stored."""
        return self.beta * log_ratios(forward.logprobs(batch, with_entropy=False)[0], batch)


def prospect_loss(
    ratios_A: Tensor, liked_A: Tensor, drift: float, beta: float, desirable_weight: float = 1.0, undesirable_weight: float = 1.0
) -> Tensor:
    """The loss of single answers, summed.

    Args:
        ratios_A: log pi(y | x) - log pi_ref(y | x) of each answer, nats, (answers,).
        liked_A: 1 where it was liked, else 0.
        drift: the estimate of z0, nats, >= 0: the equation multiplies it by beta.
    Returns: scalar.
    Source: Ethayarajh et al. (2024), https://arxiv.org/abs/2402.01306, eq. 8.
    """
    signs_A, is_liked_A = 2 * liked_A - 1, liked_A > 0
    weights_A = torch.where(is_liked_A, desirable_weight, undesirable_weight).to(ratios_A.dtype)
    return (weights_A * (1 - torch.sigmoid(signs_A * beta * (ratios_A - drift)))).sum()


def _crossed(row: Row, other: Row, max_length: int) -> Row:
    """The prompt of one row with the answer of another, as far as it fits."""
    moved, targets = len(row.segments[0].tokens) - len(other.segments[0].tokens), other.targets
    room = max(0, max_length - len(row.segments[0].tokens))
    rest = [replace(segment, tokens=segment.tokens[:room], token_types=()) for segment in other.segments[1:] if room]
    num_read = sum(len(segment.tokens) for segment in (row.segments[0], *rest))
    kept = [place + moved for place in targets.positions if place + moved < num_read]
    cut = Targets(tuple(kept), targets.labels[: len(kept)], targets.weights[: len(kept)], targets.answers[: len(kept)])
    return replace(row, segments=(row.segments[0], *rest), targets=cut, answers=(len(rest),))
