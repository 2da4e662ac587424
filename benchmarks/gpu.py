"""The benchmark `gpu`: LoRA in bf16 on Llamas with random weights, on one GPU: `python -m benchmarks.gpu [--size 1b|8b|tiny] [--steps N]`.

It needs torch, transformers and peft beside tunesmith, no environments of peers, no model and no data. Imports no torch but to ask for the GPU: legs do.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.benches import OURS, Leg
from benchmarks.comparison import BF16, interleaved
from benchmarks.document import compare, table
from benchmarks.running import Options, Say, python
from benchmarks.workload import BenchmarkError, Measured

__all__ = ["LEARNING_RATE", "LEGS", "LORA_ALPHA", "LORA_R", "SIZES", "TITLE", "Setup", "Size", "main", "run_gpu"]

TITLE = "LoRA, r = 16, bf16, on a GPU: Llama with random weights"
LORA_R, LORA_ALPHA = 16, 32
LEARNING_RATE = 2e-4
LEGS = [Leg(program, "best") for program in (OURS, "loop")]


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of a model, and how it is trained."""

    config: Mapping[str, Any]
    longest: int
    """Tokens of the longest row."""
    examples_per_step: int
    micro_batch_tokens: int
    """Of ours. The plain loop takes the rows of a step at once."""
    is_compiled: bool = True


_LLAMA = {"vocab_size": 128_256, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "num_key_value_heads": 8}
SIZES = {
    "1b": Size(
        {**_LLAMA, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "head_dim": 64,
         "tie_word_embeddings": True},
        longest=1024, examples_per_step=16, micro_batch_tokens=16384,
    ),
    "8b": Size(
        {**_LLAMA, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "head_dim": 128,
         "tie_word_embeddings": False},
        longest=1024, examples_per_step=8, micro_batch_tokens=8192,
    ),
    "tiny": Size(
        {**_LLAMA, "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": True},
        longest=96, examples_per_step=4, micro_batch_tokens=256, is_compiled=False,
    ),
}  # fmt: skip
"""The shapes of Llama 3.2 1B and Llama 3.1 8B, and one that a CPU trains in seconds, for tests."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every leg is told."""

    size: str
    num_steps: int = 30
    num_warm_up_steps: int = 5
    """Steps at the start that do not count: memory is taken and kernels are chosen in them."""
    seed: int = 0

    @property
    def examples_per_step(self) -> int:
        """Rows of a step."""
        return SIZES[self.size].examples_per_step


def _machine(size: str) -> dict[str, Any]:
    """Facts of this machine. Raises: BenchmarkError, where it has no GPU for the size."""
    import torch

    from tunesmith.app.machine import machine_facts, versions

    if size != "tiny" and not torch.cuda.is_available():
        raise BenchmarkError(f"gpu: {size} needs a GPU, and torch sees no CUDA device here. Only --size tiny runs on a CPU.")
    return {**machine_facts(torch.device("cuda" if torch.cuda.is_available() else "cpu")), "versions": versions()}


def _run_leg(leg: Leg, setup: Setup) -> Measured:
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as folder:
        python(sys.executable, f"benchmarks.legs.gpu_{leg.program}", json.dumps(asdict(setup)), folder)
        return Measured.from_document(json.loads((Path(folder) / "result.json").read_text(encoding="utf-8")))


def run_gpu(setup: Setup, options: Options, say: Say) -> dict[str, Any]:
    """The document of the benchmark. Raises: BenchmarkError."""
    if options.data or options.peers or options.num_rows:
        raise BenchmarkError("gpu: has rows of its own and one peer: neither --data nor --peers nor --rows.")
    if setup.num_steps <= setup.num_warm_up_steps:
        raise BenchmarkError(f"--steps: expected more than the {setup.num_warm_up_steps} steps that warm up, found {setup.num_steps}.")
    machine = _machine(setup.size)
    legs = {leg.name: leg for leg in LEGS}
    measured: dict[str, list[Measured]] = {name: [] for name in legs}
    order = interleaved(options.repeats(LEGS))
    for index, name in enumerate(order):
        found = _run_leg(legs[name], setup)
        measured[name].append(found)
        say(f"leg {index + 1} of {len(order)}: {legs[name].title}: {found.tokens_per_second:,.0f} tokens/s; {found.version}")
    return compare(LEGS, measured, {"machine": machine, "workload": _workload(setup, options, measured)}, BF16)


def _workload(setup: Setup, options: Options, measured: Mapping[str, Sequence[Measured]]) -> dict[str, Any]:
    one = measured[LEGS[0].name][0]
    return {
        "title": TITLE, "quick": options.quick, "data": setup.size, "method": "lora", "precision": "bf16", "learning_rate": LEARNING_RATE,
        "examples_per_step": setup.examples_per_step, "num_steps": setup.num_steps, "num_tokens": one.num_tokens,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; on a GPU, a whole run whose gate passed is written to RESULTS.md. Returns: 1 where it was not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=TITLE)
    parser.add_argument("--size", choices=list(SIZES), default="1b", help="the shape of the model")
    parser.add_argument("--steps", type=int, metavar="N", help=f"updates of a leg, {Setup('1b').num_warm_up_steps} of them to warm up")
    parser.add_argument("--quick", action="store_true", help="two repeats in place of five")
    given = parser.parse_args(arguments)
    setup = Setup(given.size, **({"num_steps": given.steps} if given.steps is not None else {}))
    try:
        document = run_gpu(setup, Options(given.quick), lambda text: print(text, file=sys.stderr, flush=True))
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(document))
    if document["passed"] and given.size != "tiny" and given.steps is None:
        results.update("gpu", document)
    return 0 if document["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
