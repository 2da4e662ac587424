"""Proximal policy optimization of a language model: learn from rewards of own answers, token by token, with a value head and held near the model as it was.

The reward of token t is - beta * (log pi(t) - log pi_ref(t)), at an answer's last token plus the answer's reward. With V the value head, the advantage is the sum of (gamma lambda)^l delta_{t+l}, delta_t = r_t + gamma V_{t+1} - V_t.
loss = mean over tokens of [- min(r A, clip(r) A) + value_weight / 2 * max((V - R)^2, (V clipped around V_old - R)^2)], R = A + V_old.

Source: Schulman et al. (2017), https://arxiv.org/abs/1707.06347, eq. 7; advantages: Schulman et al. (2016), "High-Dimensional Continuous Control Using Generalized Advantage Estimation", https://arxiv.org/abs/1506.02438,
eq. 16; of language models, with the adaptive pull: Ziegler et al. (2019), "Fine-Tuning Language Models from Human Preferences", https://arxiv.org/abs/1909.08593, eq. 2 and section 2.2; Ouyang et al. (2022),
https://arxiv.org/abs/2203.02155, appendix C.4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import RecipeError
from tunesmith.core.rollout import Rollout
from tunesmith.core.types import Encoder, Forward, HeadSpec, Loss, Row
from tunesmith.objective._policy import PolicyLoss, check_numbers, clipped_loss, kl_of_answers, seen, with_values

__all__ = ["PPO"]

_MOST_ERROR, _GAIN = 0.2, 0.1
"""Of the adaptive pull: by how much of itself a target may be missed to count, and how much of that the pull follows. Source: Ziegler et al. (2019), section 2.2."""


@dataclass(slots=True)
class _Pull:
    """The strength of the pull to the model as it was, where it adapts."""

    beta: float | None = None
    """None: as the option says."""


@dataclass(frozen=True, kw_only=True)
class PPO(PolicyLoss):
    """Make own tokens likelier that led to more reward than was to be expected, held near the model as it was before."""

    num_answers: int = 4
    """Answers to each prompt of a rollout."""
    max_new_tokens: int = 64
    """The most tokens of an answer."""
    beta: float = 0.05
    """Strength of the pull to the model as it was, > 0: what a nat of distance costs in reward."""
    target_kl: float | None = None
    """Adapt `beta` so that the policy stays so far from the model as it was, nats an answer; null: `beta` stays."""
    clip: float = 0.2
    """How far a step may change a token's probability, as a share of it, before nothing more is gained, > 0."""
    value_clip: float = 0.2
    """How far a rollout may change a value before nothing more is gained, > 0."""
    value_weight: float = 0.5
    """What the error of the values counts beside the policy's loss, >= 0."""
    entropy_weight: float = 0.0
    """What the entropy of each token's distribution counts as a reward of its own, >= 0."""
    gamma: float = 1.0
    """What a reward counts a token earlier, from 0 to 1."""
    gae_lambda: float = 0.95
    """How far advantages look: 0, at the next value alone; 1, at the rewards until the end."""
    whitens: bool = True
    """Whether the advantages of a rollout are brought to mean 0 and deviation 1."""
    minibatches: int = 2
    """Steps that a pass over a rollout takes: a rollout is the prompts of so many steps."""
    passes: int = 2
    """Passes over a rollout before the next is written."""
    head_lr_scale: float = 10.0
    """Learning rate of the value head, as a multiple of the recipe's: it starts from nothing, the trunk from what it knows."""
    max_kl: float = 100.0
    """Training stops where the policy has gone so far from the model as it was, nats an answer, > 0."""
    _pull: _Pull = field(default_factory=_Pull, init=False, repr=False, compare=False)

    value_head = "value"
    asks_reference = True

    def __post_init__(self) -> None:
        """Raises: RecipeError, where a number is out of its range."""
        check_numbers(
            {
                "num_answers": self.num_answers,
                "max_new_tokens": self.max_new_tokens,
                "minibatches": self.minibatches,
                "passes": self.passes,
            },
            {name: getattr(self, name) for name in ("beta", "clip", "value_clip", "max_kl")}
            | ({"target_kl": self.target_kl} if self.target_kl is not None else {}),
            {"value_weight": self.value_weight, "entropy_weight": self.entropy_weight},
        )
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"objective.{name}: {getattr(self, name):g}: expected a number from 0 to 1.")

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """One head, `value`, with one output at each token."""
        return {"value": HeadSpec(1, lr_scale=self.head_lr_scale)}

    def learn_from(self, rollout: Rollout) -> list[Row]:
        """Each target with its advantage, what the value head should have said, and what it and the policy did say."""
        beta = self.beta if self._pull.beta is None else self._pull.beta
        found = [_of_row(self, rollout, index, beta) for index in range(len(rollout.rows))]
        advantages, returns = [one[0] for one in found], [one[1] for one in found]
        if self.whitens:
            advantages = whitened(advantages)
        if self.target_kl is not None:
            kls = [kl for row in kl_of_answers(rollout) for kl in row]
            error = sum(kls) / len(kls) / self.target_kl - 1
            self._pull.beta = beta * (1 + _GAIN * min(_MOST_ERROR, max(-_MOST_ERROR, error)))
        pulls = [[beta] * len(row.answers) for row in rollout.rows]
        of_targets = {"old": rollout.policy, "value": rollout.values, "advantage": advantages, "return": returns}
        return with_values(rollout, {"beta": pulls} if self.target_kl is not None else {}, of_targets)

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Summed over the tokens; a step divides it by their number."""
        with forward.once(batch):
            logprobs_N, entropies_N = forward.logprobs(batch)
            values_N = forward.head("value", batch, at="target")[:, 0]
        known = batch.per_target
        policy_N = clipped_loss(logprobs_N - known["old"], known["advantage"], self.clip)
        value_N = value_loss(values_N, known["value"], known["return"], self.value_clip)
        loss = (policy_N + self.value_weight * value_N - self.entropy_weight * entropies_N).sum()
        moved_N = ((logprobs_N - known["old"]).exp() - 1).abs() > self.clip
        return Loss({"target": loss}, seen(batch, {"entropy": entropies_N, "value loss": value_N, "clipped share": moved_N}))

    def state(self) -> Mapping[str, float]:
        """The pull, where it adapts."""
        return {} if self._pull.beta is None else {"beta": self._pull.beta}

    def go_on(self, state: Mapping[str, float]) -> None:
        """With the pull as it was."""
        self._pull.beta = state.get("beta")


def _of_row(objective: PPO, rollout: Rollout, index: int, beta: float) -> tuple[Tensor, Tensor]:
    """Advantages and returns of a row's targets, each (N,), float32."""
    row = rollout.rows[index]
    rewards_N = -beta * (rollout.policy[index] - rollout.reference[index]).double()
    values_N, owners_N = rollout.values[index].double(), torch.tensor(row.targets.answers)
    advantages_N = torch.zeros_like(rewards_N)
    for answer, reward in enumerate(rollout.rewards[index]):
        places = (owners_N == answer).nonzero()[:, 0]
        own = rewards_N[places]
        own[-1] += reward
        advantages_N[places] = advantages(own, values_N[places], objective.gamma, objective.gae_lambda)
    return advantages_N.float(), (advantages_N + values_N).float()


