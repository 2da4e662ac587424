"""Group relative policy optimization: learn which of several own answers to a prompt were better than the others.

loss = mean over answers of the mean over tokens of [- min(r A, clip(r) A) + beta * KL], where r = pi(token) / pi_old(token), A = (R - mean of the group's R) / their standard deviation, the same for all tokens
of an answer, and KL = pi_ref / pi - log(pi_ref / pi) - 1.

Source: Shao et al. (2024), "DeepSeekMath", https://arxiv.org/abs/2402.03300, eq. 3 and 4; dr_grpo: Liu et al. (2025), "Understanding R1-Zero-Like Training", https://arxiv.org/abs/2503.20783, section 3.1; dapo: Yu et
al. (2025), "DAPO", https://arxiv.org/abs/2503.14476, eq. 8.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import RecipeError
from tunesmith.core.rollout import Rollout
from tunesmith.core.types import Forward, Loss, Row
from tunesmith.objective._policy import PolicyLoss, check_numbers, clipped_loss, seen, with_values

__all__ = ["GRPO"]

_LEAST_DEVIATION = 1e-4


@dataclass(frozen=True, kw_only=True)
class GRPO(PolicyLoss):
    """Make own answers likelier that are rewarded more than others to the same prompt, held near the model as it was before."""

    num_answers: int = 8
    """Answers to a prompt that are held against each other, at least 2."""
    max_new_tokens: int = 64
    """The most tokens of an answer."""
    beta: float = 0.04
    """Strength of the pull to the model as it was, >= 0; at 0 nobody asks it."""
    clip: float = 0.2
    """How far a step may change a token's probability, as a share of it, before nothing more is gained, > 0."""
    clip_high: float | None = None
    """The same upwards; null: as `clip`."""
    loss_type: Literal["grpo", "dr_grpo", "dapo"] = "grpo"
    """grpo: the paper's; dr_grpo: without the standard deviation and with the sum over tokens divided by `max_new_tokens`, so that neither easy prompts nor long wrong answers count differently; dapo: all tokens
    of a step count the same."""
    minibatches: int = 1
    """Steps that a pass over a rollout takes: a rollout is the prompts of so many steps."""
    passes: int = 1
    """Passes over a rollout before the next is written."""
    max_kl: float = 100.0
    """Training stops where the policy has gone so far from the model as it was, nats an answer, > 0; seen where `beta` is not 0, and at validations."""

    def __post_init__(self) -> None:
        """Raises: RecipeError, where a number is out of its range."""
        check_numbers(
            {"max_new_tokens": self.max_new_tokens, "minibatches": self.minibatches, "passes": self.passes},
            {"clip": self.clip, "clip_high": self.clip if self.clip_high is None else self.clip_high, "max_kl": self.max_kl},
            {"beta": self.beta},
        )
        if self.num_answers < 2:
            raise RecipeError(f"objective.num_answers: {self.num_answers}: expected at least 2: answers are held against each other.")

    @property
    def asks_reference(self) -> bool:
        """Whether it is held near the model as it was."""
        return self.beta > 0

    def learn_from(self, rollout: Rollout) -> list[Row]:
        """Each answer with its advantage over its group; each target with what the policy that wrote it and the reference said."""
        advantages = [
            group_advantages(torch.tensor(one, dtype=torch.float64), self.loss_type != "dr_grpo").tolist() for one in rollout.rewards
        ]
        of_targets = {"old": rollout.policy} if self.minibatches * self.passes > 1 else {}
        return with_values(
            rollout, {"advantage": advantages}, of_targets | ({"reference": rollout.reference} if self.asks_reference else {})
        )

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Summed over answers, or over tokens, as `loss_type` says; a step divides it by their number."""
        logprobs_N, entropies_N = forward.logprobs(batch)
        old_N = batch.per_target.get(
            "old", logprobs_N.detach()
        )  # where a rollout is learned from in one step, the policy is the one that wrote it
        losses_N = clipped_loss(logprobs_N - old_N, batch.per_answer["advantage"][batch.answers_N], self.clip, self.clip_high)
        if "reference" in batch.per_target:
            losses_N = losses_N + self.beta * kl_estimate(batch.per_target["reference"] - logprobs_N)
        told = seen(batch, {"entropy": entropies_N}, hidden=("advantage",))
        if self.loss_type == "dapo":
            return Loss({"target": losses_N.sum()}, told)
        lengths_A = batch.by_answer(torch.ones_like(losses_N)) if self.loss_type == "grpo" else self.max_new_tokens
        return Loss({"answer": (batch.by_answer(losses_N) / lengths_A).sum()}, told)


def group_advantages(rewards_A: Tensor, is_scaled: bool = True) -> Tensor:
    """By how much each answer of a group was rewarded more than its mean, (answers,); in standard deviations where they are scaled.

    Source: Shao et al. (2024), https://arxiv.org/abs/2402.03300, section 4.1.2.
    """
    centred_A = rewards_A - rewards_A.mean()
    return centred_A / (rewards_A.std() + _LEAST_DEVIATION) if is_scaled else centred_A


def kl_estimate(log_ratios_N: Tensor) -> Tensor:
    """r - log r - 1, where r = pi_ref / pi: an estimate of the divergence from a token that pi drew, never below 0, (N,).

    Source: Schulman (2020), "Approximating KL Divergence", http://joschu.net/blog/kl-approx.html, k3; Shao et al. (2024), https://arxiv.org/abs/2402.03300, eq. 4.
    """
    return log_ratios_N.exp() - log_ratios_N - 1
