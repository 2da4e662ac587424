"""What the objectives share that learn from a policy's own answers: rows of prompts, the clipped loss, and what is to be seen of a rollout.

N targets    A answers    P prompts
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import RecipeError
from tunesmith.core.rollout import Rollout
from tunesmith.core.types import (
    Chat,
    Completion,
    Encoder,
    Example,
    Marked,
    Preference,
    Prompt,
    Ranked,
    Row,
    Segment,
    Tokens,
    Unpaired,
)
from tunesmith.objective._language_model import LanguageModelLoss

__all__ = ["PolicyLoss", "check_numbers", "clipped_loss", "kl_of_answers", "seen", "with_values"]


class PolicyLoss(LanguageModelLoss):
    """An objective of a language model that learns from its own answers."""

    accepts: ClassVar[tuple[type, ...]] = (Prompt, Chat, Completion, Marked, Tokens, Preference, Ranked, Unpaired)
    fills: ClassVar[frozenset[str]] = frozenset({"rewarded", "text"})
    headline: ClassVar[str] = "reward"
    needs_reference: ClassVar[str] = "swapped"
    teaches_trunk: ClassVar[bool] = True
    value_head: str | None = None

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """The prompt, without an answer; none where it leaves an answer no room."""
        asked = Prompt(example.prompt, example.origin) if isinstance(example, Preference | Ranked | Unpaired) else example
        prompt = encoder.prompt(asked)
        if not prompt or len(prompt) >= encoder.max_length:
            return []
        source = encoder.encode(asked).source if encoder.facts.is_encoder_decoder else ()
        return [Row((Segment(prompt),), example.origin, answers=(), source=Segment(source) if source else None)]

    def state(self) -> Mapping[str, float]:
        """Nothing."""
        return {}

    def go_on(self, state: Mapping[str, float]) -> None:
        """Nothing is to be taken over."""


def check_numbers(at_least_one: Mapping[str, int], positive: Mapping[str, float], not_negative: Mapping[str, float]) -> None:
    """Raises: RecipeError, where an option is out of its range."""
    for name, value in at_least_one.items():
        if value < 1:
            raise RecipeError(f"objective.{name}: {value}: expected a whole number of at least 1.")
    for name, number in positive.items():
        if not number > 0:
            raise RecipeError(f"objective.{name}: {number:g}: expected a number above 0.")
    for name, number in not_negative.items():
        if not number >= 0:
            raise RecipeError(f"objective.{name}: {number:g}: expected 0 or a number above.")


def clipped_loss(log_ratios_N: Tensor, advantages_N: Tensor, clip: float, clip_high: float | None = None) -> Tensor:
    """- min(r A, clip(r) A) of each token, where r = pi / pi_old: no more is gained by going further than the clip, (N,).

    Args:
        log_ratios_N: log pi(token) - log pi_old(token), nats.
        advantages_N: how much better the token was than what was to be expected, without a gradient.
        clip: r counts from 1 - clip on.
        clip_high: r counts up to 1 + clip_high; None: as `clip`.
    Source: Schulman et al. (2017), "Proximal Policy Optimization Algorithms", https://arxiv.org/abs/1707.06347, eq. 7; two clips: Yu et al. (2025), https://arxiv.org/abs/2503.14476, eq. 10.
    """
    ratios_N = log_ratios_N.exp()
    clipped_N = ratios_N.clamp(1 - clip, 1 + (clip if clip_high is None else clip_high))
    return -torch.minimum(ratios_N * advantages_N, clipped_N * advantages_N)


def kl_of_answers(rollout: Rollout) -> list[list[float]]:
    """log pi(y | x) - log pi_ref(y | x) of each answer that the policy drew: an estimate of the Kullback-Leibler divergence without bias, nats."""
    found = list[list[float]]()
    for row, policy_N, reference_N in zip(rollout.rows, rollout.policy, rollout.reference, strict=True):
        sums_A = np.zeros(len(row.answers))
        np.add.at(sums_A, np.array(row.targets.answers, dtype=np.int64), (policy_N - reference_N).double().numpy())
        found.append(sums_A.tolist())
    return found


def with_values(
    rollout: Rollout, of_answers: Mapping[str, Sequence[Sequence[float]]], of_targets: Mapping[str, Sequence[Tensor]]
) -> list[Row]:
    """The rollout's rows with these values, and with what `seen` tells of them: rewards, ends, and how far the policy has gone."""
    told = {
        "reward": rollout.rewards,
        **{f"reward, {name}": part for name, part in rollout.parts.items() if len(rollout.parts) > 1},
        "ended": [[float(one) for one in row] for row in rollout.has_ended],
        **({"kl": kl_of_answers(rollout)} if rollout.reference else {}),
    }
    rows = list[Row]()
    for index, row in enumerate(rollout.rows):
        targets = replace(row.targets, values={name: tuple(values[index].tolist()) for name, values in of_targets.items()})
        rows.append(
            replace(row, targets=targets, values={name: tuple(values[index]) for name, values in (told | dict(of_answers)).items()})
        )
    return rows


def seen(batch: Batch, of_targets: Mapping[str, Tensor], hidden: Sequence[str] = ()) -> dict[str, Tensor]:
    """What a step tells: means over the answers of a row, summed over rows.

    Args:
        of_targets: means over the tokens of an answer are told of these, each (N,).
        hidden: values of answers that are not to be told.
    """
    answers_P = torch.tensor([len(row.answers) for row in batch.rows], device=batch.rows_A.device)
    shares_A = 1.0 / answers_P[batch.rows_A]
    lengths_A = batch.by_answer(torch.ones(len(batch.labels_N), device=batch.labels_N.device))
    told = {name: value for name, value in batch.per_answer.items() if name not in hidden} | {"answer_tokens": lengths_A}
    told |= {name: batch.by_answer(value.detach().float()) / lengths_A for name, value in of_targets.items()}
    return {name: (value * shares_A).sum() for name, value in told.items()}
