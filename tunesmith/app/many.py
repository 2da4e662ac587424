"""Many tuned tasks on one base: the base is in memory once, and switching between the tasks costs nothing."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tunesmith.app.machine import choose_device, choose_precision
from tunesmith.app.run import Run
from tunesmith.app.sharing import load_shared, trained_in_place
from tunesmith.app.task import use_chat_template
from tunesmith.app.tuned import Tuned, as_tuned
from tunesmith.core.errors import RunError, UsageError
from tunesmith.core.run import RunDirectory, find_run

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
    stored = dict[str, str]()
    tuned = dict[str, Tuned]()
    for one in shared.runs:
        recipe = one.known.recipe
        model = shared.model_of(one)
        use_chat_template(recipe, model, one.saved)
        device = choose_device(recipe.engine.device)
        precision = choose_precision(recipe.engine.precision, device)
        is_frozen = not trained_in_place(one.method, model.trunk)
        stored[one.directory.id] = f"{precision or 'float32'} on {device}" if is_frozen else f"float32 on {device}"
        if len(set(stored.values())) > 1:
            raise RunError(
                f"the runs keep their base in different numbers: {', '.join(f'{k}: {v}' for k, v in stored.items())}. Load them apart."
            )
        tuned[one.directory.id] = as_tuned(one.directory, one.known, one.objective, one.method, model, is_frozen=is_frozen)
    return Adapters(tuned)
