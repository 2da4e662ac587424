"""The benchmark `startup`: how soon a program answers, and how soon it trains. Imports no torch."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.benches import OURS, PEER_NAMES
from benchmarks.comparison import interleaved, ratio
from benchmarks.document import whole
from benchmarks.running import Options, Say, python, pythons
from benchmarks.workload import BenchmarkError

__all__ = ["STARTS", "TITLE", "Start", "compare_starts", "run_startup"]

TITLE = "Start-up: the answer to a request for help; the first training step of `reviews`, everything fetched before"


@dataclass(frozen=True, slots=True)
class Start:
    """Something that a program is asked to begin."""

    name: str
    program: str
    module: str
    arguments: Sequence[str] = ()
    is_step: bool = False
    """Whether it runs until it has written when its first training step was done; else until it ends."""
    against: str = ""


STARTS = {
    start.name: start
    for start in (
        Start("ours_help", OURS, "tunesmith", ("--help",)),
        Start("llamafactory_help", "llamafactory", "llamafactory.cli", ("help",), against="ours_help"),
        Start("ours_first_step", OURS, "benchmarks.legs.first_step_ours", is_step=True),
        Start("trainer_first_step", "trainer", "benchmarks.legs.first_step_trainer", is_step=True, against="ours_first_step"),
    )
}


def compare_starts(seconds: Mapping[str, Sequence[float]], versions: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The document. There is no loss to hold two programs to: each does what its user would have it do."""
    peers = {
        start.name: {
            "name": f"{PEER_NAMES[start.program]}: {'first step' if start.is_step else 'help'}",
            "version": versions[start.program],
            "config": "default",
            "against": start.against,
            "gate": {"passed": True},
            "ratios": {"seconds": asdict(ratio(seconds[start.against], seconds[start.name]))},
        }
        for start in STARTS.values()
        if start.against
    }
    return whole(facts, peers, {name: [{"seconds": one} for one in found] for name, found in seconds.items()}, passed=True)


def time_start(start: Start, executable: str, folder: Path, run: Callable[..., None] = python) -> float:
    """Seconds from the start of the process. Raises: BenchmarkError."""
    file = folder / "first-step"
    file.unlink(missing_ok=True)
    started = time.time()
    run(executable, start.module, *((str(folder), str(file)) if start.is_step else start.arguments))
    ended = time.time()
    if not start.is_step:
        return ended - started
    if not file.exists():
        raise BenchmarkError(f"{start.module}: ended without a training step")
    return float(file.read_text(encoding="utf-8")) - started


def run_startup(options: Options, say: Say) -> dict[str, Any]:
    """The document of the benchmark. Raises: BenchmarkError."""
    if options.data or options.peers or options.num_rows:
        raise BenchmarkError("startup: is the same for all: neither --data nor --peers nor --rows.")
    executables = pythons([start.program for start in STARTS.values()], say)
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as name:
        folder = Path(name)
        say("preparing reviews")
        python(sys.executable, "benchmarks.prepare_texts", str(folder))
        facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        seconds: dict[str, list[float]] = {start: [] for start in STARTS}
        # one round more, the first, warms the caches of the disk and of the programs, and does not count
        for index, start_name in enumerate([*STARTS, *interleaved(dict.fromkeys(STARTS, 2 if options.quick else 5))]):
            start = STARTS[start_name]
            found = time_start(start, executables[start.program], folder)
            shutil.rmtree(folder / "run", ignore_errors=True)
            if index >= len(STARTS):
                seconds[start_name].append(found)
            say(f"{start_name}: {found:.2f} s{'' if index >= len(STARTS) else ', to warm up'}")
        workload = {"title": TITLE, "quick": options.quick, **facts["workload"]}
        return compare_starts(seconds, _versions(executables), {**facts, "workload": workload})


def _versions(executables: Mapping[str, str]) -> dict[str, str]:
    from benchmarks.environments import requirements

    packages = {"llamafactory": "llamafactory", "trainer": "transformers"}
    pinned = {program: [*requirements(program)[0], *requirements(program)[1]] for program in executables if program != OURS}
    return {
        program: next(line.replace("==", " ") for line in lines if line.startswith(f"{packages[program]}=="))
        for program, lines in pinned.items()
    }
