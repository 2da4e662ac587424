"""The model as it was before training: its own tensors, put back for a moment."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from tunesmith.core.evaluating import evaluating

__all__ = ["Reference"]


class Reference:
    """The tensors that train, as they were when this was made."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._kept = [(p, p.detach().clone()) for p in model.parameters() if p.requires_grad]

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Inside the block the model has them, in evaluation mode and without gradients; no number is copied. The optimizer must not step inside."""
        own = [(p, p.data) for p, _ in self._kept]
        with evaluating(self._model), torch.no_grad():
            try:
                for p, before in self._kept:
                    p.data = before
                yield
            finally:  # where it was interrupted half-way too
                for p, now in own:
                    p.data = now
