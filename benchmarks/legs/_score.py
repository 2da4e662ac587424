"""What the legs of `evaluation` do in the same way."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from benchmarks.legs._measure import peak_memory_bytes
from benchmarks.questions import Questions, Scored
from benchmarks.workload import Config

__all__ = ["main", "timed"]


def timed(questions: Questions, model: Any, version: str) -> Scored:
    """Ask a model of lm-eval's for the log-likelihood of every choice of every question."""
    from lm_eval.api.instance import Instance

    pairs = [(one.prompt, choice) for one in questions.questions for choice in one.choices]
    requests = [Instance("loglikelihood", {}, pair, 0, ("evaluation", place, 1)) for place, pair in enumerate(pairs)]
    started = time.perf_counter()
    answers = iter(model.loglikelihood(requests, disable_tqdm=True))
    logprobs = tuple(tuple(float(next(answers)[0]) for _ in one.choices) for one in questions.questions)
    return Scored(
        logprobs=logprobs,
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
