"""transformers' Trainer with peft, as it comes: random batches, padded."""

from pathlib import Path

from benchmarks.legs._measure import main
from benchmarks.legs._trainer import run
from benchmarks.workload import Measured, Workload


def leg(workload: Workload, adapter: Path) -> Measured:
    """Train, and save the adapter."""
    return run(workload, adapter, "random")


if __name__ == "__main__":
    main(leg)
