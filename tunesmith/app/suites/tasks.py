"""A suite's tasks as lm-eval makes them, of the hub's rows or of the files in a folder."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.app.suites.choosing import Chosen, LmEvalTasks, whole_index
from tunesmith.app.suites.quietly import quiet
from tunesmith.core.errors import DataError, FetchError, TunesmithError, UsageError, one_line
from tunesmith.core.suite import Rows
from tunesmith.data.hub import why_unreachable

__all__ = ["LoadedSuite", "allotted", "load", "sampled"]

_ASKED, _SHOTS = ("test_split", "validation_split"), ("training_split", "fewshot_split")


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """A suite with its tasks."""

    chosen: Chosen
    tasks: Mapping[str, Any]
    """lm-eval's tasks, by name."""
    sizes: Mapping[str, int]
    """Rows that each has."""
    notes: Sequence[str]
    """What is otherwise than was asked for."""

    @property
    def name(self) -> str:
        """As the user calls it."""
        return self.chosen.name

    def category(self, task: str) -> str:
        """Of a task; empty where the suite has none."""
        return self.chosen.suite.tasks.get(task, "")


def load(chosen: Chosen, data: Path | None, num_fewshot: int | None) -> LoadedSuite:
    """Make the tasks.

    Args:
        data: a folder that holds a folder a suite with its authors' files; None: the rows come from the hub.
        num_fewshot: solved examples before each question, in place of the suite's own number.
    Raises: DataError, where a file is missing or broken; FetchError, naming the files to bring, where the hub does not give the rows;
        UsageError, for tasks that cannot be run here.
    """
    rows, notes = _read(chosen, data)
    try:
        with quiet():
            tasks = _made(chosen, rows, has_shots=(num_fewshot if num_fewshot is not None else chosen.suite.num_fewshot) != 0)
    except TunesmithError:
        raise
    except Exception as error:  # lm-eval, datasets and the hub's client each fail in their own ways
        said = one_line(error, 160)
        if rows:
            raise DataError(f"--suite {chosen.name}: lm-eval makes no tasks of these rows: {said}") from error
        raise _absent(chosen, said) from error
    for name, task in tasks.items():
        if getattr(task, "UNSAFE_CODE", False) or getattr(task, "MULTIMODAL", False):
            why = "runs code that models write" if getattr(task, "UNSAFE_CODE", False) else "shows images or sounds"
            raise UsageError(f"--suite {chosen.name}: {name} {why}, which tunesmith does not. Leave it out.")
    kept = [name for name, task in tasks.items() if not _set_shots(task, chosen.suite.num_fewshot, num_fewshot)]
    if kept:
        notes = [*notes, f"{chosen.name}: {_named(kept)} asked without examples, as lm-eval defines it, whatever --num-fewshot says."]
    with quiet():
        return LoadedSuite(chosen, tasks, {name: len(task.eval_docs) for name, task in tasks.items()}, notes)


def _read(chosen: Chosen, data: Path | None) -> tuple[dict[str, Rows], list[str]]:
    """The rows of each task whose files are there, and what to say of the others; nothing where the rows come from the hub."""
    suite = chosen.suite
    if data is not None and not data.is_dir():
        raise UsageError(f"--data {data}: no such folder.")
    if isinstance(suite, LmEvalTasks):
        unread = f"{chosen.name}: --data is not read, as no reader of its files is known here; its rows come from the hub."
        return {}, [unread] if data is not None else []
    if data is None and suite.folder:
        return {}, []
    folder = (data or Path()) / suite.folder
    if suite.folder and not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the suite {chosen.name} is read from there. Bring {suite.files}.")
    found = {task: suite.read(folder, task) for task in chosen.tasks}
    rows = {task: split for task, split in found.items() if split is not None}
    missing = [task for task in found if task not in rows]
    if not rows:
        raise DataError(f"{folder}: holds no file of {chosen.name}. Bring {suite.files}.")
    return rows, [f"{chosen.name}: {_named(missing)} left out: no such files in {folder}."] if missing else []


def _named(tasks: Sequence[str]) -> str:
    shown = ", ".join(tasks[:6]) + (f" and {len(tasks) - 6} more" if len(tasks) > 6 else "")
    return f"{shown} {'is' if len(tasks) == 1 else 'are'}"


