"""Write the test of `evaluation`: MMLU's questions after their five worked examples, or which of four docstrings fits a function."""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.legs._measure import linear_shapes, matmul_rate
from benchmarks.questions import Question, Questions
from tunesmith.app.machine import machine_facts, versions
from tunesmith.app.suites.choosing import choose, require_lm_eval
from tunesmith.core.errors import TunesmithError
from tunesmith.core.types import Completion
from tunesmith.data import read
from tunesmith.model.load import LoadedModel, load
from tunesmith.recipe import load as load_recipe

__all__ = ["docstrings", "mmlu", "prepare"]

_MODEL = "smollm2-135m-instruct"
_NUM_SHOTS, _NUM_CHOICES = 5, 4
_POOL = 400
"""Functions that questions are drawn from: short ones, so that a leg stays within a minute."""
_SUBJECT = "mmlu_high_school_statistics"
"""Its worked examples and its questions are as long as MMLU's are on average."""
_SECONDS, _SHARE = 45.0, 0.4
"""Questions are as many as lm-eval's backend, at this share of the machine's matmul rate, answers in so many seconds."""
_QUESTIONS = (20, 100)


def docstrings(num_questions: int, seed: int = 0) -> list[Question]:
    """Questions from the shortest examples of the recipe, with answers of their own."""
    examples = [one for one in read(load_recipe("docstrings").data.train).examples if isinstance(one, Completion)]
    own = list({_answered(example): example for example in sorted(examples, key=lambda one: len(one.source))}.values())
    rng = np.random.default_rng(seed)
    pool = [own[index] for index in rng.permutation(min(len(own), _POOL))]
    shots = "".join(f"{_asked(one)}{_answered(one)}\n\n" for one in pool[:_NUM_SHOTS])
    questions, rest = list[Question](), pool[_NUM_SHOTS:]
    for index, right in enumerate(rest[:num_questions]):
        others = rng.permutation([other for other in range(len(rest)) if other != index])[: _NUM_CHOICES - 1]
        choices = [_answered(rest[other]) for other in others]
        choices.insert(int(rng.integers(_NUM_CHOICES)), _answered(right))
        questions.append(Question(shots + _asked(right), tuple(choices)))
    return questions


def mmlu(data: Path, num_questions: int) -> list[Question]:
    """Questions of one subject as lm-eval asks them, from its authors' files in `data`/mmlu. Raises: UsageError, DataError."""
    from tunesmith.app.suites.asking import build
    from tunesmith.app.suites.tasks import load as load_suite
    from tunesmith.app.suites.tasks import sampled

    loaded = load_suite(choose([_SUBJECT])[0], data, _NUM_SHOTS)
    task, size = loaded.tasks[_SUBJECT], loaded.sizes[_SUBJECT]
    build(_SUBJECT, task, sampled(_SUBJECT, size, min(num_questions, size)))
    asked = defaultdict[int, list[tuple[str, str]]](list)
    for instance in task.instances:
        asked[instance.doc_id].append(instance.args)
    return [Question(pairs[0][0], tuple(choice for _, choice in pairs)) for pairs in asked.values()]


def _asked(example: Completion) -> str:
    return f"Function:\n{example.source.strip()}\nDocstring:"


def _answered(example: Completion) -> str:
    return " " + " ".join(example.target.split())


def _counted(model: LoadedModel, questions: Sequence[Question]) -> Questions:
    def count(text: str) -> int:
        return len(model.tokenizer(text, add_special_tokens=False)["input_ids"])

    prompts = [count(one.prompt) for one in questions]
    choices = [[count(choice) for choice in one.choices] for one in questions]
    whole = sum(prompt * len(counts) + sum(counts) for prompt, counts in zip(prompts, choices, strict=True))
    return Questions(str(model.source.folder), tuple(questions), whole, sum(map(sum, choices)))


def _affordable(trunk: Any, questions: Questions) -> int:
    """lm-eval's backend reads a question once where all of its choices are of one token, else for each."""
    num_choices = sum(len(one.choices) for one in questions.questions)
    is_read_once = questions.num_scored_tokens == num_choices
    num_read = questions.num_tokens / (num_choices if is_read_once else len(questions.questions))
    shapes = linear_shapes(trunk)
    a_token = 2.0 * sum(outputs * inputs * count for (outputs, inputs), count in shapes.items())
    return int(_SECONDS * _SHARE * matmul_rate(shapes) / a_token / num_read)


def prepare(folder: Path, data: str | None, num_questions: int | None) -> None:
    """Write questions.json, and facts.json beside it.

    Args:
        data: a folder that holds MMLU's files in mmlu; None: the docstrings.
        num_questions: None: as many as the machine affords.
    """
    require_lm_eval()
    least, most = _QUESTIONS
    found = mmlu(Path(data), num_questions or most) if data else docstrings(num_questions or most)
    model = load(_MODEL, need="lm")
    made = _counted(model, found)
    if num_questions is None:
        made = _counted(model, found[: min(max(_affordable(model.trunk, made), least), most)])
    made.write(folder)
    facts = {
        "machine": {**machine_facts(torch.device("cpu")), "versions": versions()},
        "workload": {
            "model": model.source.name,
            "model_sha256": model.source.sha256,
            "data": "mmlu" if data else "docstrings",
            "num_shots": _NUM_SHOTS,
            "num_rows": len(made.questions),
            "num_tokens": made.num_tokens,
            "num_targets": made.num_scored_tokens,
        },
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]), *json.loads(sys.argv[2]))
    except TunesmithError as error:
        sys.exit(str(error))
