"""What would make a run forget less, each as a command that runs it again with one thing changed."""

import json
import shlex
from collections.abc import Sequence

from tunesmith.app.task import Task, learning_rate
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe, source_name

__all__ = ["remedies"]

_OF_A_SET = ("validation", "test", "format", "columns", "labels", "template")
"""Keys of `data` that belong to the set where there is a mixture."""
_SHARE = 0.1
_GENERAL = {"generation": {"source": "small-talk"}, "language_modelling": {"source": "editorials", "format": "text"}}
"""What is rehearsed, by the kind of task: it has to be learned by the same objective."""


def remedies(task: Task, directory: RunDirectory, *, num_steps: int, keeps_base: bool) -> list[dict[str, str]]:
    """`text` and `command` of each that applies to the run.

    Args:
        num_steps: of the training.
        keeps_base: whether none of the base's own weights were trained.
    """
    recipe, rate = task.recipe, learning_rate(task.recipe, task.method)
    found = list[tuple[str, str, Sequence[str]]]()
    if not keeps_base:
        found.append(("lora", "LoRA in place of the model's own weights, which then stay as they are.", ["method.name=lora"]))
    mixed = _mixed(task)
    if mixed:
        found.append(
            ("rehearsal", f"A rehearsal share: every tenth training row from {_GENERAL[task.kind]['source']}, general data.", mixed)
        )
    found.append(("lower-rate", f"A third of the learning rate, which was {rate:.2g}.", [f"train.learning_rate={rate / 3:.2g}"]))
    if num_steps > 1:
        found.append(("fewer-steps", f"Half of the {num_steps:,} steps.", [f"train.max_steps={num_steps // 2}"]))
    return [{"text": text, "command": _command(directory, recipe, changes, name)} for name, text, changes in found]


def _mixed(task: Task) -> list[str]:
    """The changes that put the run's data and general data into one mixture; none where it is one already, or its task could not learn from both."""
    data, general = task.recipe.data, _GENERAL.get(task.kind)
    if (
        data.mix
        or data.train is None
        or data.documents is not None
        or data.label_texts
        or general is None
        or source_name(data.train) == general["source"]
    ):
        return []
    given = {key: value for key in _OF_A_SET if (value := getattr(data, key))}
    sets = {"own": {"source": data.train, "weight": 1 - _SHARE, **given}, "general": {**general, "weight": _SHARE}}
    cleared = [f"data.{key}={'{}' if key == 'columns' else 'null'}" for key in ("train", *given)]
    return [*cleared, f"data.mix={json.dumps(sets, ensure_ascii=False)}"]


def _command(directory: RunDirectory, recipe: Recipe, changes: Sequence[str], name: str) -> str:
    place = [f"output_dir={directory.path}-{name}"] if recipe.output_dir else []
    return shlex.join(["tunesmith", "tune", str(directory.recipe), *changes, *place])
