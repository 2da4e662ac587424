"""Several runs of one recipe that are read together: of several seeds, or of growing parts of the training rows."""

import contextlib
import gc
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tunesmith.app.anchor import anchored
from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.dataset import prepare_data
from tunesmith.app.group_document import build_group_document
from tunesmith.app.interruption import Interruption
from tunesmith.app.recording import recorded
from tunesmith.app.run import Run
from tunesmith.app.tune import resume, tune
from tunesmith.core.adjusting import SearchedMethod
from tunesmith.core.errors import DiskFull, Interrupted, RunError, TunesmithError, UsageError
from tunesmith.core.events import Event, Notice, Stage
from tunesmith.core.files import write_json, write_text
from tunesmith.core.run import GroupDirectory, Kind, RunDirectory, find, list_groups, new_group_directory
from tunesmith.data import fraction_of
from tunesmith.recipe import Recipe, dump, load
from tunesmith.report import render_group

__all__ = ["Group", "finish", "named", "resume_group", "running", "tune_curve", "tune_seeds", "unfinished_or_new"]

Say = Callable[[Event], None]

_MOST_SEED = 2**32 - 1


class Group:
    """What `tune` returns for several seeds, or for a learning curve: the group's directory, what its runs say together, and the runs."""

    def __init__(self, directory: GroupDirectory | str | Path) -> None:
        """Find a group: by its folder, its id, or the beginning of one. Raises: RunError, where there is none."""
        found = directory if isinstance(directory, GroupDirectory) else find(directory)
        if not isinstance(found, GroupDirectory):
            raise RunError(f"{found.path}: is a single run, expected a group of runs. tunesmith.Run opens it.")
        self.directory = GroupDirectory(found.path.absolute())

    @property
    def path(self) -> Path:
        """The group's directory; the runs are folders in it."""
        return self.directory.path

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.directory.id

    @cached_property
    def report(self) -> Mapping[str, Any]:
        """group.json. Raises: RunError, where not all of the runs are done."""
        document: Mapping[str, Any] = self.directory.read_json(self.directory.group_json)
        return document

    @property
    def runs(self) -> list[Run]:
        """The runs that are there, in the order of their seeds or sizes."""
        return [Run(run) for run in self.directory.runs]

    def __repr__(self) -> str:
        return f"Group({str(self.path)!r}, {self.directory.status})"


def tune_seeds(recipe: Recipe, num_seeds: int, *, progress: Say | None = None) -> Group:
    """Train the recipe with `num_seeds` seeds, its own and those that follow it, on the same rows.

    Where the same was begun before and interrupted or failed, it goes on with that.
    Raises: UsageError, for fewer than two seeds; TunesmithError, as `tune`.
    """
    if isinstance(num_seeds, bool) or not isinstance(num_seeds, int) or num_seeds < 2:
        raise UsageError(f"seeds: found {num_seeds!r}, expected a whole number of at least 2. A single run needs none.")
    if recipe.seed + num_seeds - 1 > _MOST_SEED:
        raise UsageError(f"seeds: {num_seeds} seeds from {recipe.seed} on go beyond {_MOST_SEED}. Lower seed.")
    return _tune_group(recipe, "seeds", [recipe.seed + number for number in range(num_seeds)], progress)


def tune_curve(recipe: Recipe, fractions: Sequence[float], *, progress: Say | None = None) -> Group:
    """Train the recipe on parts of its training rows, the smaller inside of the larger, and judge each on the same test rows.

    Goes on with what was begun before, as `tune_seeds`.

    Args:
        fractions: two or more, above 0 and at most 1; each passes over its rows as many times as the recipe's `train.epochs` says.
    Raises: UsageError, for other fractions, and for a method that learns from no training row; DataError, where a class has no row in one of the parts; TunesmithError, as `tune`.
    """
    wrong = next((f for f in fractions if isinstance(f, bool) or not isinstance(f, int | float) or not 0 < f <= 1), None)
    if wrong is not None:
        raise UsageError(f"curve: found {wrong!r}, expected parts of the training rows, above 0 and at most 1, such as 0.1,0.3,1.0.")
    parts = sorted({float(f) for f in fractions})
    if len(parts) < 2 or len(parts) < len(fractions):
        raise UsageError(
            f"curve: found {', '.join(f'{f:g}' for f in fractions)}; expected two or more different parts, such as 0.1,0.3,1.0."
        )
    if isinstance(chosen_method(recipe), SearchedMethod):
        raise UsageError(
            f"curve: method {recipe.method.name} searches on validation rows and learns from no training row, so that more of these would change nothing. Leave --curve out."
        )
    if recipe.data.train_fraction != 1:
        raise UsageError("curve: stands beside data.train_fraction, which it sets itself. Leave one of them out.")
    return _tune_group(recipe, "curve", parts, progress)


def resume_group(directory: GroupDirectory, *, progress: Say | None = None) -> Group:
    """Go on with a group that was interrupted. Raises: RunError, where it is finished; as `resume`."""
    if directory.status == "done" and len(directory.runs) == len(directory.members):
        raise RunError(f"{directory.path}: this group is finished. `tunesmith runs show {directory.path}` shows it.")
    with Interruption() as interruption:
        return _run(directory, load(directory.recipe), interruption.checked(progress))


