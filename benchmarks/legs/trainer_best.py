"""transformers' Trainer with peft, at its best here: rows of like length batched together, so that little is padded."""

from pathlib import Path

from benchmarks.legs._measure import main
from benchmarks.legs._trainer import run
from benchmarks.workload import Measured, Workload


def leg(workload: Workload, adapter: Path) -> Measured:
    """Train, and save the adapter."""
    return run(workload, adapter, "group_by_length")


if __name__ == "__main__":
    main(leg)
