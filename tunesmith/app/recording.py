"""The files of a run that are there before it has done anything, and the status of a run or a group, kept true whatever ends the work on it."""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tunesmith.app.machine import machine_facts, versions
from tunesmith.core.errors import DiskFull, Interrupted, RewardError, RunError, TunesmithError
from tunesmith.core.files import write_json, write_text
from tunesmith.core.run import GroupDirectory, RunDirectory, new_run_directory
from tunesmith.data import InvalidRow, write_quarantine
from tunesmith.recipe import Recipe, dump

__all__ = ["begun", "check_same", "recorded"]

_THEN = " Then go on with: "


def begun(
    recipe: Recipe, device: torch.device, model_facts: Mapping[str, Any], data_facts: Mapping[str, Any], invalid: Sequence[InvalidRow]
) -> RunDirectory:
    """A run's directory with what is known before it starts; none at all where that cannot be written."""
    directory = new_run_directory(recipe.name, Path(recipe.output_dir) if recipe.output_dir else None)
    try:
        write_text(directory.recipe, dump(recipe))
        write_json(directory.environment, {"versions": versions(), "machine": machine_facts(device), "model": model_facts})
        write_json(directory.data, data_facts)
        if invalid:
            write_quarantine(directory.quarantine, invalid)
    except TunesmithError:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    return directory


def check_same(directory: RunDirectory, data_facts: Mapping[str, Any]) -> None:
    """Raises: RunError, where a run that is gone on with was begun with other data, or another model."""
    if directory.read_json(directory.data) != json.loads(json.dumps(data_facts)):
        raise RunError(
            f"{directory.path}: its data or its model changed since it was begun; what it learned so far is not comparable. Start a new run."
        )


@contextlib.contextmanager
def recorded(directory: RunDirectory | GroupDirectory, started: float) -> Iterator[None]:
    """Record how the block ended, and add to what it raises how to go on.

    Args:
        started: when the sitting began, as `time.perf_counter` says.
    Raises: what the block raises; RunError, where the directory was removed meanwhile.
    """

    def ended(status: str, message: str = "") -> None:
        directory.set_status(status, message, sitting_seconds=time.perf_counter() - started)

    go_on = f"tunesmith runs resume {directory.path}"
    try:
        yield
    except Exception as error:
        if not directory.recipe.is_file():
            raise RunError(f"{directory.path}: was removed while it was being worked on. Start it again.") from error
        if isinstance(error, Interrupted):
            ended("interrupted")
            raise Interrupted(f"{error} Go on with: {go_on}") from None
        if isinstance(error, DiskFull):
            with contextlib.suppress(DiskFull):
                ended("failed", str(error))
            raise DiskFull(f"{error}{_THEN}{go_on}") from None
        if isinstance(error, RewardError):
            ended("failed", str(error))
            text = str(error).partition(_THEN)[0]  # of a run in a group: it is the group that goes on
            raise RewardError(f"{text}{_THEN}{go_on}") from None
        ended("failed", str(error) if isinstance(error, TunesmithError) else f"{type(error).__name__}: {error}")
        raise
    except BaseException as error:
        ended("failed", f"{type(error).__name__}: {error}")
        raise
    ended("done")
