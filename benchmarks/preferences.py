"""The benchmark `dpo`: learning from pairs of answers, tunesmith against TRL's DPOTrainer. Imports no torch: legs do."""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.benches import OURS, PEER_NAMES, WAYS, Leg, Way
from benchmarks.comparison import interleaved
from benchmarks.document import of_way, peer_entry, whole
from benchmarks.pairs import Learned, LearnedAlike, learned_alike
from benchmarks.running import Options, Say, leg_document, python, pythons
from benchmarks.trials import fastest
from benchmarks.workload import BenchmarkError

__all__ = ["LEGS", "TITLE", "compare_learned", "run_preferences"]

TITLE = "DPO of SmolLM2-135M with LoRA, r = 8, three epochs"
PEER = "trl_dpo"
ENVIRONMENT = "trl"
LEGS = [Leg(OURS, "best"), Leg(OURS, "best", "recomputed"), Leg(PEER, "best"), Leg(OURS, "default"), Leg(PEER, "default")]
_MODULES = {OURS: "benchmarks.legs.ours_dpo", PEER: "benchmarks.legs.trl_dpo"}
_NUM_PAIRS, _NUM_PAIRS_QUICK, _NUM_HELD_OUT = 24, 8, 16
_AT_A_TIME, _TRIAL_STEPS = (1, 2, 4, 8), 2
"""Pairs of a micro-batch that are tried, once each over so many steps, for the peer's best configuration."""


def compare_learned(learned: Mapping[str, Sequence[Learned]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The document. It holds ratios only where both sides learned the same."""
    pairs = [(leg, way) for leg in LEGS if leg.program != OURS for way in WAYS if leg.against(way) in learned]
    found = {(leg.name, way): learned_alike(learned[leg.against(way)], learned[leg.name]) for leg, way in pairs}
    passed = all(one.passed for one in found.values())
    peers = {of_way(leg, way): _peer(leg, way, learned, found[leg.name, way], passed) for leg, way in pairs}
    return whole(facts, peers, {name: [asdict(one) for one in all_found] for name, all_found in learned.items()}, passed=passed)


def _peer(leg: Leg, way: Way, learned: Mapping[str, Sequence[Learned]], found: LearnedAlike, passed: bool) -> dict[str, Any]:
    ours, theirs, speeds = leg.against(way), learned[leg.name], {"answer_tokens_per_second": lambda one: one.answer_tokens_per_second}
    entry = peer_entry(leg, learned[ours], theirs, found, speeds, against=ours, passed=passed, setting=theirs[0].setting)
    return {**entry, "way": way}


def _run(leg: Leg, workload: Path, folder: Path, executable: str, **options: int) -> Learned:
    """One leg in a process of its own. Raises: BenchmarkError."""
    return Learned(**leg_document(leg, _MODULES[leg.program], workload, folder, executable, options))


def _repeats(options: Options) -> dict[str, int]:
    """As of every benchmark, but that a leg of the peer's own settings takes minutes: with `--quick` those run once."""
    return {
        leg.name: 1 if options.quick and leg.config == "default" else count
        for leg, count in zip(LEGS, options.repeats(LEGS).values(), strict=True)
    }


def _fastest(workload: Path, folder: Path, executable: str, say: Say) -> int:
    """How many pairs at a time are the fastest for the peer's best configuration. Raises: BenchmarkError, where all fail."""

    def trial(size: int) -> Learned:
        return _run(Leg(PEER, "best"), workload, folder / f"trial-{size}", executable, at_a_time=size, num_steps=_TRIAL_STEPS)

    sizes = {f"{PEER_NAMES[PEER]}, {size} pairs at a time": size for size in _AT_A_TIME}
    return fastest(sizes, trial, lambda found: found.answer_tokens_per_second, "answers' tokens a second", say)


def run_preferences(options: Options, say: Say) -> dict[str, Any]:
    """The document of the benchmark. Raises: BenchmarkError."""
    if options.peers not in (None, [PEER]):
        raise BenchmarkError(f"dpo: has one peer, {PEER}.")
    executables = {OURS: sys.executable, PEER: pythons([ENVIRONMENT], say)[ENVIRONMENT]}
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as name:
        folder = Path(name)
        workload = folder / "pairs"
        say(f"preparing {options.data or 'docstrings'}")
        num_pairs = options.num_rows or (_NUM_PAIRS_QUICK if options.quick else _NUM_PAIRS)
        wanted = json.dumps([options.data, num_pairs, _NUM_HELD_OUT])
        python(sys.executable, "benchmarks.prepare_pairs", str(workload), wanted)
        facts: dict[str, Any] = json.loads((workload / "facts.json").read_text(encoding="utf-8"))
        at_a_time = _fastest(workload, folder, executables[PEER], say)
        legs = {leg.name: leg for leg in LEGS}
        learned: dict[str, list[Learned]] = {leg: [] for leg in legs}
        order = interleaved(_repeats(options))
        for index, leg_name in enumerate(order):
            leg = legs[leg_name]
            own = {"at_a_time": at_a_time} if leg == Leg(PEER, "best") else {"recomputes": 1} if leg.way == "recomputed" else {}
            found = _run(leg, workload, folder / f"leg-{index}", executables[leg.program], **own)
            learned[leg_name].append(found)
            say(f"leg {index + 1} of {len(order)}: {leg.title}: {found.seconds:.0f} s, held-out loss {found.held_out_loss:.4f}")
        return compare_learned(learned, {**facts, "workload": {"title": TITLE, "quick": options.quick, **facts["workload"]}})
