"""Where the time of tunesmith's own training steps goes: `python -m benchmarks.profile RECIPE [--tokens N] [--rounds N] [--int8]`. Prints Markdown."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.legs._measure import linear_shapes, matmul_rate, training_flops
from tunesmith.app.machine import machine_facts
from tunesmith.app.task import Task, attach, prepare
from tunesmith.core.batch import Batch, collate
from tunesmith.engine.compiling import CompiledLayers, compile_layers
from tunesmith.engine.kernels.compiled import Kernels
from tunesmith.engine.kernels.linear import times_transposed
from tunesmith.engine.packing import pack
from tunesmith.model.load import load as load_model
from tunesmith.recipe import load

__all__ = ["GROUPS", "Spent", "Ways", "grouped", "main"]

GROUPS: Mapping[str, Sequence[str]] = {
    "thin products": ("lora_linear", "_FrozenLinearWithAdapter", "kernel adapter", "kernel quantize", "kernel rescale"),
    "int8 products": ("aten::_int_mm",),
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "kernel matmul"),
    "attention in segments": ("segment_attention", "scaled_dot_product", "kernel attention"),
    "compiled regions": ("CompiledFxGraph",),
    "dropout": ("bernoulli", "ropout", "kernel drop"),
}
"""What an operator counts as, by a part of its name, the first that fits; anything else is `the rest`.

Thin products are an adapter's, with int8's rounding and scaling where its base is in int8: what a LoRA layer spends beside the products that it calls,
and matrix products of thin shapes.
"""
_THIN = 32
"""A matrix product with a side of no more than this is an adapter's, and bound by memory."""


@dataclass(frozen=True, slots=True)
class Spent:
    """The seconds of an operator with inputs of some shapes, without what it calls."""

    operator: str
    shapes: Sequence[Sequence[int]]
    seconds: float

    @property
    def group(self) -> str:
        """Of `GROUPS`, or `the rest`."""
        found = next((group for group, parts in GROUPS.items() if any(part in self.operator for part in parts)), "the rest")
        sides = [side for shape in self.shapes if len(shape) == 2 for side in shape]
        return "thin products" if found == "matrix products" and sides and min(sides) <= _THIN else found


def grouped(spent: Iterable[Spent]) -> dict[str, float]:
    """Seconds by group."""
    found = dict.fromkeys([*GROUPS, "the rest"], 0.0)
    for one in spent:
        found[one.group] += one.seconds
    return found


@dataclass(slots=True)
class Ways:
    """Training steps over the same batches, with plain and with compiled layers. No weight is changed."""

    task: Task
    batches: Sequence[Batch]
    compiled: CompiledLayers | None = None

    def step(self, *, is_compiled: bool) -> float:
        """Loss and gradients of all batches. Returns: seconds."""
        forward, started = self.task.forward.train(), time.perf_counter()
        forward.compiled = self.compiled if is_compiled else None
        for batch in self.batches:
            loss = self.task.objective.loss(forward, batch)
            torch.stack(list(loss.sums.values())).sum().backward()  # type: ignore[no-untyped-call]
        for p in forward.parameters():
            p.grad = None
        return time.perf_counter() - started

    def spent(self, *, is_compiled: bool) -> list[Spent]:
        """Of one step, by operator and shapes."""
        with _kernels_by_name(), profile(activities=[ProfilerActivity.CPU], record_shapes=True) as measured:
            self.step(is_compiled=is_compiled)
        events = measured.key_averages(group_by_input_shape=True)
        return [Spent(event.key, event.input_shapes, event.self_cpu_time_total / 1e6) for event in events]


@contextmanager
def _kernels_by_name() -> Iterator[None]:
    """Let the profiler see which kernel in C runs, as `kernel NAME`."""
    run = Kernels.run

    def named(self: Kernels, name: str, *arguments: Any) -> None:
        with record_function(f"kernel {name}"):
            run(self, name, *arguments)

    with patch.object(Kernels, "run", named):
        yield


