"""The base model under several hand-written prompts: the best on the validation rows is asked the test rows. Nothing is trained."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.app.judging import score, write_answers
from tunesmith.app.machine import machine_facts, versions
from tunesmith.app.task import Task, prepare, rows_to_answer
from tunesmith.core import registry
from tunesmith.core.files import write_json
from tunesmith.core.types import Example, Metric, Output
from tunesmith.recipe import load

__all__ = ["leg"]


def leg(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the validation rows cost under each template, and what each test row contributes to the metrics under the best; the first metric chooses."""
    by_likelihood, *of_texts = asked["metrics"]
    metric: Metric = registry.create("metric", by_likelihood)
    tried, tasks = dict[str, float](), dict[str, Task]()
    for name, template in asked["templates"].items():
        task = prepare(load(asked["recipe"], [*asked["overrides"], f"data.template={json.dumps(template)}"]), lambda _event: None)
        split = task.splits["validation"]
        stats = _stats(metric, split.examples, score(task, split), split.references)
        tried[name], tasks[name] = metric.value(np.array(stats)), task
    best = (max if metric.higher_is_better else min)(tried, key=lambda name: tried[name])
    task = tasks[best]
    split = task.splits["test"]
    rows = {by_likelihood: _rows(metric, split.examples, score(task, split), split.references)}
    answered = rows_to_answer(task, split.examples)
    examples, references = [split.examples[row] for row in answered], [split.references[row] for row in answered]
    written = write_answers(task, examples, task.recipe.evaluate.max_new_tokens).outputs
    rows |= {name: _rows(registry.create("metric", name), examples, written, references) for name in of_texts}
    about = {
        "versions": versions(),
        "machine": machine_facts(task.device),
        "model": {"name": task.model.source.name, "sha256": task.model.source.sha256},
    }
    return {"tried": tried, "best": best, "rows": rows, "linear_weights": None, **about}


def _stats(metric: Metric, examples: Sequence[Example], outputs: Sequence[Output], references: Sequence[str]) -> list[tuple[float, ...]]:
    return [metric.stats(*row) for row in zip(examples, outputs, references, strict=True)]


def _rows(metric: Metric, examples: Sequence[Example], outputs: Sequence[Output], references: Sequence[str]) -> dict[str, Any]:
    keys = [f"{example.origin.file}:{example.origin.row}" for example in examples]
    return {"row": keys, "tuned": [list(stats) for stats in _stats(metric, examples, outputs, references)]}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    write_json(place / "result.json", leg(json.loads((place / "asked.json").read_text(encoding="utf-8"))))
