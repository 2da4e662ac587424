"""Write what the Trainer's script of `startup` reads: the training texts of the recipe `reviews`, and where its model lies."""

import json
import sys
from pathlib import Path

import torch

from tunesmith.app.machine import machine_facts, versions
from tunesmith.app.task import prepare
from tunesmith.core.types import Labelled
from tunesmith.recipe import load

__all__ = ["write"]


def write(folder: Path) -> None:
    """Write texts.json, and facts.json beside it."""
    task = prepare(load("reviews"), lambda _event: None)
    examples = [one for one in task.data.train if isinstance(one, Labelled)]
    given = {
        "model": str(task.model.source.folder),
        "max_length": task.encoder.max_length,
        "texts": [one.text for one in examples],
        "labels": [task.encoder.labels.index(one.label) for one in examples if one.label is not None],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "texts.json").write_text(json.dumps(given), encoding="utf-8")
    workload = {"model": task.model.source.name, "model_sha256": task.model.source.sha256, "data": "reviews", "num_rows": len(examples)}
    machine = {**machine_facts(torch.device("cpu")), "versions": versions()}
    (folder / "facts.json").write_text(json.dumps({"machine": machine, "workload": workload}), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
