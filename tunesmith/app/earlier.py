"""The heads that runs saved: those of a recipe's model are taken over where they are for the same task."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tunesmith.core.errors import ObjectiveError, RecipeError
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import OnlineObjective
from tunesmith.method._base import check_base
from tunesmith.model.heads import Head, load_heads

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.app.task import Task
    from tunesmith.app.tuned import Tuned
    from tunesmith.core.types import Objective
    from tunesmith.data import TextEncoder
    from tunesmith.recipe import Recipe

__all__ = ["changed_labels", "check_head_first", "check_heads", "earlier_head", "earlier_heads", "new_labels", "saved_heads"]


_OUTSIDE = "O"
"""What the tags of every task name outside of all their spans: to share it is to share nothing."""


def saved_heads(directory: RunDirectory, trunk: "nn.Module") -> tuple[dict[str, Head], tuple[str, ...]]:
    """The heads of a run, and their labels; none where it has none.

    Args:
        trunk: the base that they are to be put on, with what the run trained on it or without.
    Raises: RunError, where their files are broken; MethodError, where they were trained on another base.
    """
    if not directory.heads.is_file():
        return {}, ()
    found = load_heads(directory.heads, directory.heads_config)
    check_base(trunk, directory.heads)
    return found


def earlier_head(task: "Task | Tuned", name: str) -> Head | None:
    """The head of that name of the run that the model is, with an output for each label here: one that it does not know is never said. None where it knows none of them."""
    file = task.model.source.heads
    if file is None:
        return None
    heads, labels = load_heads(file, file.with_name("heads.json"))
    head, wanted = heads.get(name), task.encoder.labels
    if head is None or labels == wanted:
        return head
    are_classes = head.num_outputs == len(labels) and "grades" not in task.objective.fills
    if not are_classes or not (set(labels) & set(wanted)) - {_OUTSIDE}:
        return None
    return head.rearranged([labels.index(label) if label in labels else None for label in wanted])


def earlier_heads(task: "Task | Tuned") -> dict[str, Head]:
    """Every head of the objective that an earlier run has for it already; empty where one is missing."""
    found = {name: earlier_head(task, name) for name in task.objective.heads(task.encoder)}
    return {name: head for name, head in found.items() if head is not None} if all(found.values()) else {}


def _known_labels(task: "Task | Tuned") -> tuple[str, ...]:
    """The labels of the head that is taken over; where none is, those of the task."""
    file = task.model.source.heads
    return task.encoder.labels if file is None or not earlier_heads(task) else load_heads(file, file.with_name("heads.json"))[1]


def new_labels(task: "Task | Tuned") -> tuple[str, ...]:
    """Labels that the head of the run that the model is does not know; empty where no head is taken over."""
    known = _known_labels(task)
    return tuple(label for label in task.encoder.labels if label not in known)


def check_head_first(recipe: "Recipe", name: str, objective: "Objective", encoder: "TextEncoder") -> None:
    """Raises: RecipeError, where the recipe fits a head before the rest, and the objective of that name has none, or none that could be fitted so;
    DataError, where no head could be made of the data, whatever the recipe.
    """
    heads = objective.heads(encoder)
    if not recipe.train.head_first:
        return
    if not heads:
        raise RecipeError(f"{recipe.name}: train.head_first: the objective {name} puts no new head on the model. Leave it out.")
    if isinstance(objective, OnlineObjective):
        raise RecipeError(
            f"{recipe.name}: train.head_first: the head of {name} learns from answers that are not written yet. Leave it out."
        )


def check_heads(task: "Task") -> list[str]:
    """What is to be said where the run that the model is has a head for another task, or for other labels: what was trained below it goes on, under a new one.

    Raises: ObjectiveError, where it has nothing else, or where its head is for this task and built otherwise than the recipe asks;
        MethodError, where a head alone was trained on another base.
    """
    source = task.model.source
    if source.heads is None:
        return []
    run = RunDirectory(source.heads.parent)
    # what else a run trained was asked for its base as it was folded in
    is_alone = source.kind == "run" and not run.adapter.is_dir() and not run.model.is_dir()
    heads, labels = saved_heads(run, task.model.trunk) if is_alone else load_heads(run.heads, run.heads_config)
    earlier = earlier_heads(task)
    if earlier:
        _check_layers(task, earlier)
        return [told] if (told := changed_labels(task)) else []
    has = f"{', '.join(heads)}: {', '.join(labels)}" if labels else ", ".join(heads)
    specs = task.objective.heads(task.encoder)
    wanted = ", ".join(task.encoder.labels) if task.encoder.labels and specs else ""
    takes = f"{task.objective_name}, whose labels are {wanted}," if wanted else task.objective_name
    if is_alone:
        raise ObjectiveError(
            f"model.source: {source.name}: trained nothing but a head ({has}), for which the objective {takes} has no use. Name the model that it was trained on."
        )
    instead = "a new one is made" if specs else "it is left out"
    return [f"model.source: {source.name}: its head ({has}) is for another task than {takes.rstrip(',')}: {instead}."]


def changed_labels(task: "Task | Tuned") -> str:
    """What becomes of the head of the run that the model is, where its labels are some others; empty where they are the same, or nothing is taken over."""
    known, wanted = _known_labels(task), task.encoder.labels
    kept = [label for label in wanted if label in known]
    new, left = ([label for label in of if label not in kept] for of in (wanted, known))
    parts = [f"it goes on for {', '.join(kept)}"]
    parts += [f"begins anew for {', '.join(new)}, which the base never says"] if new else []
    parts += [f"leaves out {', '.join(left)}"] if left else []
    return f"model.source: {task.model.source.name}: its head has other labels: {'; '.join(parts)}." if new or left else ""


def _check_layers(task: "Task", earlier: Mapping[str, Head]) -> None:
    """Raises: ObjectiveError, where a head does not take the weights of the earlier one."""
    for name, spec in task.objective.heads(task.encoder).items():
        head = earlier[name]
        other = list[str]()
        if spec.num_layers not in (None, head.num_layers):
            other.append(f"objective.head_layers {head.num_layers}, not {spec.num_layers}")
        if spec.pooling not in ("auto", head.pooling):
            other.append(f"objective.pooling {head.pooling}, not {spec.pooling}")
        if other:
            raise ObjectiveError(
                f"model.source: {task.model.source.name}: its head is for this task, and has {' and '.join(other)}. "
                "Set it so to train that head on; for a new one name what `tunesmith merge` makes of the run."
            )
