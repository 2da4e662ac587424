"""Write the test of `evaluation`: which of four docstrings fits this function, after five worked examples."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.legs._measure import linear_shapes, matmul_rate
from benchmarks.questions import Question, Questions
from tunesmith.app.machine import machine_facts, versions
from tunesmith.core.errors import TunesmithError
from tunesmith.core.types import Completion
from tunesmith.data import read
from tunesmith.model.load import LoadedModel, load
from tunesmith.recipe import load as load_recipe

__all__ = ["questions_of"]

_NUM_SHOTS, _NUM_CHOICES = 5, 4
_POOL = 400
"""Functions that questions are drawn from: short ones, so that a leg stays within a minute."""
_SECONDS, _SHARE = 45.0, 0.4
"""Questions are as many as a program that reads every choice alone, at this share of the machine's matmul rate, scores in so many seconds."""
_QUESTIONS = (6, 60)


def _asked(example: Completion) -> str:
    return f"Function:\n{example.source.strip()}\nDocstring:"


def _answered(example: Completion) -> str:
    return " " + " ".join(example.target.split())


def questions_of(model: LoadedModel, examples: Sequence[Completion], num_questions: int | None, seed: int = 0) -> Questions:
    """Questions from the shortest examples with answers of their own; None: as many as the machine affords."""
    own = list({_answered(example): example for example in sorted(examples, key=lambda one: len(one.source))}.values())
    rng = np.random.default_rng(seed)
    pool = [own[index] for index in rng.permutation(min(len(own), _POOL))]

    def tokens(text: str) -> tuple[int, ...]:
        return tuple(model.tokenizer(text, add_special_tokens=False)["input_ids"])

    shots = tokens("".join(f"{_asked(one)}{_answered(one)}\n\n" for one in pool[:_NUM_SHOTS]))
    questions = list[Question]()
    rest = pool[_NUM_SHOTS:]
    for index, right in enumerate(rest):
        others = rng.permutation([other for other in range(len(rest)) if other != index])[: _NUM_CHOICES - 1]
        choices = [tokens(_answered(rest[other])) for other in others]
        choices.insert(int(rng.integers(_NUM_CHOICES)), tokens(_answered(right)))
        questions.append(Question(tokens(_asked(right)), tuple(choices)))
    if num_questions is None:
        whole = Questions(str(model.source.folder), shots, tuple(questions))
        num_questions = min(max(_affordable(model.trunk, whole), _QUESTIONS[0]), _QUESTIONS[1])
    return Questions(str(model.source.folder), shots, tuple(questions[:num_questions]))


def _affordable(trunk: Any, questions: Questions) -> int:
    shapes = linear_shapes(trunk)
    a_token = 2.0 * sum(outputs * inputs * count for (outputs, inputs), count in shapes.items())
    return int(_SECONDS * _SHARE * matmul_rate(shapes) / a_token / (questions.num_tokens / len(questions.questions)))


def prepare(folder: Path, num_questions: int | None) -> None:
    """Write questions.json, and facts.json beside it."""
    recipe = load_recipe("docstrings")
    examples = [one for one in read(recipe.data.train).examples if isinstance(one, Completion)]
    model = load(recipe.model.source, need="lm")
    made = questions_of(model, examples, num_questions)
    made.write(folder)
    facts = {
        "machine": {**machine_facts(torch.device("cpu")), "versions": versions()},
        "workload": {
            "model": model.source.name,
            "model_sha256": model.source.sha256,
            "data": "docstrings",
            "num_shots": _NUM_SHOTS,
            "num_rows": len(made.questions),
            "num_tokens": made.num_tokens,
            "num_targets": made.num_scored_tokens,
        },
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except TunesmithError as error:
        sys.exit(str(error))
