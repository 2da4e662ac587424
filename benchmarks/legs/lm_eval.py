"""lm-eval's `HFLM`, asked as lm-eval's own evaluation asks it.

Default: one request at a time. Best: four, which are sorted by length, so that a batch is mostly the choices of one question. Choices of one token are read
off one pass over their question, with either.
"""

import importlib
from importlib.metadata import version
from typing import Any

from benchmarks.legs._score import main, timed
from benchmarks.questions import Questions, Scored
from benchmarks.workload import Config


def leg(questions: Questions, config: Config) -> Scored:
    """Score through the harness's own tokenizing, batching and model call."""
    backend: Any = importlib.import_module("lm_eval.models.huggingface")
    model = backend.HFLM(pretrained=questions.model, device="cpu", dtype="float32", batch_size=4 if config == "best" else 1)
    return timed(questions, model, f"lm-eval {version('lm-eval')}, transformers {version('transformers')}")


if __name__ == "__main__":
    main(leg)