def advantages(rewards_T: Tensor, values_T: Tensor, gamma: float, gae_lambda: float) -> Tensor:
    """Generalized advantage estimates of an episode that ends with its last step, (T,).

    Args:
        rewards_T: of each step.
        values_T: what was to be expected from each step on.
    Source: Schulman et al. (2016), https://arxiv.org/abs/1506.02438, eq. 16.
    """
    found_T, following, next_value = torch.zeros_like(rewards_T), 0.0, 0.0
    for step in range(len(rewards_T) - 1, -1, -1):
        delta = float(rewards_T[step]) + gamma * next_value - float(values_T[step])
        following = delta + gamma * gae_lambda * following
        found_T[step], next_value = following, float(values_T[step])
    return found_T


def whitened(of_rows: Sequence[Tensor]) -> list[Tensor]:
    """The numbers of all rows together brought to mean 0 and standard deviation 1; at 0 where they are all the same."""
    together = torch.cat(list(of_rows)).double()
    mean, deviation = together.mean(), together.std(correction=0)
    return [((one.double() - mean) / deviation.clamp(min=1e-8)).float() for one in of_rows]


def value_loss(values_N: Tensor, old_N: Tensor, returns_N: Tensor, clip: float) -> Tensor:
    """Half the squared error of each value, or of the value as far as it may move, whichever is larger, (N,).

    Source: Ouyang et al. (2022), https://arxiv.org/abs/2203.02155, appendix C.4, as Huang et al. (2024), https://arxiv.org/abs/2403.17031, detail 16, describe it.
    """
    clipped_N = old_N + (values_N - old_N).clamp(-clip, clip)
    return 0.5 * torch.maximum((values_N - returns_N).square(), (clipped_N - returns_N).square())
