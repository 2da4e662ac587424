"""Many tuned tasks on one base: the base is in memory once, and switching between the tasks costs nothing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from tunesmith.app.machine import choose_device, choose_precision
from tunesmith.app.placing import place_once
from tunesmith.app.room import with_room
from tunesmith.app.run import Run
from tunesmith.app.sharing import OneOfMany, Shared, load_shared
from tunesmith.app.task import use_chat_template
from tunesmith.app.tuned import Tuned, as_tuned
from tunesmith.core.errors import RunError, UsageError
from tunesmith.core.run import RunDirectory, find_run
from tunesmith.engine.kernels.frozen import RoundedWeights

__all__ = ["Adapters", "load_many"]


class Adapters(Mapping[str, Tuned]):
    """Tuned models by their runs' ids. All share the base's tensors; none can change another."""

    def __init__(self, tuned: Mapping[str, Tuned]) -> None:
        self._tuned = dict(tuned)

    def __getitem__(self, run: str) -> Tuned:
        """Raises: RunError, naming those that there are."""
        name = str(run).removeprefix("run:")
        if name not in self._tuned:
            raise RunError(f"{name}: is none of the loaded runs: {', '.join(self._tuned)}.")
        return self._tuned[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tuned)

    def __len__(self) -> int:
        return len(self._tuned)

    def __contains__(self, run: object) -> bool:
        return str(run).removeprefix("run:") in self._tuned


def load_many(runs: Iterable[str | Path | Run | RunDirectory]) -> Adapters:
    """Load several runs of one base, the base once.

    Args:
        runs: ids (`run:ID` too), folders, or what `tune` returned.
    Returns: by run id what answers: `.predict(texts)` of a run with a head, `.answer(prompts)` of a language model, `.ask(examples)` of both.
    Raises: UsageError, for no run, or two of one id; RunError, where they have different bases, or keep it in different numbers.
    """
    directories = [run.directory if isinstance(run, Run) else run if isinstance(run, RunDirectory) else find_run(run) for run in runs]
    names = [directory.id for directory in directories]
    if not names:
        raise UsageError("load_many() needs at least one run.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice}: two of the runs have this id. Load each once.")
    shared = load_shared(directories)
    kept = [_kept(shared, one) for one in shared.runs]
    if len(set(kept)) > 1:
        found = ", ".join(f"{name}: {numbers}" for name, numbers in zip(names, kept, strict=True))
        raise RunError(f"the runs keep their base in different numbers: {found}. Load them apart.")
    recipes = [one.known.recipe for one in shared.runs]
    paths = place_once(shared.base, recipes, kept[0].device, kept[0].stored_in)
    tuned, int8 = dict[str, Tuned](), RoundedWeights()
    for one, run_as in zip(shared.runs, paths, strict=True):
        model = with_room(shared.model_of(one), one.method)
        use_chat_template(one.known.recipe, model, one.saved)
        precision = _precision(shared, one, kept[0].device)
        autocast = None if precision == kept[0].stored_in else precision
        tuned[one.directory.id] = as_tuned(one.directory, one.known, one.objective, one.method, model, run_as, autocast, int8)
    return Adapters(tuned)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What a run keeps its base in."""

    form: str | None
    """Of its linear layers, where that is another than of the rest."""
    stored_in: torch.dtype | None
    """None: float32."""
    device: torch.device

    def __str__(self) -> str:
        """As a message names it."""
        return f"{f'{self.form} and ' if self.form else ''}{self.stored_in or 'float32'} on {self.device}"


def _kept(shared: Shared, one: OneOfMany) -> _Numbers:
    recipe, rounds = one.known.recipe, one.method.base_precision
    device = choose_device(recipe.engine.device)
    precision = None if shared.trains_base(one) else _precision(shared, one, device)
    return _Numbers(recipe.model.quantization or (None if rounds == "exact" else rounds), precision, device)


def _precision(shared: Shared, one: OneOfMany, device: torch.device) -> torch.dtype | None:
    return choose_precision(one.known.recipe.engine.precision, device, reads_numbers=bool(shared.base.facts.num_columns))