def _made(chosen: Chosen, rows: Mapping[str, Rows], *, has_shots: bool) -> dict[str, Any]:
    import lm_eval
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

    suite, names = chosen.suite, list(rows or chosen.tasks)
    if isinstance(suite, LmEvalTasks):
        _require_hub(chosen, whole_index().task_index[chosen.name].cfg or {})
        return dict(whole_index().load([chosen.name])["tasks"])
    folder = Path(lm_eval.__file__).parent / "tasks" / suite.definitions
    manager = TaskManager(include_path=str(folder) if suite.definitions else None, include_defaults=False)
    index = manager.task_index
    whole = {name: {**((index[name].cfg or {}) if name in index else {}), **suite.definition(name)} for name in names}
    if not rows:
        _require_hub(chosen, whole[names[0]])
    members = {
        name: {"task": name, **suite.definition(name), **(_data(rows[name], whole[name], has_shots) if rows else {})} for name in names
    }
    own = {name: ConfigurableTask(config=member) for name, member in members.items() if "output_type" in suite.definition(name)}
    theirs = [member for name, member in members.items() if name not in own]
    made = own | dict(manager.load({"group": chosen.name, "task": theirs})["tasks"] if theirs else {})
    return {name: made[name] for name in names}


def _data(rows: Rows, defined: Mapping[str, Any], has_shots: bool) -> dict[str, Any]:
    """What gives a task these rows, and takes from it the splits that they do not have, or that give shots alone where there are none."""
    from datasets import Dataset, DatasetDict

    shots = {defined.get(key) for key in _SHOTS} - {defined.get(key) for key in _ASKED}
    wanted = [split for split in rows if has_shots or split not in shots]
    dataset = DatasetDict({split: Dataset.from_list([dict(row) for row in rows[split]]) for split in wanted})
    absent = {key: None for key in (*_ASKED, *_SHOTS) if defined.get(key) and defined[key] not in dataset}
    return {**absent, "custom_dataset": lambda **_: dataset}


def _require_hub(chosen: Chosen, defined: Mapping[str, Any]) -> None:
    """Raises: FetchError, where the hub cannot be reached and has not been."""
    error = why_unreachable(defined["dataset_path"]) if defined.get("dataset_path") else None
    if error is not None:
        raise _absent(chosen, one_line(error, 160))


def _absent(chosen: Chosen, said: str) -> FetchError:
    suite = chosen.suite
    cure = (
        f"Bring {suite.files} in DATA/{suite.folder}, and add --data DATA."
        if suite.folder
        else "No reader of its files is known here: --data does not help."
    )
    return FetchError(f"--suite {chosen.name}: its rows are on the model hub, which did not give them ({said}). {cure}")


def _set_shots(task: Any, default: int | None, wanted: int | None) -> bool:
    """Set how many examples stand before a question. Returns: whether as many as are wanted do: what is defined as zero-shot stays so."""
    own = task.get_config("num_fewshot")
    if wanted is None or own == 0:
        task.set_config("num_fewshot", (default or 0) if own is None else own)
        return wanted in (None, 0)
    task.set_config("num_fewshot", wanted)
    return True


def allotted(loaded: LoadedSuite, limit: int | None) -> dict[str, int]:
    """How many rows of each task are asked: all, or one of each task in turn until there are `limit`, with the categories taking turns."""
    if limit is None:
        return dict(loaded.sizes)
    of_category = Counter[str]()
    turns = list[tuple[int, str]]()
    for task in loaded.tasks:
        turns.append((of_category[loaded.category(task)], task))
        of_category[loaded.category(task)] += 1
    counts, order = dict.fromkeys(loaded.tasks, 0), [task for _, task in sorted(turns, key=lambda turn: turn[0])]
    left = min(limit, sum(loaded.sizes.values()))
    while left:
        for task in order:
            if left and counts[task] < loaded.sizes[task]:
                counts[task], left = counts[task] + 1, left - 1
    return counts


def sampled(task: str, size: int, count: int) -> list[int]:
    """The places of `count` of a task's rows, in their order: the same ones every time, and with more of them these among them."""
    order = random.Random(f"tunesmith:{task}").sample(range(size), size)
    return sorted(order[:count])
