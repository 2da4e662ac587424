"""Optimizers over a method's parameter groups."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from tunesmith.core.types import ParamGroup
from tunesmith.engine.averaging import AveragedSGD

__all__ = ["OPTIMIZERS", "make_optimizer", "moments_per_parameter"]

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "nt_asgd": AveragedSGD,
}


def moments_per_parameter(name: str, momentum: float = 0.0) -> int:
    """Numbers that the optimizer keeps for each trained parameter."""
    return {"adamw": 2, "adam": 2, "rmsprop": 1, "sgd": 0, "nt_asgd": 1}[name] + (1 if momentum and name in ("sgd", "rmsprop") else 0)


def make_optimizer(
    groups: Sequence[ParamGroup], *, name: str, weight_decay: float, momentum: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)
) -> Optimizer:
    """An optimizer with one torch group a (ParamGroup, decayed or not).

    Weight decay falls on matrices only, as is usual: biases and norms have none, unless their group says otherwise.
    The learning rate is set at every step from `lr_scale` and the schedule.
    """
    torch_groups = list[dict[str, Any]]()
    for group in groups:
        matrices = [p for p in group.params if p.dim() > 1]
        vectors = [p for p in group.params if p.dim() <= 1]
        for params, decay in ((matrices, weight_decay), (vectors, 0.0)):
            if params:
                own = decay if group.weight_decay is None else group.weight_decay
                torch_groups.append({"params": params, "weight_decay": own, "lr_scale": group.lr_scale, "from_epoch": group.from_epoch})
    options: dict[str, Any] = {"lr": 0.0}
    if name in ("sgd", "rmsprop"):
        options["momentum"] = momentum
    elif name in ("adam", "adamw"):
        options["betas"] = betas
    if name in ("adam", "adamw", "sgd"):
        options["fused"] = True
    return OPTIMIZERS[name](torch_groups, **options)
