"""The benchmark `data`: conversations read, rendered, tokenized and packed, tunesmith against `datasets.map`. Imports no torch: legs do."""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.benches import OURS
from benchmarks.comparison import interleaved, ratio
from benchmarks.conversations import Prepared
from benchmarks.document import whole
from benchmarks.running import Options, Say, python, pythons
from benchmarks.workload import BenchmarkError

__all__ = ["LEGS", "TITLE", "compare_prepared", "run_data"]

TITLE = "Data: conversations read, rendered, tokenized and packed"
PEER = "datasets"
ENVIRONMENT = "trl"
"""The peer's environment: it holds datasets and transformers."""
LEGS = {OURS: "benchmarks.legs.ours_data", PEER: "benchmarks.legs.datasets_map"}
QUARTER = "ours_quarter"
"""Ours on a quarter of the rows: does memory grow with them?"""
_NUM_ROWS = 200_000


def compare_prepared(prepared: Mapping[str, Sequence[Prepared]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The document. It holds ratios only where both sides read the same texts."""
    ours, theirs = prepared[OURS], prepared[PEER]
    different = max(sum(a != b for a, b in zip(one.texts, other.texts, strict=True)) for one in ours for other in theirs)
    passed = different == 0 and all(one.num_rows == other.num_rows for one in ours for other in theirs)
    has_memory = all(one.peak_memory_bytes for one in (*ours, *theirs))
    peer = {
        "name": "datasets.map, 2 processes",
        "version": theirs[0].version,
        "config": "default",
        "against": OURS,
        "gate": {"passed": passed, "num_texts": len(ours[0].texts), "num_texts_different": different},
        "ratios": {
            "rows_per_second": asdict(ratio([1 / one.seconds for one in ours], [1 / one.seconds for one in theirs])),
            "peak_memory": asdict(ratio([one.peak_memory_bytes for one in ours], [one.peak_memory_bytes for one in theirs]))
            if has_memory
            else None,
        }
        if passed
        else None,
    }
    raw = {
        name: [{key: value for key, value in asdict(one).items() if key != "texts"} for one in found] for name, found in prepared.items()
    }
    return whole(facts, {PEER: peer}, raw, passed=passed)


def _leg(name: str, executable: str, file: Path, model: str, folder: Path) -> Prepared:
    folder.mkdir()
    try:
        python(executable, LEGS[OURS if name == QUARTER else name], str(file), str(folder), json.dumps(model), parallel_tokenizers=True)
        return Prepared.read(folder)
    finally:
        shutil.rmtree(folder)


def run_data(options: Options, say: Say) -> dict[str, Any]:
    """The document of the benchmark. Raises: BenchmarkError."""
    if options.data or options.peers:
        raise BenchmarkError("data: has one peer and data of its own: neither --data nor --peers.")
    peer = pythons([ENVIRONMENT], say)[ENVIRONMENT]
    executables = {OURS: sys.executable, QUARTER: sys.executable, PEER: peer}
    num_rows = options.num_rows or _NUM_ROWS
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as name:
        folder = Path(name)
        say(f"preparing {num_rows} conversations")
        python(sys.executable, "benchmarks.prepare_conversations", str(folder / "all"), str(num_rows))
        facts: dict[str, Any] = json.loads((folder / "all" / "facts.json").read_text(encoding="utf-8"))
        file, quarter = folder / "all" / "conversations.jsonl", folder / "quarter.jsonl"
        with file.open(encoding="utf-8") as lines, quarter.open("w", encoding="utf-8") as out:
            out.writelines(line for _, line in zip(range(max(num_rows // 4, 1)), lines, strict=False))
        prepared: dict[str, list[Prepared]] = {leg: [] for leg in executables}
        order = [QUARTER, *interleaved(dict.fromkeys(LEGS, 2 if options.quick else 5))]
        for index, leg in enumerate(order):
            found = _leg(leg, executables[leg], quarter if leg == QUARTER else file, facts["model"], folder / f"leg-{index}")
            prepared[leg].append(found)
            say(
                f"leg {index + 1} of {len(order)}: {leg}: {found.num_rows} rows in {found.seconds:.1f} s, {found.peak_memory_bytes / 2**20:.0f} MiB"
            )
        workload = {"title": TITLE, "quick": options.quick, **facts["workload"]}
        return compare_prepared(prepared, {"machine": facts["machine"], "workload": workload})
