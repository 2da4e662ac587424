"""The search of an arm's settings by successive halving: each on a part of the training rows, the best of them on all. Validation rows alone decide.

A trial leaves what it was told in a folder of its own, so that a search that was interrupted goes on with the trial that it was in.
"""

import gc
import itertools
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.app.arms import arm_recipe
from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.dataset import prepare_data
from tunesmith.app.outlook import cannot_win
from tunesmith.app.task import learning_rate
from tunesmith.app.tune import trial
from tunesmith.app.validated import Validated, load_validated, save_diverged
from tunesmith.comparison.halving import ETA, best_first, rounds
from tunesmith.core.adjusting import SearchedMethod
from tunesmith.core.errors import DataError, Diverged, RecipeError, RunError
from tunesmith.core.events import Event, Notice, Stage
from tunesmith.core.files import write_json
from tunesmith.core.run import RunDirectory
from tunesmith.data import fraction_of
from tunesmith.recipe import Recipe
from tunesmith.report.numbers import percent

__all__ = ["Search", "Trial", "keep_search", "load_search", "num_rounds", "search", "settings_of", "trials_of"]

Say = Callable[[Event], None]

_RATE = "train.learning_rate"
_RATES = (1 / ETA, 1.0, float(ETA))
"""Times the arm's own; a method's usual rate is seldom further off."""
_FOUND = "found.json"
_MIN_STEPS = 8
"""A training of fewer says nothing of a setting."""
_MIN_ROWS = 30
"""Fewer validation rows choose by chance."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting that was tried on a part of the training rows."""

    changes: tuple[str, ...]
    fraction: float
    told: Validated


@dataclass(frozen=True, slots=True)
class Search:
    """What was found for an arm."""

    changes: tuple[str, ...]
    """The setting that was best; none where nothing was searched."""
    cannot_win: str = ""
    """Why a training on all rows is not worth its time; empty where it may be."""


