"""The benchmark `evaluation`: multiple choice with five shots, tunesmith against lm-eval's HF backend. Imports no torch: legs do."""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.benches import OURS, Leg
from benchmarks.comparison import interleaved
from benchmarks.document import peer_entry, whole
from benchmarks.questions import Agreement, Scored, agreement
from benchmarks.running import Options, Say, python, pythons
from benchmarks.workload import BenchmarkError

__all__ = ["LEGS", "TITLE", "compare_scored", "run_evaluation"]

TITLE = "Multiple choice, 5 shots, SmolLM2-135M: log-probabilities of the choices"
LEGS = [Leg(program, config) for config in ("best", "default") for program in (OURS, "lm_eval")]
_MODULES = {OURS: "benchmarks.legs.ours_evaluation", "lm_eval": "benchmarks.legs.lm_eval"}


def compare_scored(scored: Mapping[str, Sequence[Scored]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The document. It holds ratios only where both sides chose the same everywhere."""
    theirs = [leg for leg in LEGS if leg.program != OURS]
    found = {leg.name: agreement(scored[leg.against()], scored[leg.name]) for leg in theirs}
    passed = all(one.passed for one in found.values())
    peers = {leg.name: _peer(leg, scored, found[leg.name], passed) for leg in theirs}
    return whole(facts, peers, {name: [asdict(one) for one in all_found] for name, all_found in scored.items()}, passed=passed)


def _peer(leg: Leg, scored: Mapping[str, Sequence[Scored]], found: Agreement, passed: bool) -> dict[str, Any]:
    def speed(one: Scored) -> float:
        return 1 / one.seconds  # the tokens are the same

    speeds = {"tokens_per_second": speed, "scored_tokens_per_second": speed}
    return peer_entry(leg, scored[leg.against()], scored[leg.name], found, speeds, against=leg.against(), passed=passed)


def run_evaluation(options: Options, say: Say) -> dict[str, Any]:
    """The document of the benchmark. Raises: BenchmarkError."""
    if options.peers not in (None, ["lm_eval"]):
        raise BenchmarkError("evaluation: has one peer, lm_eval.")
    legs = {leg.name: leg for leg in LEGS}
    executables = pythons([leg.program for leg in LEGS], say)
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as name:
        folder = Path(name)
        say(f"preparing {'mmlu' if options.data else 'docstrings'}")
        data = str(Path(options.data).absolute()) if options.data else None
        python(sys.executable, "benchmarks.prepare_questions", str(folder / "questions"), json.dumps([data, options.num_rows]))
        facts: dict[str, Any] = json.loads((folder / "questions" / "facts.json").read_text(encoding="utf-8"))
        scored: dict[str, list[Scored]] = {leg: [] for leg in legs}
        order = interleaved(options.repeats(LEGS))
        for index, leg_name in enumerate(order):
            leg, result = legs[leg_name], folder / f"leg-{index}"
            result.mkdir()
            python(executables[leg.program], _MODULES[leg.program], str(folder / "questions"), str(result), leg.config)
            found = Scored.from_document(json.loads((result / "result.json").read_text(encoding="utf-8")))
            shutil.rmtree(result)
            scored[leg_name].append(found)
            say(f"leg {index + 1} of {len(order)}: {leg.title}: {found.seconds:.0f} s")
        return compare_scored(scored, {**facts, "workload": {"title": TITLE, "quick": options.quick, **facts["workload"]}})