def _ways(recipe: str, tokens: int, num_rows: int, base_precision: str) -> Ways:
    limits = [f"data.limit.train={num_rows}", "data.limit.validation=4", "data.limit.test=4"]
    task = prepare(load(recipe, [*limits, f"method.base_precision={base_precision}"]), lambda _event: None)
    attach(task)
    rows = task.splits["train"].rows
    batches = [collate([rows[i] for i in group], task.model.facts) for group in pack([row.num_tokens for row in rows], tokens)]
    return Ways(task, batches)


def _interleaved(ways: Ways, rounds: int) -> dict[bool, list[float]]:
    kinds = [False] if ways.compiled is None else [False, True]
    found: dict[bool, list[float]] = {kind: [] for kind in kinds}
    for round_index in range(rounds):
        for kind in kinds if round_index % 2 == 0 else reversed(kinds):
            found[kind].append(ways.step(is_compiled=kind))
    return found


def _flops(ways: Ways, base: torch.nn.Module) -> float:
    """Of one step over all batches."""
    task = ways.task
    num_tokens = sum(batch.stream.num_tokens for batch in ways.batches)
    num_scored = sum(len(batch.labels_N) for batch in ways.batches)
    adapter = sum(p.numel() for p in task.forward.parameters() if p.requires_grad)
    return training_flops(base, adapter, num_tokens, num_scored)


def main(arguments: Sequence[str] | None = None, say: Callable[[str], None] = print) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("recipe", help="a recipe of LoRA, such as docstrings")
    parser.add_argument("--tokens", type=int, default=1024, help="tokens of a micro-batch")
    parser.add_argument("--rows", type=int, default=24, help="training rows")
    parser.add_argument("--int8", action="store_true", help="frozen weights in int8")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way runs")
    options = parser.parse_args(arguments)
    ways = _ways(options.recipe, options.tokens, options.rows, "int8" if options.int8 else "exact")
    ways.step(is_compiled=False)
    compiling = compile_layers(ways.task.forward, ways.task.objective, ways.batches[0])
    ways.compiled, ways.task.forward.compiled = ways.task.forward.compiled, None  # type: ignore[assignment]
    if ways.compiled is not None:
        ways.step(is_compiled=True)
    num_tokens = sum(batch.stream.num_tokens for batch in ways.batches)
    base = load_model(ways.task.recipe.model.source, need="lm" if ways.task.objective.uses_lm_head else "encoder").trunk
    shapes, flops = linear_shapes(base), _flops(ways, base)
    rate = max(matmul_rate(shapes), matmul_rate(shapes, product=times_transposed))
    machine = machine_facts(torch.device("cpu"))
    say(
        f"`python -m benchmarks.profile {options.recipe} --tokens {options.tokens}{' --int8' if options.int8 else ''}`: {num_tokens:,} tokens in {len(ways.batches)} micro-batches, "
    )
    say(f"{machine['processor']}, {machine['num_threads']} threads, matrix products at {rate / 1e9:.0f} GFLOP/s.")
    say(f"Compiling: {compiling.reason or f'{compiling.seconds:.0f} s'}.\n")
    say("| | tokens/s, median (least to most) | share of the matmul rate | " + " | ".join([*GROUPS, "the rest"]) + " |")
    say("|---" * (4 + len(GROUPS)) + "|")
    for is_compiled, seconds in _interleaved(ways, options.rounds).items():
        speeds, median = sorted(num_tokens / s for s in seconds), statistics.median(seconds)
        by_group = grouped(ways.spent(is_compiled=is_compiled))
        whole = sum(by_group.values())
        parts = " | ".join(f"{spent / whole:.1%}" for spent in by_group.values())
        speed = f"{num_tokens / median:.0f} ({speeds[0]:.0f} to {speeds[-1]:.0f})"
        share = "" if options.int8 else f"{flops / median / rate:.0%}"
        say(f"| {'compiled' if is_compiled else 'plain'} | {speed} | {share} | {parts} |")


if __name__ == "__main__":
    main(sys.argv[1:])
