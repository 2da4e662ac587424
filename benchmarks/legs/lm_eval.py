"""lm-eval's `HFLM`, asked for the log-probabilities of choices that are tokenized already.

Default: one request at a time. Best: four, which are sorted by length, so that a batch is mostly the choices of one question.
"""

import importlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from benchmarks.legs._score import main, timed
from benchmarks.questions import Questions, Scored
from benchmarks.workload import Config


def leg(questions: Questions, config: Config) -> Scored:
    """Score through the harness's own batching and its own model call."""
    backend: Any = importlib.import_module("lm_eval.models.huggingface")
    model = backend.HFLM(pretrained=questions.model, device="cpu", dtype="float32", batch_size=4 if config == "best" else 1)

    def score() -> Sequence[Sequence[float]]:
        requests = [(("", ""), [*questions.shots, *one.question], list(choice)) for one in questions.questions for choice in one.choices]
        answers = iter(model._loglikelihood_tokens(requests, disable_tqdm=True))
        return [[float(next(answers)[0]) for _ in one.choices] for one in questions.questions]

    return timed(questions, score, f"lm-eval {version('lm-eval')}, transformers {version('transformers')}")


if __name__ == "__main__":
    main(leg)
