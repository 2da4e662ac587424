"""A Llama with random weights, rows of random tokens and one set of LoRA weights: what the legs on a GPU share. Needs torch, transformers and peft only."""

import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.gpu import SIZES, Setup
from benchmarks.legs._measure import linear_shapes, matmul_rate, training_flops
from benchmarks.workload import Measured, Point, TokenRow

__all__ = ["Stopwatch", "base_model", "device", "main", "rows", "set_start", "steps"]

_SHORTEST = 16
_MEDIAN_SHARE, _SPREAD = 0.25, 0.7
"""Lengths are log-normal: the median as a share of the longest, and the spread of the logarithms."""
_HELD_OUT = 8


def device() -> torch.device:
    """The GPU, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def base_model(setup: Setup, **options: Any) -> LlamaForCausalLM:
    """The model in bfloat16, the same for every leg. `options` are the config's."""
    shape = SIZES[setup.size].config
    config = LlamaConfig(**shape, attention_bias=False, use_cache=False, pad_token_id=0, bos_token_id=1, eos_token_id=2, **options)
    torch.manual_seed(setup.seed)
    with device():
        torch.set_default_dtype(torch.bfloat16)
        try:
            return LlamaForCausalLM(config)
        finally:
            torch.set_default_dtype(torch.float32)


def set_start(model: nn.Module, seed: int) -> None:
    """Draw every A as peft does, the same for every leg; every B is zero."""
    draw = torch.Generator().manual_seed(seed)
    named = sorted((name.removeprefix("base_model.model."), p) for name, p in model.named_parameters() if p.requires_grad)
    with torch.no_grad():
        for name, p in named:
            bound = 1 / math.sqrt(p.shape[1]) if "lora_A" in name else 0.0
            p.copy_(torch.empty(p.shape).uniform_(-bound, bound, generator=draw))


def rows(setup: Setup, count: int, seed: int) -> list[TokenRow]:
    """Rows of natural, unequal lengths, every token but the first scored; low tokens are more frequent, so that there is something to learn."""
    size, draw = SIZES[setup.size], random.Random(seed)
    most, vocabulary = size.longest, size.config["vocab_size"]
    found = []
    for _ in range(count):
        length = min(most, max(_SHORTEST, round(most * _MEDIAN_SHARE * math.exp(draw.gauss(0, _SPREAD)))))
        tokens = tuple(3 + int((vocabulary - 3) * draw.random() ** 4) for _ in range(length))
        found.append(TokenRow(tokens, tuple(range(1, length))))
    return found


def steps(setup: Setup) -> list[list[TokenRow]]:
    """The rows of every step, those of like length together, as the Trainer's `group_by_length` has them; the steps stand in random order."""
    size = setup.examples_per_step
    found = sorted(rows(setup, setup.num_steps * size, setup.seed), key=lambda row: len(row.tokens))
    grouped = [found[start : start + size] for start in range(0, len(found), size)]
    random.Random(setup.seed).shuffle(grouped)
    return grouped


class Stopwatch:
    """Runs the steps of a leg and notes what it measured."""

    def __init__(self, setup: Setup) -> None:
        """The base model is there: time begins."""
        self._setup, self._started = setup, time.perf_counter()

    def measure(self, model: Any, losses: Iterable[Tensor | float], version: str) -> Measured:
        """Go through the losses of all steps; the leg does a step for each that is asked for. `model` gives the held-out loss at the end."""
        setup, todo = self._setup, steps(self._setup)
        first, begun, ended = math.nan, 0.0, 0.0
        for index, loss in enumerate(losses, start=1):
            first = float(loss) if index == 1 else first
            if index == setup.num_warm_up_steps:
                begun = self._now()
            elif index == setup.num_steps:
                ended = self._now()
        peak = torch.cuda.max_memory_allocated() if device().type == "cuda" else 0
        adapter = sum(p.numel() for p in model.parameters() if p.requires_grad)
        timed = [row for step in todo[setup.num_warm_up_steps :] for row in step]
        num_tokens, num_targets = sum(len(row.tokens) for row in timed), sum(row.num_targets for row in timed)
        held_out = _held_out_loss(model, rows(setup, _HELD_OUT, setup.seed + 1))
        base = _without_weights(setup)
        return Measured(
            first_loss=first,
            curve=(Point(setup.num_steps, ended, held_out),),
            seconds=ended - begun,
            num_tokens=num_tokens,
            num_targets=num_targets,
            peak_memory_bytes=peak,
            matmul_flops_per_second=matmul_rate(linear_shapes(base), device=device(), dtype=torch.bfloat16),
            flops=training_flops(base, adapter, num_tokens, num_targets),
            version=version,
        )

    def _now(self) -> float:
        """Seconds since the start, with everything done that the GPU was asked for."""
        if device().type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - self._started


def _without_weights(setup: Setup) -> nn.Module:
    """The base model without its weights: what operations are counted by."""
    with torch.device("meta"):
        return LlamaForCausalLM(LlamaConfig(**SIZES[setup.size].config))


def _held_out_loss(model: Any, found: Sequence[TokenRow]) -> float:
    """Nats a token, row by row through transformers' own forward pass, the same code for every leg."""
    model.eval()
    total = 0.0
    with torch.no_grad(), torch.autocast(device().type, torch.bfloat16):
        for row in found:
            tokens = torch.tensor(row.tokens, device=device())
            logits = model(input_ids=tokens[None]).logits[0, :-1].float()
            total += float(F.cross_entropy(logits, tokens[1:], reduction="sum"))
    return total / sum(row.num_targets for row in found)


def main(leg: Callable[[Setup], Measured]) -> None:
    """Run a leg by its command line: the setup as JSON, and the folder for result.json."""
    measured = leg(Setup(**json.loads(sys.argv[1])))
    (Path(sys.argv[2]) / "result.json").write_text(json.dumps(asdict(measured)), encoding="utf-8")
