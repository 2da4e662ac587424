"""The benchmark `grpo`: learning from rewards of own answers, tunesmith against TRL's GRPOTrainer. Imports no torch: legs do."""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.benches import OURS, PEER_NAMES, Leg
from benchmarks.comparison import interleaved
from benchmarks.document import ROUNDED, of_way, peer_entry, whole
from benchmarks.rollouts import Prompts, Rewarded, RewardedAlike, rewarded_alike
from benchmarks.running import Options, Say, leg_document, python, pythons
from benchmarks.trials import fastest
from benchmarks.workload import BenchmarkError

__all__ = ["LEGS", "TITLE", "compare_rewarded", "run_rewarding"]

TITLE = "GRPO of SmolLM2-135M with LoRA, r = 8, eight answers to a prompt"
PEER = "trl_grpo"
ENVIRONMENT = "trl"
OURS_LEGS = [Leg(OURS, "best", way) for way in ("plain", "int8")]
LEGS = [*OURS_LEGS, Leg(PEER, "best"), Leg(PEER, "default")]
"""Ours are the same beside both: the prompts come in one order."""
_MODULES = {OURS: "benchmarks.legs.ours_grpo", PEER: "benchmarks.legs.trl_grpo"}
_NUM_PROMPTS, _NUM_PROMPTS_QUICK = 6, 4
_TRIALS = (
    {"at_a_time": 16, "written_at_a_time": 16},
    {"at_a_time": 8, "written_at_a_time": 16},
    {"at_a_time": 8, "written_at_a_time": 8},
    {"at_a_time": 4, "written_at_a_time": 16},
)
"""Answers of a micro-batch and answers that are written together, tried once each over one step, for the peer's best configuration."""


def compare_rewarded(given: Prompts, rewarded: Mapping[str, Sequence[Rewarded]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The document. It holds ratios only where both sides did the same work."""
    pairs = [(leg, ours) for leg in LEGS if leg.program != OURS for ours in OURS_LEGS]
    found = {(leg, ours): rewarded_alike(given, rewarded[ours.name], rewarded[leg.name]) for leg, ours in pairs}
    passed = all(one.passed for (_, ours), one in found.items() if ours.way != ROUNDED)
    peers = {of_way(leg, ours.way): _peer(leg, ours, rewarded, found[leg, ours], passed) for leg, ours in pairs}
    return whole(facts, peers, {name: [asdict(one) for one in all_found] for name, all_found in rewarded.items()}, passed=passed)


def _peer(leg: Leg, ours: Leg, rewarded: Mapping[str, Sequence[Rewarded]], found: RewardedAlike, passed: bool) -> dict[str, Any]:
    theirs, speeds = rewarded[leg.name], {"answers_per_second": lambda one: one.answers_per_second}
    entry = peer_entry(
        leg, rewarded[ours.name], theirs, found, speeds, against=ours.name, passed=passed and found.passed, setting=theirs[0].setting
    )
    return {**entry, "way": ours.way}


def _run(leg: Leg, workload: Path, folder: Path, executable: str, **options: int) -> Rewarded:
    """One leg in a process of its own. Raises: BenchmarkError."""
    return Rewarded.from_document(leg_document(leg, _MODULES[leg.program], workload, folder, executable, options))


def _fastest(workload: Path, folder: Path, executable: str, say: Say) -> Mapping[str, int]:
    """The fastest options of the peer's best configuration. Raises: BenchmarkError, where all fail."""

    def trial(setting: Mapping[str, int]) -> Rewarded:
        return _run(Leg(PEER, "best"), workload, folder / "trial", executable, **setting, num_steps=1)

    tried = {
        f"{PEER_NAMES[PEER]}, {one['at_a_time']} answers at a time, {one['written_at_a_time']} written together": one for one in _TRIALS
    }
    return fastest(tried, trial, lambda found: found.answers_per_second, "answers a second", say)


def run_rewarding(options: Options, say: Say) -> dict[str, Any]:
    """The document of the benchmark. Raises: BenchmarkError."""
    if options.peers not in (None, [PEER]):
        raise BenchmarkError(f"grpo: has one peer, {PEER}.")
    executables = {OURS: sys.executable, PEER: pythons([ENVIRONMENT], say)[ENVIRONMENT]}
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as name:
        folder = Path(name)
        workload = folder / "prompts"
        say(f"preparing {options.data or 'small-talk'}")
        wanted = options.num_rows or (_NUM_PROMPTS_QUICK if options.quick else _NUM_PROMPTS)
        python(sys.executable, "benchmarks.prepare_rollouts", str(workload), json.dumps([options.data, wanted]))
        facts: dict[str, Any] = json.loads((workload / "facts.json").read_text(encoding="utf-8"))
        best = _fastest(workload, folder, executables[PEER], say)
        legs = {leg.name: leg for leg in LEGS}
        rewarded: dict[str, list[Rewarded]] = {leg: [] for leg in legs}
        order = interleaved(options.repeats(LEGS))
        for index, leg_name in enumerate(order):
            leg, of_leg = legs[leg_name], rewarded[leg_name]
            own = best if leg == Leg(PEER, "best") else {"is_rounded": 1, "recomputes": 1} if leg.way == ROUNDED else {}
            of_leg.append(_run(leg, workload, folder / f"leg-{index}", executables[leg.program], **own, seed=len(of_leg)))
            means = ", ".join(f"{mean:.2f}" for mean in of_leg[-1].mean_rewards)
            say(f"leg {index + 1} of {len(order)}: {leg.title}: {of_leg[-1].seconds:.0f} s, mean reward of each step: {means}")
        facts["workload"] = {"title": TITLE, "quick": options.quick, **facts["workload"]}
        return compare_rewarded(Prompts.read(workload), rewarded, facts)
