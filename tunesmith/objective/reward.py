"""A reward model: a head on the trunk gives an answer to a conversation one number, and better answers higher ones.

loss = - sum over pairs of log sigmoid(r(chosen) - r(rejected) - margin), the probability that the chosen one wins (Bradley and Terry, 1952). Of answers in an order, the best first, - sum over i of
(r_i - log sum over those not above i of exp r_j), the probability of the order (Plackett, 1975); answers of one rank share what is left where they begin (Breslow, 1974).

Source: Ouyang et al. (2022), "Training language models to follow instructions with human feedback", https://arxiv.org/abs/2203.02155, eq. 1; with margins Touvron et al. (2023), "Llama 2",
https://arxiv.org/abs/2307.09288, eq. 2; orders: Luce (1959) and Plackett (1975), as in Rafailov et al. (2023), https://arxiv.org/abs/2305.18290, eq. 18.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.types import (
    Encoder,
    Example,
    Forward,
    HeadSpec,
    Loss,
    Output,
    Preference,
    Ranked,
    Row,
    Segment,
)
from tunesmith.objective._answers import encoded_answers, in_order, pairs_of_texts
from tunesmith.objective._head import HeadLoss

__all__ = ["Reward"]

_NEWTON_STEPS, _MOST_POINTS = 25, 100.0


@dataclass(frozen=True, kw_only=True)
class Reward(HeadLoss):
    """Learn which answer people like better."""

    pooling: Literal["auto", "first", "mean", "last", "concat"] = "auto"
    """How an answer's hidden states become one vector; auto: the last token of a causal model, the mean of an encoder's."""
    head_layers: int | None = None
    """Layers of the head; each but the last keeps the width and has a tanh; none: as many as the head of an earlier run has that is trained on, else 1."""
    head_dropout: float = 0.0
    """Dropout on what the head reads."""
    head_lr_scale: float = 10.0
    """Learning rate of the head, as a multiple of the recipe's: it starts from nothing, the trunk from what it knows."""

    accepts: ClassVar[tuple[type, ...]] = (Preference, Ranked)
    fills: ClassVar[frozenset[str]] = frozenset({"reward", "scores"})
    headline: ClassVar[str] = "pair_accuracy"
    head: ClassVar[str] = "reward"
    reads: ClassVar[Literal["answer", "target"]] = "answer"
    baseline: ClassVar[str] = "length"

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """One head, `reward`, with one output, which has no unit and no zero: differences alone are learned."""
        return {"reward": HeadSpec(1, self.pooling, self.head_layers, self.head_dropout, self.head_lr_scale)}

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row with an answer for each of the example's: a causal model reads the conversation once, an encoder with each answer as a pair of texts."""
        assert isinstance(example, Preference | Ranked)
        margin = (example.margin or 0.0) if isinstance(example, Preference) else 0.0
        values = {"rank": tuple(map(float, example.ranks)), "margin": (margin,) * len(example.ranks)}
        if not encoder.facts.is_causal:
            return [Row(pairs_of_texts(example, encoder), example.origin, answers=tuple(range(len(example.ranks))), values=values)]
        shared, wholes = encoded_answers(example, encoder)
        if not shared or not all(any(one.scored) for one in wholes):  # nothing is left of an answer
            return []
        segments = (Segment(shared), *(Segment(one.tokens[len(shared) :], parent=0) for one in wholes))
        return [Row(segments, example.origin, answers=tuple(range(1, len(segments))), values=values)]

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Summed over the pairs and orders, in nats; a step divides it by their number."""
        rewards_A = forward.head("reward", batch)[:, 0]
        ranks_A = batch.per_answer["rank"]
        above_AA = (batch.rows_A[:, None] == batch.rows_A) & (ranks_A[:, None] < ranks_A)
        pairs_R, right_R = (
            rewards_A.new_zeros(len(batch.rows)).index_add(0, batch.rows_A, values_AA.sum(1).to(rewards_A.dtype))
            for values_AA in (above_AA, above_AA * in_order(rewards_A[:, None] - rewards_A))
        )
        seen = {"pair_accuracy": torch.where(pairs_R > 0, right_R / pairs_R.clamp(min=1), 0.5).sum()}  # of a row of ties alone a half
        return Loss({"row": order_loss(rewards_A, ranks_A, batch.rows_A, batch.per_answer["margin"])}, seen)

    def outputs(
        self, examples: Sequence[Example], rows: Sequence[Row], owners: Sequence[int], heard: Sequence[Tensor], encoder: Encoder
    ) -> list[Output]:
        """The reward of each answer, in the example's order; none of an example without a row, as its prompt left its answers no room."""
        found = [Output()] * len(examples)
        for owner, one in zip(owners, heard, strict=True):
            found[owner] = Output(scores=tuple(one[:, 0].tolist()))
        return found

    def reference(self, example: Example) -> str:
        """The best answer."""
        assert isinstance(example, Preference | Ranked)
        return example.ways[0][-1].content

    def constant(self, train: Sequence[Example], asked: Sequence[Example]) -> list[Output]:
        """Answers by their length alone: as many points a character as make the training pairs likeliest."""
        points = _points_per_character([gap for example in train for gap in _length_gaps(example)])
        return [Output(scores=tuple(points * length for length in _lengths(example))) for example in asked]


