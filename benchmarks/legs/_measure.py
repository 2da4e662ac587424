"""What every leg measures in the same way, whatever it trained with."""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import peft
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from benchmarks.workload import Measured, TokenRow, Workload

__all__ = ["Clock", "held_out_loss", "main", "matmul_rate", "peak_memory_bytes", "report", "training_flops"]

_MATMUL_TOKENS = 1024
"""Rows of the matrix products that the rate is measured with: about a step's tokens."""


class Clock:
    """Notes when each step ended; the timed part lies between the last step of the warm-up and the last step."""

    def __init__(self) -> None:
        self.first_loss = math.nan
        self._ends = list[float]()

    def step_ended(self) -> None:
        """Call right after each update."""
        self._ends.append(time.perf_counter())

    def seconds(self, num_warm_up_steps: int) -> float:
        """Seconds of the steps after the warm-up."""
        return self._ends[-1] - self._ends[num_warm_up_steps - 1]

    @property
    def num_steps(self) -> int:
        """Updates done."""
        return len(self._ends)


def peak_memory_bytes() -> int:
    """The most memory that this process held so far. 0 where the system does not say."""
    try:  # Linux hands the peak of a process on to the children that it starts; this line counts the process alone
        with Path("/proc/self/status").open(encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def held_out_loss(model_folder: str, adapter: Path, rows: Sequence[TokenRow]) -> float:
    """Nats a scored token, of the base model with a saved adapter: plain transformers and peft, row by row, no padding, no packing."""
    base: Any = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    model: Any = peft.PeftModel.from_pretrained(base, str(adapter)).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for row in rows:
            tokens, scored = torch.tensor(row.tokens), torch.tensor(row.scored)
            logits: Tensor = model(input_ids=tokens[None]).logits[0]
            total += float(F.cross_entropy(logits[scored - 1], tokens[scored], reduction="sum"))
            count += len(row.scored)
    return total / count


def _linear_shapes(model: nn.Module) -> dict[tuple[int, int], int]:
    """How many linear layers of each shape (outputs, inputs) a model has, the vocabulary head left out."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    shapes = dict[tuple[int, int], int]()
    for module in model.modules():
        if isinstance(module, nn.Linear) and module is not head:
            shape = (module.out_features, module.in_features)
            shapes[shape] = shapes.get(shape, 0) + 1
    return shapes


def matmul_rate(shapes: dict[tuple[int, int], int], seconds_per_shape: float = 0.2) -> float:
    """float32 operations a second of plain matrix products at the model's own shapes, each weighted as often as the model has it."""
    operations, elapsed = 0.0, 0.0
    for (outputs, inputs), count in shapes.items():
        x, weight = torch.randn(_MATMUL_TOKENS, inputs), torch.randn(outputs, inputs)
        for _ in range(2):
            F.linear(x, weight)
        started, times = time.perf_counter(), list[float]()
        while time.perf_counter() - started < seconds_per_shape:
            before = time.perf_counter()
            F.linear(x, weight)
            times.append(time.perf_counter() - before)
        operations += count * 2.0 * _MATMUL_TOKENS * outputs * inputs
        elapsed += count * sorted(times)[len(times) // 2]
    return operations / elapsed


def training_flops(base: nn.Module, num_adapter_parameters: int, num_tokens: int, num_scored_tokens: int) -> float:
    """Operations that LoRA training needs: 2 forward and 2 backward a frozen weight and token, 6 an adapter's; the head at scored tokens only.

    Attention between tokens, norms and the optimizer are left out.
    """
    frozen = sum(outputs * inputs * count for (outputs, inputs), count in _linear_shapes(base).items())
    head: nn.Module = base.get_output_embeddings()  # type: ignore[operator]
    head_weights = sum(p.numel() for p in head.parameters())
    return num_tokens * (4.0 * frozen + 6.0 * num_adapter_parameters) + num_scored_tokens * 4.0 * head_weights


def report(
    workload: Workload, clock: Clock, timed: Sequence[TokenRow], save: Callable[[Path], None], version: str, folder: Path
) -> Measured:
    """Finish a leg whose training is done: memory first, then what is computed outside the timed part."""
    peak, settings = peak_memory_bytes(), workload.settings()
    save(folder)
    base: Any = AutoModelForCausalLM.from_pretrained(settings.model, dtype=torch.float32)
    adapter = sum(tensor.numel() for tensor in peft.load_peft_weights(str(folder), device="cpu").values())
    num_tokens, num_scored = sum(len(row.tokens) for row in timed), sum(len(row.scored) for row in timed)
    return Measured(
        first_loss=clock.first_loss,
        held_out_loss=held_out_loss(settings.model, folder, workload.rows("held_out")),
        seconds=clock.seconds(settings.num_warm_up_steps),
        num_tokens=num_tokens,
        num_scored_tokens=num_scored,
        peak_memory_bytes=peak,
        matmul_flops_per_second=matmul_rate(_linear_shapes(base)),
        flops=training_flops(base, adapter, num_tokens, num_scored),
        version=version,
    )


def main(leg: Callable[[Workload, Path], Measured]) -> None:
    """Run a leg by its command line: the workload's folder, and a folder for the adapter and result.json."""
    workload, folder = Workload(Path(sys.argv[1])), Path(sys.argv[2])
    measured = leg(workload, folder / "adapter")
    (folder / "result.json").write_text(json.dumps(asdict(measured)), encoding="utf-8")
