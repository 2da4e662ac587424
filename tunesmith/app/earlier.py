"""The heads of the run that a recipe's model is: taken over where they are for the same task."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tunesmith.core.errors import ObjectiveError
from tunesmith.core.events import Event, Warned
from tunesmith.core.run import RunDirectory
from tunesmith.model.heads import Head, load_heads

if TYPE_CHECKING:
    from tunesmith.app.task import Task

__all__ = ["check_heads", "earlier_head", "earlier_heads"]


def earlier_head(task: "Task", name: str) -> Head | None:
    """The head of that name of the run that the model is, where it has the same labels."""
    file = task.model.source.heads
    if file is None:
        return None
    heads, labels = load_heads(file, file.with_name("heads.json"))
    return heads.get(name) if labels == task.encoder.labels else None


def earlier_heads(task: "Task") -> dict[str, Head]:
    """Every head of the objective that an earlier run has for it already; empty where one is missing."""
    found = {name: earlier_head(task, name) for name in task.objective.heads(task.encoder)}
    return {name: head for name, head in found.items() if head is not None} if all(found.values()) else {}


def check_heads(task: "Task", say: Callable[[Event], None]) -> None:
    """Say where the run that the model is has a head for another task: what was trained below it goes on.

    Raises: ObjectiveError, where it has nothing else.
    """
    source = task.model.source
    if source.heads is None or earlier_heads(task):
        return
    heads, labels = load_heads(source.heads, source.heads.with_name("heads.json"))
    has = f"{', '.join(heads)}: {', '.join(labels)}" if labels else ", ".join(heads)
    wanted = ", ".join(task.encoder.labels) if task.encoder.labels and task.objective.heads(task.encoder) else ""
    takes = f"{task.objective_name}, whose labels are {wanted}," if wanted else task.objective_name
    run = RunDirectory(source.heads.parent)
    if not run.adapter.is_dir() and not run.model.is_dir():
        raise ObjectiveError(
            f"model.source: {source.name}: trained nothing but a head ({has}), for which the objective {takes} has no use. Name the model that it was trained on."
        )
    say(Warned(f"model.source: {source.name}: its head ({has}) is for another task than {takes.rstrip(',')}: it is left out."))