def order_loss(rewards_A: Tensor, ranks_A: Tensor, rows_A: Tensor, margins_A: Tensor) -> Tensor:
    """- log of the probability of the order of each row's answers, summed over rows; of two answers Bradley and Terry's.

    Args:
        rewards_A: of the answers, (answers,).
        ranks_A: the lower, the better; equal ones of a row are a tie.
        rows_A: the row of each answer.
        margins_A: by how much an answer is to be above those of higher rank, 0 for none.
    Returns: scalar, nats.
    Source: Plackett (1975), "The Analysis of Permutations", with ties as Breslow (1974) approximates them; margins: Touvron et al. (2023), https://arxiv.org/abs/2307.09288, eq. 2.
    """
    alike_AA = rows_A[:, None] == rows_A
    left_AA = alike_AA & (ranks_A[:, None] <= ranks_A)
    behind_AA = (alike_AA & (ranks_A[:, None] < ranks_A)).to(rewards_A.dtype)
    raised_AA = rewards_A[None] + behind_AA * margins_A[:, None].to(rewards_A.dtype)
    return (raised_AA.masked_fill(~left_AA, -torch.inf).logsumexp(1) - rewards_A).sum()


def _lengths(example: Example) -> list[int]:
    """Characters of each answer."""
    assert isinstance(example, Preference | Ranked)
    return [sum(len(turn.content) for turn in way) for way in example.ways]


def _length_gaps(example: Example) -> list[float]:
    """By how many characters the better one of each two answers of different rank is longer."""
    assert isinstance(example, Preference | Ranked)
    lengths, ranks, places = _lengths(example), example.ranks, range(len(example.ranks))
    return [float(lengths[i] - lengths[j]) for i in places for j in places if ranks[i] < ranks[j]]


def _points_per_character(gaps: Sequence[float]) -> float:
    """The w under which the sum of log sigmoid(w * gap) is the largest, by Newton's method; within what parts lengths that always win from others."""
    scale = max(map(abs, gaps), default=0.0)
    if not scale:
        return 0.0
    gaps_p, weight = torch.tensor(gaps, dtype=torch.float64) / scale, torch.zeros((), dtype=torch.float64)
    for _ in range(_NEWTON_STEPS):
        wrong_p = torch.sigmoid(-weight * gaps_p)
        curvature = (wrong_p * (1 - wrong_p) * gaps_p.square()).sum().clamp(min=1e-12)
        weight = (weight + (wrong_p * gaps_p).sum() / curvature).clamp(-_MOST_POINTS, _MOST_POINTS)
    return float(weight) / scale
