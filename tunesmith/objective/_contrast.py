"""A loss on pairs of texts: those of one class are drawn together, those of different classes apart.

loss of a text i = 1/2 mean over its own class's other texts j of (1 - cos(x_i, x_j))^2 + 1/2 mean over the other classes' texts j of cos(x_i, x_j)^2.

x are pooled hidden states, and a text meets every other of its step.
Source: Tunstall et al. (2022), "Efficient Few-Shot Learning Without Prompts", https://arxiv.org/abs/2209.11055, section 3: as many pairs of one class as of
two, the cosine of each regressed on 1 and 0. Vectors of the micro-batches that are not at work are constants: Gao et al. (2021),
"Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", https://arxiv.org/abs/2101.06983.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.types import Forward

__all__ = ["StepPairs", "pair_losses"]


class StepPairs:
    """The texts of one step, each read by the head `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._batches = list[Batch]()
        self._vectors = list[Tensor]()
        """Of each batch, without a gradient; left out where there is one batch alone."""

    def prepare(self, forward: Forward, batches: Sequence[Batch]) -> None:
        """See all texts of a step, without gradients."""
        self._batches = list(batches)
        self._vectors = [forward.pooled(self._name, batch) for batch in batches] if len(batches) > 1 else []

    def __contains__(self, batch: Batch) -> bool:
        """Whether `batch` is one of the step's."""
        return any(own is batch for own in self._batches)

    def loss(self, vectors_AH: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """What pairs say of `batch`, of which `vectors_AH` are the pooled hidden states.

        Returns: a scalar of the value zero, whose gradient at `vectors_AH` is that of the sum of all texts' losses in the step, and the sum of the losses of the batch's
        own texts.
        """
        place = next(index for index, own in enumerate(self._batches) if own is batch)
        vectors = [*self._vectors[:place], vectors_AH, *self._vectors[place + 1 :]]
        start = sum(len(one) for one in vectors[:place])
        losses_n = pair_losses(torch.cat(vectors), torch.cat([one.per_answer["label"] for one in self._batches]))
        total = losses_n.sum()
        return total - total.detach(), losses_n[start : start + len(vectors_AH)].detach().sum()


def pair_losses(vectors_nH: Tensor, labels_n: Tensor) -> Tensor:
    """The loss of each text, (n,). A text with no other of its class, or none of another, has that half zero."""
    unit_nH = F.normalize(vectors_nH, dim=-1)
    cosines_nn = unit_nH @ unit_nH.T
    same_nn = labels_n[:, None] == labels_n[None]
    others_nn = ~torch.eye(len(labels_n), dtype=torch.bool, device=labels_n.device)
    together = _mean((1 - cosines_nn).square(), same_nn & others_nn)
    return (together + _mean(cosines_nn.square(), ~same_nn)) / 2


def _mean(values_nn: Tensor, where_nn: Tensor) -> Tensor:
    return (values_nn * where_nn).sum(-1) / where_nn.sum(-1).clamp(min=1)
