"""Rows that the model may know already: those of this recipe that the run that it is, or one before that, learned from.

Runs keep no rows. What they learned from is read again by their recipes, as it was read then: a file that is another by now says nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.dataset import prepare_data
from tunesmith.app.run_recipe import run_recipe
from tunesmith.app.task import Say, Task
from tunesmith.core import registry
from tunesmith.core.adjusting import SearchedMethod
from tunesmith.core.errors import DataError, TunesmithError
from tunesmith.core.events import Warned
from tunesmith.core.run import RunDirectory, find_run
from tunesmith.core.types import Example
from tunesmith.data import content_key
from tunesmith.recipe import Recipe
from tunesmith.report.numbers import listed

__all__ = ["runs_behind", "warn_of_known_rows"]


def runs_behind(source: str, *, of_files: bool = False) -> list[tuple[RunDirectory, Recipe]]:
    """The run that a model is, the one that this began with, and so on.

    Args:
        of_files: whether a file or folder of a run, such as its network.h5, is that run too.
    """
    found = list[tuple[RunDirectory, Recipe]]()
    is_run: Callable[[str], bool] = registry.create("model_source", "run").knows
    while is_run(source) or (of_files and _is_of_a_run(source)):
        try:
            run = find_run(source if is_run(source) else Path(source).expanduser().parent)
            if any(run.path == earlier.path for earlier, _ in found):  # a file that lies in the folder of what it became
                break
            found.append((run, run_recipe(run)))
        except TunesmithError:  # a run that kept its whole model needs the one before no more
            break
        source = found[-1][1].model.source
    return found


def _is_of_a_run(source: str) -> bool:
    path = Path(source).expanduser()
    try:
        return path.exists() and all((path.parent / name).is_file() for name in ("recipe.yaml", "status.json"))
    except OSError:  # too long for a path
        return False


def warn_of_known_rows(task: Task, say: Say) -> None:
    """Say how many rows of each split that chooses or judges the model learned from before, and keep that for the report."""
    counts = {
        name: Counter(content_key(example) for example in split.examples)
        for name, split in task.splits.items()
        if name != "train" and split.examples
    }
    source = task.recipe.model.source
    behind = runs_behind(source, of_files=True) if counts else []
    if not behind:
        return
    asked, known, by, unread = set[str]().union(*counts.values()), set[str](), list[str](), list[str]()
    for run, recipe in behind:
        try:
            own = {key for example in _learned_from(run, recipe) if (key := content_key(example)) in asked}
        except TunesmithError as error:
            unread.append(f"{run.id} ({str(error).rstrip('.')})")
            continue
        by += [run.id] if own else []
        known |= own
    told = list[str]()
    if known:
        is_searched = task.is_searched and bool(known & counts["validation"].keys())
        told.append(
            f"model.source: {source}: {listed(by)} learned from {listed(_shares(counts, known))}: what is measured on rows that the model knows says too much of new ones"
            f"{', and what is found to be best by them need not be best for others' if is_searched else ''}. "
            "Split the data as that run did, or bring rows that it did not learn from."
        )
    if unread:
        told.append(f"model.source: {source}: whether rows that choose or judge were learned from before is not known of {listed(unread)}.")
    task.remarks += told
    for text in told:
        say(Warned(text))


def _learned_from(run: RunDirectory, recipe: Recipe) -> Sequence[Example]:
    """The rows that it trained on; of one that searched those that it searched on. Raises: TunesmithError, where they cannot be had again."""
    if not recipe.trains:
        return ()
    alone = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"domains": {}})})
    data = prepare_data(alone)
    name = "validation" if isinstance(chosen_method(recipe), SearchedMethod) else "train"
    if run.read_json(run.data).get(name, {}).get("sha256") != data.facts[name].sha256:
        raise DataError(f"{data.facts[name].name}: is not what it was then")
    return data.validation if name == "validation" else data.train


def _shares(counts: dict[str, "Counter[str]"], known: set[str]) -> list[str]:
    """`12 of the 40 validation rows`, for each split or domain that has any."""
    found = list[str]()
    for name, own in counts.items():
        num = sum(count for key, count in own.items() if key in known)
        if num:
            rows = f"{name} rows" if name in ("validation", "test") else f"rows of {name}"
            found.append(f"{num:,} of the {own.total():,} {rows}")
    return found
