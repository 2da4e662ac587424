"""The benchmark `sft`: supervised tuning with LoRA, tunesmith against transformers' Trainer with peft. Imports no torch: legs do, each in its process."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.comparison import FINAL_TOLERANCE, FIRST_TOLERANCE, Gate, gate, interleaved, ratio
from benchmarks.workload import Measured, Workload

__all__ = ["LEGS", "BenchmarkError", "Plan", "compare", "run_leg", "run_sft", "table"]

ROOT = Path(__file__).parents[1]
OURS = "ours"
LEGS = {OURS: "tunesmith", "trainer_best": "transformers Trainer + peft", "trainer_default": "transformers Trainer + peft"}
"""Modules of benchmarks.legs, with the names that a reader knows them by."""
CONFIGS = {"trainer_best": "best", "trainer_default": "default"}

_LEG_LIMIT_SECONDS = 600


class BenchmarkError(RuntimeError):
    """A leg did not come to its end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done."""

    num_rows: int
    num_held_out_rows: int
    repeats: Mapping[str, int]

    @classmethod
    def of(cls, *, quick: bool, num_rows: int | None) -> "Plan":
        """Two repeats of everything, or five, of which the peer's default configuration takes part in two."""
        repeats = {OURS: 2, "trainer_best": 2, "trainer_default": 2} if quick else {OURS: 5, "trainer_best": 5, "trainer_default": 2}
        return cls(num_rows or 48, 24, repeats)


def _python(module: str, *arguments: str) -> None:
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1", "TRANSFORMERS_VERBOSITY": "error"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=_LEG_LIMIT_SECONDS, capture_output=True, text=True, encoding="utf-8", check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{module}: not done after {_LEG_LIMIT_SECONDS} s. Use fewer rows: --rows 32") from error
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise BenchmarkError(f"{module}: exit code {done.returncode}: {last}")


def run_leg(name: str, workload: Workload, folder: Path) -> Measured:
    """One leg in a process of its own. Raises: BenchmarkError."""
    folder.mkdir(parents=True)
    _python(f"benchmarks.legs.{name}", str(workload.folder), str(folder))
    return Measured(**json.loads((folder / "result.json").read_text(encoding="utf-8")))


def compare(measured: Mapping[str, Sequence[Measured]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a comparison. It holds ratios only where every gate passed."""
    ours = measured[OURS]
    gates = {name: gate(ours, legs) for name, legs in measured.items() if name != OURS}
    passed = all(found.passed for found in gates.values())
    peers = {name: _peer(name, ours, measured[name], found, passed) for name, found in gates.items()}
    share = statistics.median(leg.share_of_matmul_rate for leg in ours) if passed else None
    return {
        "schema": "tunesmith/benchmark/1",
        "workload": facts["workload"],
        "machine": facts["machine"],
        "passed": passed,
        "peers": peers,
        "share_of_matmul_rate": share,
        "legs": {name: [asdict(leg) for leg in legs] for name, legs in measured.items()},
    }


def _peer(name: str, ours: Sequence[Measured], theirs: Sequence[Measured], found: Gate, passed: bool) -> dict[str, Any]:
    speed = ratio([leg.tokens_per_second for leg in ours], [leg.tokens_per_second for leg in theirs])
    memory = None
    if all(leg.peak_memory_bytes for leg in (*ours, *theirs)):  # 0: a system that does not say
        memory = asdict(ratio([float(leg.peak_memory_bytes) for leg in ours], [float(leg.peak_memory_bytes) for leg in theirs]))
    return {
        "name": LEGS[name],
        "version": theirs[0].version,
        "config": CONFIGS[name],
        "gate": asdict(found),
        "ratios": {"tokens_per_second": asdict(speed), "peak_memory": memory} if passed else None,
    }


def table(document: Mapping[str, Any]) -> str:
    """The document for people: a row a configuration of the peer."""
    lines = [("peer", "config", "gate", "tokens/s, ours : theirs", "peak memory, ours : theirs")]
    for peer in document["peers"].values():
        found, ratios = peer["gate"], peer["ratios"]
        said = "passed" if found["passed"] else "FAILED"
        cells = [_ratio(ratios[name]) if ratios else "none: a gate failed" for name in ("tokens_per_second", "peak_memory")]
        lines.append((peer["name"], peer["config"], said, *cells))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    for peer in document["peers"].values():
        found = peer["gate"]
        text.append(
            f"gate, {peer['config']}: first-step losses differ by {found['first_loss_difference']:.1e} nats (allowed {FIRST_TOLERANCE:g}),"
            f" held-out losses by {found['held_out_loss_difference']:.2%} (allowed {FINAL_TOLERANCE:.1%})"
        )
    if document["share_of_matmul_rate"] is not None:
        text.append(f"share of the machine's float32 matmul rate that ours reaches: {document['share_of_matmul_rate']:.0%}")
    return "\n".join(text)


def _ratio(found: Mapping[str, float] | None) -> str:
    return f"{found['median']:.2f} ({found['min']:.2f} to {found['max']:.2f})" if found else "not known here"


def run_sft(plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Prepare, run every leg in turn, compare. Raises: BenchmarkError."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as folder:
        workload = Workload(Path(folder) / "workload")
        say(f"preparing {plan.num_rows} rows")
        _python("benchmarks.prepare", str(workload.folder), str(plan.num_rows), str(plan.num_held_out_rows))
        facts: dict[str, Any] = json.loads((workload.folder / "facts.json").read_text(encoding="utf-8"))
        measured: dict[str, list[Measured]] = {name: [] for name in plan.repeats}
        order = interleaved(plan.repeats)
        for index, name in enumerate(order):
            say(f"leg {index + 1} of {len(order)}: {LEGS[name]}{', ' + CONFIGS[name] if name in CONFIGS else ''}")
            measured[name].append(run_leg(name, workload, Path(folder) / f"leg-{index}"))
        return compare(measured, facts)
