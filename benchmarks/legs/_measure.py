"""What every leg measures in the same way, whatever it trained with."""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from benchmarks.legs._memory import peak_memory_bytes
from benchmarks.legs._model import load_base, score
from benchmarks.workload import Config, Measured, Point, Settings, TokenRow, Workload

__all__ = ["Clock", "main", "matmul_rate", "peak_memory_bytes", "report", "training_flops"]

_MATMUL_TOKENS, _MATMUL_TOKENS_GPU = 1024, 8192
"""Rows of the matrix products that the rate is measured with: about a micro-batch's tokens."""

Save = Callable[[Path], None]
Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Clock:
    """Notes when each step ended, and keeps checkpoints. It stands still while one is written."""

    def __init__(self, settings: Settings, num_steps: int, folder: Path) -> None:
        """The base model is loaded: time begins."""
        self.first_loss = math.nan
        self.peak_memory_bytes = 0
        self._settings, self._num_steps, self._folder = settings, num_steps, folder
        self._ends = list[float]()
        count = settings.num_checkpoints
        self._checkpoints = {math.ceil(num_steps * (index + 1) / count) for index in range(count)}
        self._paused = 0.0
        self._started = time.perf_counter()

    def step_ended(self, save: Save) -> None:
        """Call right after each update. `save` writes what trained to a folder."""
        self._ends.append(time.perf_counter() - self._paused - self._started)
        step = len(self._ends)
        if step == self._num_steps:
            self.peak_memory_bytes = peak_memory_bytes()
        if step in self._checkpoints:
            before = time.perf_counter()
            save(self._folder / f"step-{step}")
            self._paused += time.perf_counter() - before

    @property
    def seconds(self) -> float:
        """Seconds of the steps after the warm-up."""
        return self._ends[-1] - self._ends[self._settings.num_warm_up_steps - 1]

    def curve(self, rows: Sequence[TokenRow]) -> tuple[Point, ...]:
        """How well each checkpoint does. Raises: ValueError, where steps are missing."""
        if len(self._ends) != self._num_steps:
            raise ValueError(f"{len(self._ends)} steps instead of {self._num_steps}")
        return tuple(
            Point(step, self._ends[step - 1], *score(self._settings, self._folder / f"step-{step}", rows))
            for step in sorted(self._checkpoints)
        )


def _vocabulary_head(model: Any) -> nn.Module | None:
    found: nn.Module | None = model.get_output_embeddings()
    return found


def linear_shapes(model: nn.Module) -> dict[tuple[int, int], int]:
    """How many linear layers of each shape (outputs, inputs) a model has, the vocabulary head left out."""
    head = _vocabulary_head(model)
    shapes = dict[tuple[int, int], int]()
    for module in model.modules():
        if isinstance(module, nn.Linear) and module is not head:
            shape = (module.out_features, module.in_features)
            shapes[shape] = shapes.get(shape, 0) + 1
    return shapes


def matmul_rate(
    shapes: dict[tuple[int, int], int],
    seconds_per_shape: float = 0.2,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    product: Product = F.linear,
) -> float:
    """Operations a second of matrix products at the model's own shapes, each weighted as often as the model has it.

    Args:
        product: what multiplies (tokens, inputs) by the transpose of (outputs, inputs).
    """
    is_gpu = device is not None and device.type == "cuda"
    num_tokens = _MATMUL_TOKENS_GPU if is_gpu else _MATMUL_TOKENS
    finish: Callable[[], None] = torch.cuda.synchronize if is_gpu else (lambda: None)
    operations, elapsed = 0.0, 0.0
    for (outputs, inputs), count in shapes.items():
        x, weight = (torch.randn(size, inputs, device=device, dtype=dtype) for size in (num_tokens, outputs))
        for _ in range(2):
            product(x, weight)
        finish()
        started, times = time.perf_counter(), list[float]()
        while time.perf_counter() - started < seconds_per_shape:
            before = time.perf_counter()
            product(x, weight)
            finish()
            times.append(time.perf_counter() - before)
        operations += count * 2.0 * num_tokens * outputs * inputs
        elapsed += count * sorted(times)[len(times) // 2]
    return operations / elapsed


def training_flops(base: nn.Module, num_adapter_parameters: int | None, num_tokens: int, num_scored_tokens: int) -> float:
    """Operations that training needs: 2 forward and 4 backward for a weight and token, 2 backward where it is frozen; the head at scored tokens only.

    Attention between tokens, norms and the optimizer are left out.

    Args:
        num_adapter_parameters: of the LoRA weights that train while the model's own are frozen; None where the model's own train.
    """
    weights = sum(outputs * inputs * count for (outputs, inputs), count in linear_shapes(base).items())
    head = _vocabulary_head(base)
    head_weights = sum(p.numel() for p in head.parameters()) if head is not None else 0
    own = 6.0 if num_adapter_parameters is None else 4.0
    return num_tokens * (own * weights + 6.0 * (num_adapter_parameters or 0)) + num_scored_tokens * own * head_weights


def _flops(settings: Settings, base: nn.Module, start: Path, timed: Sequence[TokenRow]) -> float | None:
    if settings.method == "head":  # a frozen trunk's states may be kept from the first epoch on
        return None
    adapter = None
    if settings.method == "lora":
        adapter = sum(tensor.numel() for tensor in load_file(start / "adapter_model.safetensors").values())
    return training_flops(base, adapter, sum(len(row.tokens) for row in timed), sum(len(row.scored) for row in timed))


def report(workload: Workload, config: Config, clock: Clock, version: str, product: Product | None = None) -> Measured:
    """Finish a leg whose training is done with what is computed outside the timed part.

    Args:
        product: what multiplies in this leg where it is not torch's own; the rate is that of the faster of the two.
    """
    settings = workload.settings()
    timed = workload.in_order(config)[settings.examples_per_step * settings.num_warm_up_steps :]
    base = load_base(settings, settings.model)
    shapes = linear_shapes(base)
    return Measured(
        first_loss=clock.first_loss,
        curve=clock.curve(workload.held_out()),
        seconds=clock.seconds,
        num_tokens=sum(len(row.tokens) for row in timed),
        num_targets=sum(row.num_targets for row in timed),
        peak_memory_bytes=clock.peak_memory_bytes,
        matmul_flops_per_second=max(matmul_rate(shapes, product=one) for one in (F.linear, product) if one is not None),
        flops=_flops(settings, base, workload.start, timed),
        version=version,
    )


def main(leg: Callable[..., Measured]) -> None:
    """Run a leg by its command line: the workload's folder, a folder for checkpoints and result.json, `best` or `default`, and what else it takes."""
    workload, folder, config = Workload(Path(sys.argv[1])), Path(sys.argv[2]), cast(Config, sys.argv[3])
    measured = leg(workload, folder, config, *sys.argv[4:])
    (folder / "result.json").write_text(json.dumps(asdict(measured)), encoding="utf-8")
