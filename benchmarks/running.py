"""Run a benchmark of training: prepare, every leg in turn in its own process and its own environment, compare. Imports no torch: legs do."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.benches import OURS, Bench, Leg
from benchmarks.comparison import interleaved
from benchmarks.document import compare
from benchmarks.environments import peer_python
from benchmarks.workload import BenchmarkError, Measured, Workload
from tunesmith.core.allocator import wanted_tunables

__all__ = ["ROOT", "Options", "Say", "leg_document", "python", "pythons", "run_bench", "run_leg", "tunesmith_seconds"]

ROOT = Path(__file__).parents[1]
_LEG_LIMIT_SECONDS, _LONG_LEG_LIMIT_SECONDS = 600.0, 1800.0
_COMMAND_LIMIT_SECONDS = 24 * 3600.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    quick: bool = False
    num_rows: int | None = None
    data: str | None = None
    peers: Sequence[str] | None = None

    def repeats(self, legs: Sequence[Leg]) -> dict[str, int]:
        """Two of everything, or five, of which default configurations take part in two."""
        return {leg.name: 2 if self.quick or leg.config == "default" else 5 for leg in legs}


def python(
    executable: str,
    module: str,
    *arguments: str,
    parallel_tokenizers: bool = False,
    limit_seconds: float = _LEG_LIMIT_SECONDS,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run a module of this package by some environment's Python. Raises: BenchmarkError, with the last line that it said.

    Args:
        variables: of its environment, beside those of this process.
    """
    environment = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", "TRANSFORMERS_VERBOSITY": "error", **(variables or {})}
    environment |= {"HF_HUB_OFFLINE": "1"} if executable != sys.executable else {}  # what a peer needs lies in the workload
    environment.pop("TOKENIZERS_PARALLELISM", None)  # else as each program would have it
    environment |= {} if parallel_tokenizers else {"TOKENIZERS_PARALLELISM": "false"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")]))
    command = [executable, "-m", module, *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=limit_seconds, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{module}: not done after {limit_seconds:g} s. Use fewer rows: --rows 16") from error
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise BenchmarkError(f"{module}: exit code {done.returncode}: {last}")


def tunesmith_seconds(*arguments: str, variables: Mapping[str, str] | None = None) -> float:
    """Seconds of a command of tunesmith's, as a user runs it, however long it takes. Raises: BenchmarkError, with the last line that it said."""
    started = time.perf_counter()
    try:
        python(sys.executable, "tunesmith", *arguments, parallel_tokenizers=True, limit_seconds=_COMMAND_LIMIT_SECONDS, variables=variables)
    except BenchmarkError as error:
        raise BenchmarkError(f"{' '.join(arguments)}: {error}") from None
    return time.perf_counter() - started


def pythons(programs: Sequence[str], say: Say) -> dict[str, str]:
    """The Python of each program; environments are made before anything is measured. Raises: BenchmarkError."""
    return {program: sys.executable if program == OURS else peer_python(program, say) for program in dict.fromkeys(programs)}


def run_leg(leg: Leg, workload: Workload, folder: Path, executable: str = sys.executable) -> Measured:
    """One leg in a process of its own; its checkpoints are removed. Raises: BenchmarkError."""
    folder.mkdir(parents=True)
    try:
        way, variables = ([leg.way], wanted_tunables(os.environ)) if leg.program == OURS else ([], {})  # as the command begins
        python(executable, f"benchmarks.legs.{leg.program}", str(workload.folder), str(folder), leg.config, *way, variables=variables)
        return Measured.from_document(json.loads((folder / "result.json").read_text(encoding="utf-8")))
    finally:
        shutil.rmtree(folder)


def leg_document(leg: Leg, module: str, workload: Path, folder: Path, executable: str, options: Mapping[str, int]) -> dict[str, Any]:
    """What a leg with options reports, run in a process of its own; what it leaves beside is removed. Raises: BenchmarkError."""
    folder.mkdir()
    try:
        variables = wanted_tunables(os.environ) if leg.program == OURS else {}  # as the command begins
        arguments = (str(workload), str(folder), leg.config, json.dumps(options))
        python(executable, module, *arguments, limit_seconds=_LONG_LEG_LIMIT_SECONDS, variables=variables)
        found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return found
    finally:
        shutil.rmtree(folder)


def run_bench(bench: Bench, options: Options, say: Say) -> dict[str, Any]:
    """The document of a benchmark. Raises: BenchmarkError."""
    legs = {leg.name: leg for leg in bench.legs(options.peers)}
    executables = pythons([leg.program for leg in legs.values()], say)
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as folder:
        workload = Workload(Path(folder) / "workload")
        wanted = {
            "settings": dict(bench.settings),
            "data": options.data or bench.data,
            "num_rows": options.num_rows or bench.num_rows,
            "num_held_out_rows": bench.num_held_out_rows,
        }
        say(f"preparing {wanted['data']}")
        python(sys.executable, "benchmarks.prepare", str(workload.folder), json.dumps(wanted))
        facts: dict[str, Any] = json.loads((workload.folder / "facts.json").read_text(encoding="utf-8"))
        measured: dict[str, list[Measured]] = {name: [] for name in legs}
        order = interleaved(options.repeats(list(legs.values())))
        for index, name in enumerate(order):
            started, leg = time.perf_counter(), legs[name]
            found = run_leg(leg, workload, Path(folder) / f"leg-{index}", executables[leg.program])
            measured[name].append(found)
            trained = found.curve[-1].seconds
            note = " (longer than the 60 s that a leg should take: use --rows with fewer)" if trained > 60 else ""
            say(
                f"leg {index + 1} of {len(order)}: {leg.title}: trained {trained:.0f} s{note}, {time.perf_counter() - started:.0f} s in all"
            )
        return compare(list(legs.values()), measured, _facts(facts, bench, options))


def _facts(facts: Mapping[str, Any], bench: Bench, options: Options) -> dict[str, Any]:
    return {**facts, "workload": {"title": bench.title, "quick": options.quick, **facts["workload"]}}
