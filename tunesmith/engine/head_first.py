"""New heads fitted before anything else trains: the trunk is run once a row, and a head learns on its vectors to convergence, in seconds.

What follows starts from a head that reads the trunk as it is, in place of a random one, and bends the trunk less.
Source: Kumar et al. (2022), "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", https://arxiv.org/abs/2202.10054,
section 3.4 (linear probing, then fine-tuning).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tunesmith.core.batch import collate
from tunesmith.core.types import Objective, Row
from tunesmith.engine.features import FrozenFeatures
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.packing import evaluation_batches

__all__ = ["MOST_ROWS", "fit_heads"]

MOST_ROWS = 1024
"""More rows hardly help a head, and cost a pass of the trunk each."""
_PENALTY = 0.005
"""Of the squared weights, beside the mean loss in nats."""
_MOST_ITERATIONS = 100


def fit_heads(forward: PackedForward, objective: Objective, rows: Sequence[Row], micro_batch_tokens: int) -> tuple[float, float]:
    """Fit every head of `forward` on what its trunk, as it is, says of the first `MOST_ROWS` rows: L-BFGS on the penalised mean loss, no dropout.

    Returns: the mean loss before and after, nats. Where the loss after is no smaller, or not finite, the heads are left as they were.
    """
    rows = rows[:MOST_ROWS]
    parameters = [p for p in forward.heads.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in parameters]
    was_training, kept = forward.training, forward.features
    forward.eval()
    forward.features = kept or FrozenFeatures()
    try:
        with torch.no_grad():  # fills the store in batches that fit; a batch of all rows reads from it
            for batch, _ in evaluation_batches(rows, micro_batch_tokens, forward.facts):
                objective.loss(forward, batch.to(forward.device))
        batch = collate(rows, forward.facts).to(forward.device)

        def mean_loss() -> Tensor:
            sums = objective.loss(forward, batch).sums
            return torch.stack([value / batch.counts[name] for name, value in sums.items() if batch.counts[name]]).sum()

        optimizer = torch.optim.LBFGS(parameters, max_iter=_MOST_ITERATIONS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = mean_loss() + _PENALTY * torch.stack([p.square().sum() for p in parameters if p.ndim > 1]).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        with torch.no_grad():
            first = float(mean_loss())
        with torch.enable_grad():
            optimizer.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            last = float(mean_loss())
            if not last < first:
                for p, own in zip(parameters, before, strict=True):
                    p.copy_(own)
                last = first
        return first, last
    finally:
        for p in parameters:
            p.grad = None
        forward.features = kept
        forward.train(was_training)
