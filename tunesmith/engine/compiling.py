"""Compiled layers: the code of one layer compiled once and shared by all of its kind, used in training steps only.

A model's layers are one class called many times, so that one compilation serves them all. Layers stay as they are up to the first that trains:
what they read asks for no gradient, which would make a second compilation. Generation and evaluation run uncompiled.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.batch import Batch
from tunesmith.core.errors import Interrupted, one_line
from tunesmith.core.files import cache_folder
from tunesmith.core.layers import repeated_layers
from tunesmith.core.types import Objective
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.layers import num_frozen_layers, standing_in

__all__ = ["CompiledLayers", "Compiling", "compile_layers"]


@dataclass(frozen=True, slots=True)
class _Tolerance:
    """How far compiled code may be from plain: of the loss, and of the gradient's norm."""

    loss: float
    gradient: float


_ALLOWED = {torch.float32: _Tolerance(1e-5, 1e-4), torch.bfloat16: _Tolerance(1e-2, 5e-2)}
"""By what the layers compute in: compiled code keeps in float32 what plain code rounds after each operation."""
_INT8 = _Tolerance(5e-2, 0.5)
"""The last bit of a number decides which way it is rounded to int8, and large activations carry that on: two exact ways differ by so much."""


@dataclass(frozen=True, slots=True)
class Compiling:
    """What came of it."""

    reason: str
    """Why the layers run uncompiled; empty where they are compiled."""
    seconds: float


class CompiledLayers:
    """Layers with their compiled code, which is on inside `used()` only."""

    def __init__(self, layers: Sequence[nn.Module], backend: str = "inductor") -> None:
        self._calls: dict[nn.Module, Any] = {}
        for layer in layers:
            layer.compile(dynamic=True, fullgraph=True, backend=backend)
            self._calls[layer], layer._compiled_call_impl = layer._compiled_call_impl, None

    def used(self) -> contextlib.AbstractContextManager[None]:
        """Let the layers run compiled inside the block."""
        return standing_in(self._calls)


def compile_layers(forward: PackedForward, objective: Objective, batch: Batch) -> Compiling:
    """Compile the trunk's layers and use them from now on in training, where a batch gives the same loss and gradients as uncompiled."""
    started = time.perf_counter()
    reason = _why_not(forward)
    if not reason:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder("compiled")))
        plain_loss, plain = _gradients(forward, objective, batch)
        layers = repeated_layers(forward.trunk)
        forward.compiled = CompiledLayers(layers[num_frozen_layers(layers) + 1 :])
        try:
            loss, gradients = _gradients(forward, objective, batch)
            reason = _difference(
                plain_loss,
                plain,
                loss,
                gradients,
                _INT8 if forward.is_rounded else _ALLOWED.get(forward.computes_in, _ALLOWED[torch.float32]),
            )
        except Interrupted:
            raise
        except Exception as error:  # no compiler on this machine, or a model whose code cannot be compiled
            reason = one_line(error, 160)
        if reason:
            forward.compiled = None
    return Compiling(reason, time.perf_counter() - started)


def _why_not(forward: PackedForward) -> str:
    if forward.paths.attention != "packed":
        return "its attention is padded"
    if any(getattr(module, "runs_again", False) for module in forward.trunk.modules()):
        return "its feed-forward parts run again in the backward pass, which compiled code does not"
    if forward.quantized_layers:
        return "its quantized weights are made anew at each use"
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in forward.trunk.modules()):
        return "it drops out at random while it trains"
    layers = repeated_layers(forward.trunk)
    if not layers:
        return "it has no list of like layers"
    return "" if num_frozen_layers(layers) + 1 < len(layers) else "fewer than two of its layers train"


def _gradients(forward: PackedForward, objective: Objective, batch: Batch) -> tuple[float, list[Tensor]]:
    """The loss and the gradient of everything that trains; nothing of it is left in the parameters."""
    forward.train()
    total = torch.stack(list(objective.loss(forward, batch).sums.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    found = [p.grad for p in forward.parameters() if p.grad is not None]
    for p in forward.parameters():
        p.grad = None
    return float(total.detach()), found


def _difference(plain_loss: float, plain: Sequence[Tensor], loss: float, gradients: Sequence[Tensor], allowed: _Tolerance) -> str:
    """How compiled code differs from plain; empty where it does not."""
    if not abs(loss - plain_loss) <= allowed.loss * max(1.0, abs(plain_loss)) or len(plain) != len(gradients):
        return f"compiled, its loss is {loss:g} in place of {plain_loss:g}"
    norm = float(torch.stack([g.float().norm() for g in plain]).norm())
    apart = float(torch.stack([(a - b).float().norm() for a, b in zip(gradients, plain, strict=True)]).norm())
    return "" if apart <= allowed.gradient * norm else f"compiled, its gradient differs by {apart / norm:.1e}"
