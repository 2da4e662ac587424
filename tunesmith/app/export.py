"""A tuned network as a file that another program reads: Keras's `.h5`."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.learned import learned, require_trained
from tunesmith.app.task import Task
from tunesmith.app.tuned import load_tuned
from tunesmith.core.errors import MethodError, UsageError
from tunesmith.core.events import Event, Stage, silence
from tunesmith.core.files import folders_made
from tunesmith.core.run import RunDirectory
from tunesmith.method._peft import merge_adapter
from tunesmith.model.export.keras import check_writable, write_h5

__all__ = ["check_export", "export_run", "export_tuned"]


def export_run(
    directory: RunDirectory, output: Path, *, overwrite: bool = False, progress: Callable[[Event], None] | None = None
) -> dict[str, Any]:
    """Write a run's network, adapters folded in, with its head as the last layer.

    Returns: {run, output, bytes, labels}.
    Raises: UsageError, where `output` is there or has another ending; ModelError, MethodError, where Keras has no such network.
    """
    say = progress or silence
    if output.suffix != ".h5":
        raise UsageError(f"{output}: expected a file that ends in .h5.")
    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists. Name another file, or replace it with --overwrite (in Python, overwrite=True).")
    known = learned(directory)
    require_trained(known, directory.id)
    say(Stage("model", directory.id))
    tuned = load_tuned(directory)
    trunk = tuned.model.trunk
    check_writable(trunk, directory.id, {name: str(head.pooling) for name, head in tuned.forward.heads.items()})
    if not chosen_method(known.recipe).mergeable:
        raise MethodError(f"{directory.id}: what the method {known.recipe.method.name} trains cannot be folded into a model's weights.")
    trunk = _folded(trunk)
    say(Stage("save", str(output)))
    with folders_made(output):
        write_h5(trunk, dict(tuned.forward.heads.items()), tuned.encoder.labels, tuned.model.tokenizer, output)
    return {"run": directory.id, "output": str(output), "bytes": output.stat().st_size, "labels": list(tuned.encoder.labels)}


def check_export(task: Task) -> None:
    """Raises: ModelError, MethodError, where what the recipe wants written cannot be."""
    if task.recipe.export is not None:
        poolings = {name: spec.pooling for name, spec in task.objective.heads(task.encoder).items()}
        check_writable(task.model.trunk, f"{task.recipe.name}: export: h5", poolings)
        if not task.method.mergeable:
            raise MethodError(
                f"{task.recipe.name}: export: h5: what the method {task.recipe.method.name} trains cannot be folded into a model's weights."
            )


def export_tuned(task: Task, directory: RunDirectory) -> None:
    """Write network.h5 into a run whose recipe asks for it."""
    if task.recipe.export is None:
        return
    trunk = _folded(task.model.trunk)
    write_h5(trunk, dict(task.forward.heads.items()), task.encoder.labels, task.model.tokenizer, directory.h5)


def _folded(trunk: nn.Module) -> nn.Module:
    """A model with its adapters in its weights: itself, where it has none."""
    if not any(isinstance(module, BaseTunerLayer) for module in trunk.modules()):
        return trunk
    folded = copy.deepcopy(trunk)
    merge_adapter(folded)
    return folded