def keep_search(folder: Path, found: Search) -> None:
    """Write what was found, also where nothing was to be searched: a comparison that goes on decides no other way."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _FOUND, asdict(found))


def load_search(folder: Path) -> Search | None:
    """What was found; None where the search was not done. Raises: RunError, where it is damaged."""
    file = folder / _FOUND
    if not file.is_file():
        return None
    found = RunDirectory(folder).read_json(file)
    try:
        return Search(tuple(found["changes"]), found["cannot_win"])
    except (KeyError, TypeError):
        raise RunError(f"{file}: is damaged. Remove it to search again.") from None


def settings_of(recipe: Recipe, name: str, changes: Sequence[str]) -> list[tuple[str, ...]]:
    """The settings that are tried for an arm, each as changes of its recipe: of the rate a third, once and three times the arm's own, or those of the
    recipe's `search` that go with the arm; fewer than two where there is nothing to search. What an arm names itself stays.

    Raises: RecipeError, for a value that is none.
    """
    arm, named = arm_recipe(recipe, name, changes), {change.partition("=")[0] for change in changes}
    if recipe.search == "none" or not arm.trains or isinstance(chosen_method(arm), SearchedMethod):
        return []  # what nothing is trained of, and what searches by itself
    if recipe.search == "auto":
        rate = learning_rate(arm, chosen_method(arm))
        return [] if _RATE in named else [(f"{_RATE}={rate * times:.3g}",) for times in _RATES]
    own = {key: values for key, values in recipe.search.items() if key not in named and _is_known(recipe, name, changes, key, values)}
    found = [tuple(f"{key}={value}" for key, value in zip(own, values, strict=True)) for values in itertools.product(*own.values())]
    for one in found:
        arm_recipe(recipe, name, [*changes, *one])
    return found


def _is_known(recipe: Recipe, name: str, changes: Sequence[str], key: str, values: Sequence[Any]) -> bool:
    """Whether the arm has such an option, though the value may be none."""
    try:
        arm_recipe(recipe, name, [*changes, f"{key}={values[0]}"])
    except RecipeError as error:
        return "unknown option" not in str(error)
    return True


def num_rounds(recipe: Recipe, name: str, changes: Sequence[str]) -> int:
    """Rounds that a search holds, each of which costs about as much as one training on all rows; 0 where nothing is searched, or there are too few rows for it."""
    planned = rounds(len(settings_of(recipe, name, changes)))
    return len(planned) if planned and _says_something(arm_recipe(recipe, name, changes), planned[0].fraction) else 0


def _says_something(arm: Recipe, fraction: float) -> bool:
    """Whether a training on that part of the rows is long enough, has every class, and is judged by enough rows."""
    data, train = prepare_data(arm), arm.train
    steps = min(train.epochs * len(data.train) / train.examples_per_step, train.max_steps or math.inf)
    try:
        fraction_of(data.train, fraction)
    except DataError:
        return False
    return len(data.validation) >= _MIN_ROWS and fraction * steps >= _MIN_STEPS


def search(
    folder: Path, recipe: Recipe, name: str, changes: Sequence[str], say: Say, *, leader: tuple[str, Validated] | None = None
) -> Search:
    """Try the arm's settings.

    Args:
        folder: of the arm's trials; what is done already is not done again.
        leader: an arm that is done, where one that can no longer win is not worth its time.
    Returns: the best setting, and why it cannot win.
    Raises: Diverged, where every setting does; TunesmithError, as `tune`.
    """
    settings = settings_of(recipe, name, changes)
    left, planned = list(range(len(settings))), rounds(len(settings))

    def tried(place: int, fraction: float) -> Validated:
        return _tried(
            folder, arm_recipe(recipe, name, [*changes, *settings[place]]), (place, fraction), f"{name}, {' '.join(settings[place])}", say
        )

    for one in planned:
        left = left[: one.num_settings]
        told = [tried(place, one.fraction) for place in left]
        known = next((found for found in told if not math.isnan(found.loss)), None)
        if known is None:
            raise Diverged(f"every setting that was tried diverged: {'; '.join(' '.join(settings[place]) for place in left)}.")
        order = best_first([(found.value, found.loss) for found in told], higher_is_better=known.higher_is_better)
        left = [left[at] for at in order]
        say(Notice(f"{name}: on {percent(one.fraction)} of the rows, validation is best with {' '.join(settings[left[0]])}."))
    smallest = planned[0].fraction / ETA
    if _says_something(arm_recipe(recipe, name, changes), smallest):
        curve = [tried(left[0], fraction) for fraction in (smallest, *(one.fraction for one in planned))]
        return Search(settings[left[0]], cannot_win(recipe, curve, *leader) if leader else "")
    return Search(settings[left[0]])


def _tried(folder: Path, recipe: Recipe, place: tuple[int, float], what: str, say: Say) -> Validated:
    """What the validation rows say of a setting after a training on a part of the rows. `place`: the setting's, and the part."""
    kept = folder / _folder_name(*place)
    file = kept / "validation.json"
    if not file.is_file():
        say(Stage("trial", f"{what}, {percent(place[1])} of the rows"))
        try:
            trial(_of_a_part(recipe, place[1]), kept, progress=say)
        except Diverged:
            shutil.rmtree(kept, ignore_errors=True)
            save_diverged(file)
        gc.collect()  # or two models would be in memory
    return load_validated(file)


def _folder_name(place: int, fraction: float) -> str:
    return f"{place + 1}-{fraction:.4f}"


def _of_a_part(recipe: Recipe, fraction: float) -> Recipe:
    """The recipe of a training on a part of its rows, and of as small a part of its steps."""
    steps = recipe.train.max_steps
    train = recipe.train if steps is None else recipe.train.model_copy(update={"max_steps": max(1, round(steps * fraction))})
    data = recipe.data.model_copy(update={"train_fraction": recipe.data.train_fraction * fraction})
    return recipe.model_copy(update={"train": train, "data": data})


def trials_of(folder: Path, recipe: Recipe, name: str, changes: Sequence[str]) -> list[Trial]:
    """What was tried of an arm, part by part."""
    settings, found = settings_of(recipe, name, changes), list[Trial]()
    for file in sorted(folder.glob("*/validation.json"), key=lambda file: _placed(file.parent.name)[::-1]):
        place, fraction = _placed(file.parent.name)
        found.append(Trial(settings[place], fraction, load_validated(file)))
    return found


def _placed(folder_name: str) -> tuple[int, float]:
    place, _, fraction = folder_name.partition("-")
    return int(place) - 1, float(fraction)
