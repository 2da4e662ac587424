"""What the base model says to the test rows: asked once, and kept for every later run that would ask the same."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.app.judged import Judgement, judge, judge_untrained, load_judgement, save_judgement
from tunesmith.app.machine import versions
from tunesmith.app.retention import Remembered, Retention, ask, load_remembered, save_remembered
from tunesmith.app.task import Task
from tunesmith.app.untouched import as_it_came
from tunesmith.core.events import Event, Notice
from tunesmith.core.files import cache_folder, file_sha256, hash_of, hash_of_each
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import HeadObjective

__all__ = ["is_answered", "judge_base"]

T = TypeVar("T")
_PACKAGE = Path(__file__).parents[1]


def judge_base(task: Task, directory: RunDirectory, retention: Retention, say: Callable[[Event], None]) -> tuple[Judgement, Remembered]:
    """The base model's answers: zero-shot for classifiers, none for other heads, as it is for language models; and what it contributes to the retention
    tasks. Call it before the method is applied.

    The base of a run with `model.add_tokens` is the model without them. Answers are kept in the run, so that a resumed run does not ask again, and in the cache under everything that they depend on.
    """
    kept, remembered = directory.path / "base.json", directory.path / "base-retention.json"
    judgement, before = _cached(kept, load_judgement), _cached(remembered, load_remembered)
    is_complete = judgement is not None and (before is not None or not retention.tasks)
    if task.recipe.model.add_tokens and not is_complete:
        task = as_it_came(task, say)
    judgement = judgement or _judgement(task, say)
    save_judgement(kept, judgement)
    if not retention.tasks:
        return judgement, Remembered()
    before = before or _remembered(task, retention, say)
    save_remembered(remembered, before)
    return judgement, before


def is_answered(task: Task) -> bool:
    """Whether an earlier run asked the base the same."""
    file = _file("base", task, _asked(task))
    return file is not None and file.is_file()


def _judgement(task: Task, say: Callable[[Event], None]) -> Judgement:
    file = _file("base", task, _asked(task))
    judgement = _cached(file, load_judgement)
    if judgement is not None:
        say(Notice("the base model was asked the same before: its answers come from the cache."))
        return replace(judgement, is_kept=True)
    judgement = judge_untrained(task, say) if isinstance(task.objective, HeadObjective) else judge(task, say)
    if file is not None:
        save_judgement(file, judgement)
    return judgement


def _remembered(task: Task, retention: Retention, say: Callable[[Event], None]) -> Remembered:
    file = _file("retention", task, (task.encoder.fingerprint(), retention.hashes))
    before = _cached(file, load_remembered)
    if before is not None:
        return replace(before, seconds=0.0)
    before = ask(retention, task, say)
    if file is not None:
        save_remembered(file, before)
    return before


def _cached(file: Path | None, load: Callable[[Path], T]) -> T | None:
    if file is None or not file.is_file():
        return None
    try:
        return load(file)
    except (ValueError, KeyError, TypeError):  # an older layout, or a damaged file: ask again
        return None


def _file(folder: str, task: Task, asked: tuple[Any, ...]) -> Path | None:
    """In the cache, named by a hash of everything that the answers depend on; None where the model's weights are not known by a hash."""
    source, recipe = task.model.source, task.recipe
    if not source.sha256 or source.adapters or source.heads or task.rewards is not None:  # what rewards say may change without a trace
        return None
    computed = (str(task.device), str(task.forward.computes_in), _stored_in(task), task.forward.paths.attention, versions())
    model = (source.sha256, source.drawn_by, source.revision, recipe.model.trust_remote_code, recipe.model.quantization)
    return cache_folder(folder) / f"{hash_of(model, *asked, computed, _code())}.json"


def _asked(task: Task) -> tuple[Any, ...]:
    """What the test rows' answers depend on but for the model."""
    recipe = task.recipe
    judged: Mapping[str, Any] = {
        name: hash_of_each(zip(task.splits[name].examples, task.splits[name].references, strict=True))
        for name in ("test", *task.data.domains)
    }
    asked = {
        "label_texts": recipe.data.label_texts,
        **recipe.evaluate.model_dump(include={"prompts", "max_new_tokens", "generate_limit", "continuations"}),
    }
    return task.encoder.fingerprint(), task.objective_name, json.dumps(asked, sort_keys=True), judged


def _stored_in(task: Task) -> str:
    return str(next(task.model.trunk.parameters()).dtype)


@cache
def _code() -> str:
    """A hash of the code that asks."""
    files = [
        *(_PACKAGE / "engine").rglob("*.py"),
        *(_PACKAGE / "core").glob("*.py"),
        *(_PACKAGE / "evaluation" / name for name in ("predict.py", "forgetting.py")),
    ]
    files += [_PACKAGE / "app" / name for name in ("judged.py", "judging.py", "base.py", "retention_kinds.py")]
    return hash_of([file_sha256(file) for file in sorted(files)])