def _tune_group(recipe: Recipe, kind: Kind, values: Sequence[float], progress: Say | None) -> Group:
    with Interruption() as interruption:
        say = interruption.checked(progress)
        recipe = anchored(recipe)
        directory = _unfinished(recipe, kind, values, say)
        if directory is None and kind == "curve":
            _check_sizes(recipe, values)
        return _run(directory or _begun(recipe, kind, values), recipe, say)


def unfinished_or_new(recipe: Recipe, kind: Kind, values: Sequence[Any], say: Say) -> GroupDirectory:
    """The directory of a group that was begun before and is to be gone on with, else a new one. Raises: RunError, where it cannot be made."""
    return _unfinished(recipe, kind, values, say) or _begun(recipe, kind, values)


def _check_sizes(recipe: Recipe, fractions: Sequence[float]) -> None:
    """Raises: UsageError, where two parts are the same rows; DataError, where a class has no row in one."""
    train = prepare_data(recipe).train
    sizes = [len(fraction_of(train, fraction)) for fraction in fractions]
    for at, size in enumerate(sizes[1:], start=1):
        if size == sizes[at - 1]:
            raise UsageError(
                f"curve: {fractions[at - 1]:g} and {fractions[at]:g} of {len(train):,} training rows are the same {size:,} rows. "
                "Name parts that lie further apart."
            )


def _unfinished(recipe: Recipe, kind: Kind, values: Sequence[Any], say: Say) -> GroupDirectory | None:
    """The newest group of the same recipe, kind and values that was interrupted or failed."""
    given = GroupDirectory(Path(recipe.output_dir)) if recipe.output_dir else None
    known = [given] if given is not None else reversed(list_groups())
    for group in known:
        if not group.asked.is_file() or not group.recipe.is_file():
            continue
        if (group.kind, group.values) != (kind, list(values)) or group.recipe.read_text(encoding="utf-8") != dump(recipe):
            continue
        if group.status in ("interrupted", "failed"):
            say(Notice(f"goes on with {group.path}, which was begun before."))
            return group
        if group.status == "running":
            say(Notice(f"{group.path} is of the same recipe and running. Where it runs no more: tunesmith runs resume {group.path}"))
    return None


def _begun(recipe: Recipe, kind: Kind, values: Sequence[Any]) -> GroupDirectory:
    directory = new_group_directory(recipe.name, kind, Path(recipe.output_dir) if recipe.output_dir else None)
    write_json(directory.asked, {"kind": kind, "values": list(values)})
    write_text(directory.recipe, dump(recipe))
    return directory


def _run(directory: GroupDirectory, recipe: Recipe, say: Say) -> Group:
    """Finish every run, then read them together. What is wrong with the recipe, found by its first run, leaves no folder behind."""
    members = directory.members
    with running(directory, time.perf_counter()):
        for number, (member, value) in enumerate(zip(members, directory.values, strict=True)):
            with named(member, number, len(members)):
                finish(member, _member_recipe(recipe, directory.kind, value, member), say, f"{number + 1} of {len(members)}")
        say(Stage("report", directory.id))
        write_json(directory.group_json, build_group_document(directory, recipe))
        render_group(directory)
    return Group(directory)


@contextlib.contextmanager
def running(directory: GroupDirectory, started: float) -> Iterator[None]:
    """Record how the group stands; what fails before any of its runs has a folder leaves no folder behind. `started`: as `recorded` takes it."""
    directory.set_status("running")
    try:
        with recorded(directory, started):
            yield
    except TunesmithError as error:
        if not isinstance(error, Interrupted) and not any(member.path.exists() for member in directory.members):
            shutil.rmtree(directory.path, ignore_errors=True)
        raise


def _member_recipe(recipe: Recipe, kind: Kind, value: float, member: RunDirectory) -> Recipe:
    changes: dict[str, Any] = {"output_dir": str(member.path)}
    if kind == "seeds":
        return recipe.model_copy(update={**changes, "seed": int(value)})
    return recipe.model_copy(update={**changes, "data": recipe.data.model_copy(update={"train_fraction": value})})


def finish(member: RunDirectory, recipe: Recipe, say: Say, place: str) -> None:
    """Train the run, or go on with it, unless it is done."""
    if member.recipe.is_file() and member.status == "done":
        say(Notice(f"{member.id} is done already."))
        return
    say(Stage("run", f"{member.id} ({place})"))
    if member.recipe.is_file():
        resume(member.path, progress=say)
    else:
        shutil.rmtree(member.path, ignore_errors=True)  # stopped before it had a recipe
        tune(recipe, progress=say)
    gc.collect()  # or two models would be in memory


@contextlib.contextmanager
def named(member: RunDirectory, num_done: int, num_runs: int, *, are_alike: bool = True) -> Iterator[None]:
    """Let what stops a run say which one it was; how to go on is said for the group. `are_alike`: whether what one cannot begin with is wrong with all of them."""
    try:
        yield
    except Interrupted:
        raise Interrupted(
            f"interrupted in {member.id}; {num_done} of {num_runs} runs are done, and what this one did so far is saved."
        ) from None
    except DiskFull:
        raise DiskFull(f"{member.path}: the disk is full. Free some space first.") from None
    except TunesmithError as error:
        if are_alike and not member.path.exists():  # the recipe is wrong, and with it every run of it
            raise
        raise type(error)(f"{member.id}: {error}") from None
