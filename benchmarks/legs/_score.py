"""What the legs of `evaluation` do in the same way."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from benchmarks.legs._measure import peak_memory_bytes
from benchmarks.questions import Questions, Scored
from benchmarks.workload import Config

__all__ = ["main", "timed"]

Choices = Sequence[Sequence[float]]


def timed(questions: Questions, score: Callable[[], Choices], version: str) -> Scored:
    """Run `score`, which gives the log-probability of every choice of every question."""
    started = time.perf_counter()
    logprobs = score()
    return Scored(
        logprobs=tuple(tuple(choices) for choices in logprobs),
        seconds=time.perf_counter() - started,
        num_tokens=questions.num_tokens,
        num_scored_tokens=questions.num_scored_tokens,
        peak_memory_bytes=peak_memory_bytes(),
        version=version,
    )


def main(leg: Callable[[Questions, Config], Scored]) -> None:
    """Run a leg by its command line: the folder of the questions, a folder for result.json, and `best` or `default`."""
    scored = leg(Questions.read(Path(sys.argv[1])), cast(Config, sys.argv[3]))
    (Path(sys.argv[2]) / "result.json").write_text(json.dumps(asdict(scored)), encoding="utf-8")
