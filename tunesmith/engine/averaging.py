"""NT-ASGD: plain SGD, whose weights are averaged once the validation loss no longer falls.

    averaging begins after a validation whose loss is above the least of all but the last n before it, n = 5
    from then on    average = average + (weights - average) / number of steps since

The model is judged, and kept, with the averages; training goes on with the weights.
Source: Merity, Keskar, Socher (2018), "Regularizing and Optimizing LSTM Language Models", https://arxiv.org/abs/1708.02182, section 3 and algorithm 1.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["PATIENCE", "AveragedSGD", "averaged", "keep_average", "tell_validation"]

PATIENCE = 5
"""Validations, the last ones, that the trigger does not look at: the paper's n."""


class AveragedSGD(Optimizer):
    """Everything that it knows lies in the states of its parameters, where checkpoints keep it."""

    def __init__(self, params: Any, lr: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    @property
    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def averages(self) -> bool:
        """Whether averaging has begun."""
        return "average" in self.state[self._parameters[0]]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update, which the average takes in where averaging has begun."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * (p.grad + group["weight_decay"] * p))
        if self.averages:
            for p in self._parameters:
                known = self.state[p]
                known["num_averaged"] += 1
                known["average"].add_((p - known["average"]) / known["num_averaged"])

    def validated(self, loss: float) -> None:
        """Look whether to begin, after a validation with this loss."""
        first = self.state[self._parameters[0]]
        before = list(first.get("losses", []))
        if not self.averages and before[:-PATIENCE] and loss > min(before[:-PATIENCE]):
            for p in self._parameters:
                self.state[p] |= {"average": p.detach().clone(), "num_averaged": 1}
        first["losses"] = [*before, loss]

    def average_of(self, p: Tensor) -> Tensor:
        """The average of a parameter."""
        average: Tensor = self.state[p]["average"]
        return average


@contextlib.contextmanager
def averaged(optimizer: Optimizer) -> Iterator[None]:
    """Inside the block parameters are what the optimizer would have the model judged by: averages, where it makes them."""
    if not (isinstance(optimizer, AveragedSGD) and optimizer.averages):
        yield
        return
    own = [(p, p.data) for group in optimizer.param_groups for p in group["params"]]
    try:
        for p, _ in own:
            p.data = optimizer.average_of(p)
        yield
    finally:
        for p, weights in own:
            p.data = weights


def keep_average(optimizer: Optimizer) -> None:
    """Leave the averages in the model, where the optimizer makes them: training has ended."""
    if isinstance(optimizer, AveragedSGD) and optimizer.averages:
        with torch.no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    p.copy_(optimizer.average_of(p))


def tell_validation(optimizer: Optimizer, loss: float) -> None:
    """Tell an optimizer that goes by it what a validation's loss was."""
    if isinstance(optimizer, AveragedSGD):
        optimizer.validated(loss)
