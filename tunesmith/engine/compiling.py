"""Compiled layers: the code of one layer compiled once and shared by all of its kind, used in training steps only.

A model's layers are one class called many times, so that one compilation serves them all. The first layer stays as it is: what it reads asks for
no gradient, which would make a second compilation. Generation and evaluation run uncompiled.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.batch import Batch
from tunesmith.core.errors import Interrupted
from tunesmith.core.files import cache_folder
from tunesmith.core.types import Objective
from tunesmith.engine.forward import PackedForward

__all__ = ["CompiledLayers", "Compiling", "compile_layers", "repeated_layers"]

_LOSS_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
_GRADIENT_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Of a gradient's norm, by what the layers compute in: compiled code keeps in float32 what plain code rounds after each operation."""


@dataclass(frozen=True, slots=True)
class Compiling:
    """What came of it."""

    reason: str
    """Why the layers run uncompiled; empty where they are compiled."""
    seconds: float


class CompiledLayers:
    """Layers with their compiled code, which is on inside `used()` only."""

    def __init__(self, layers: Sequence[nn.Module], backend: str = "inductor") -> None:
        self._layers: list[Any] = list(layers)
        for layer in self._layers:
            layer.compile(dynamic=True, fullgraph=True, backend=backend)
        self._code = [layer._compiled_call_impl for layer in self._layers]
        for layer in self._layers:
            layer._compiled_call_impl = None

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Let the layers run compiled inside the block."""
        for layer, code in zip(self._layers, self._code, strict=True):
            layer._compiled_call_impl = code
        try:
            yield
        finally:
            for layer in self._layers:
                layer._compiled_call_impl = None


def repeated_layers(trunk: nn.Module) -> list[nn.Module]:
    """The layers of a model: the list of modules of one class that holds the most parameters; empty where there is none."""
    lists = [list(module) for module in trunk.modules() if isinstance(module, nn.ModuleList)]
    alike = [layers for layers in lists if len(layers) > 1 and len({type(layer) for layer in layers}) == 1]
    return max(alike, key=lambda layers: sum(p.numel() for layer in layers for p in layer.parameters()), default=[])


def compile_layers(forward: PackedForward, objective: Objective, batch: Batch) -> Compiling:
    """Compile the trunk's layers and use them from now on in training, where a batch gives the same loss and gradients as uncompiled."""
    started = time.perf_counter()
    reason = _why_not(forward)
    if not reason:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder("compiled")))
        plain_loss, plain = _gradients(forward, objective, batch)
        forward.compiled = CompiledLayers(repeated_layers(forward.trunk)[1:])
        try:
            loss, gradients = _gradients(forward, objective, batch)
            reason = _difference(forward.computes_in, plain_loss, plain, loss, gradients)
        except Interrupted:
            raise
        except Exception as error:  # no compiler on this machine, or a model whose code cannot be compiled
            reason = " ".join(str(error).split())[:160] or type(error).__name__
        if reason:
            forward.compiled = None
    return Compiling(reason, time.perf_counter() - started)


def _why_not(forward: PackedForward) -> str:
    if forward.paths.attention != "packed":
        return "its attention is padded"
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in forward.trunk.modules()):
        return "it drops out at random while it trains"
    return "" if len(repeated_layers(forward.trunk)) > 1 else "it has no list of like layers"


def _gradients(forward: PackedForward, objective: Objective, batch: Batch) -> tuple[float, list[Tensor]]:
    """The loss and the gradient of everything that trains; nothing of it is left in the parameters."""
    forward.train()
    total = torch.stack(list(objective.loss(forward, batch).sums.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    found = [p.grad for p in forward.parameters() if p.grad is not None]
    for p in forward.parameters():
        p.grad = None
    return float(total.detach()), found


def _difference(dtype: torch.dtype, plain_loss: float, plain: Sequence[Tensor], loss: float, gradients: Sequence[Tensor]) -> str:
    """How compiled code differs from plain; empty where it does not."""
    loss_tolerance, tolerance = (table.get(dtype, table[torch.float32]) for table in (_LOSS_TOLERANCE, _GRADIENT_TOLERANCE))
    if not abs(loss - plain_loss) <= loss_tolerance * max(1.0, abs(plain_loss)) or len(plain) != len(gradients):
        return f"compiled, its loss is {loss:g} in place of {plain_loss:g}"
    norm = float(torch.stack([g.float().norm() for g in plain]).norm())
    apart = float(torch.stack([(a - b).float().norm() for a, b in zip(gradients, plain, strict=True)]).norm())
    return "" if apart <= tolerance * norm else f"compiled, its gradient differs by {apart / norm:.1e}"
