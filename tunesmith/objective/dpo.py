"""Direct preference optimization: learn from pairs of answers without a reward model.

loss = - sum over pairs of log sigmoid(beta * (h(chosen) - h(rejected))), where h(y) = log pi(y | x) - log pi_ref(y | x): beta * h is the reward that the policy is the best answer to.

Source: Rafailov et al. (2023), "Direct Preference Optimization: Your Language Model is Secretly a Reward Model", https://arxiv.org/abs/2305.18290, eq. 7.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Encoder, Example, Forward, Loss, Preference, Row
from tunesmith.objective._answers import in_order, log_ratios, of_preference
from tunesmith.objective._language_model import LanguageModelLoss

__all__ = ["DPO"]


@dataclass(frozen=True, kw_only=True)
class DPO(LanguageModelLoss):
    """Make chosen answers likelier than rejected ones, held near the model as it was before."""

    beta: float = 0.1
    """Strength of the pull to the model as it was, > 0: the larger, the less it moves."""
    loss_type: Literal["sigmoid", "robust", "ipo", "hinge"] = "sigmoid"
    """sigmoid: the paper's; robust: its unbiased form where labels are flipped at random; ipo: a squared distance, which does not run away where all judges agree; hinge: no more once the margin is 1 / beta."""
    label_smoothing: float = 0.0
    """The share of pairs that are taken to be labelled the wrong way round, below 0.5: of sigmoid conservative DPO, of robust the rate that it corrects for."""

    accepts: ClassVar[tuple[type, ...]] = (Preference,)
    fills: ClassVar[frozenset[str]] = frozenset({"scores", "text"})
    headline: ClassVar[str] = "pair_accuracy"
    needs_reference: ClassVar[str] = "stored"

    def __post_init__(self) -> None:
        """Raises: RecipeError, where a number is out of its range."""
        if self.beta <= 0:
            raise RecipeError(f"objective.beta: {self.beta:g}: expected a number above 0.")
        if not 0 <= self.label_smoothing < 0.5:
            raise RecipeError(f"objective.label_smoothing: {self.label_smoothing:g}: expected a number from 0 to below 0.5.")
        if self.label_smoothing and self.loss_type not in ("sigmoid", "robust"):
            raise RecipeError(f"objective.label_smoothing: {self.loss_type} has none. Use loss_type sigmoid or robust, or leave it out.")

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row, in which the prompt stands once; none where cutting left nothing to tell the answers apart by."""
        assert isinstance(example, Preference)
        return of_preference(example, encoder)

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Summed over the pairs, in nats; a step divides it by the number of pairs."""
        logprobs_N, _ = forward.logprobs(batch, with_entropy=False)
        ratios_A = log_ratios(logprobs_N, batch)
        compared_A = ratios_A / batch.by_answer(torch.ones_like(logprobs_N)) if self.loss_type == "ipo" else ratios_A
        chosen_P, rejected_P = compared_A.view(-1, 2).unbind(1)
        loss = preference_loss(chosen_P - rejected_P, self.beta, self.loss_type, self.label_smoothing)
        reward_P, other_P = (self.beta * ratios_A.detach()).view(-1, 2).unbind(1)
        seen = {"reward_margin": reward_P - other_P, "reward_chosen": reward_P, "pair_accuracy": in_order(reward_P - other_P)}
        return Loss({"row": loss}, {name: values_P.sum() for name, values_P in seen.items()})

    def scores(self, forward: Forward, batch: Batch) -> Tensor:
        """The implicit reward of each answer, beta times its log-ratio, (A,); zeros where no reference is stored."""
        return self.beta * log_ratios(forward.logprobs(batch, with_entropy=False)[0], batch)


def preference_loss(
    margins_P: Tensor, beta: float, form: Literal["sigmoid", "robust", "ipo", "hinge"] = "sigmoid", label_smoothing: float = 0.0
) -> Tensor:
    """The loss of pairs, summed over them.

    Args:
        margins_P: h(chosen) - h(rejected) of each pair, nats, (pairs,); of ipo with h a mean over the answer's tokens.
        beta: > 0; of ipo the paper's tau.
        label_smoothing: the share of pairs that are taken to be the wrong way round.
    Returns: scalar.
    Source: sigmoid: Rafailov et al. (2023), https://arxiv.org/abs/2305.18290, eq. 7, smoothed as Mitchell (2023), "A note on DPO with noisy preferences and relationship to IPO",
        https://ericmitchell.ai/cdpo.pdf, eq. 3; robust: Chowdhury, Kini, Natarajan (2024), "Provably Robust DPO", https://arxiv.org/abs/2403.00409, eq. 11; ipo: Azar et al. (2023),
        "A General Theoretical Paradigm to Understand Learning from Human Preferences", https://arxiv.org/abs/2310.12036, eq. 17; hinge: Zhao et al. (2023), "SLiC-HF", https://arxiv.org/abs/2305.10425, eq. 1,
        on log-ratios as Liu et al. (2023), https://arxiv.org/abs/2309.06657, eq. 12.
    """
    if form == "ipo":
        return (margins_P - 1 / (2 * beta)).square().sum()
    if form == "hinge":
        return F.relu(1 - beta * margins_P).sum()
    right_P, wrong_P = F.logsigmoid(beta * margins_P), F.logsigmoid(-beta * margins_P)
    if form == "robust":
        return (-(1 - label_smoothing) * right_P + label_smoothing * wrong_P).sum() / (1 - 2 * label_smoothing)
    return (-(1 - label_smoothing) * right_P - label_smoothing * wrong_P).sum()
