"""What the base model says to the test rows: asked once, and kept for every later run that would ask the same."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tunesmith.app.judged import Judgement, judge, judge_untrained, load_judgement, save_judgement
from tunesmith.app.machine import versions
from tunesmith.app.task import Task
from tunesmith.app.untouched import as_it_came
from tunesmith.core.events import Event, Notice
from tunesmith.core.files import cache_folder, file_sha256, hash_of, hash_of_each
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import HeadObjective

__all__ = ["judge_base"]

_PACKAGE = Path(__file__).parents[1]


def judge_base(task: Task, directory: RunDirectory, say: Callable[[Event], None]) -> Judgement:
    """The base model's answers: zero-shot for classifiers, none for other heads, as it is for language models. Call it before the method is applied.

    The base of a run with `model.add_tokens` is the model without them. Answers are kept in the run, so that a resumed run does not ask again, and in the cache under everything that they depend on.
    """
    kept = directory.path / "base.json"
    if kept.is_file():
        return load_judgement(kept)
    if task.recipe.model.add_tokens:
        task = as_it_came(task, say)
    key = _key(task)
    file = cache_folder("base") / f"{key}.json" if key else None
    judgement = _cached(file)
    if judgement is None:
        judgement = judge_untrained(task, say) if isinstance(task.objective, HeadObjective) else judge(task, say)
        if file is not None:
            save_judgement(file, judgement)
    else:
        say(Notice("the base model was asked the same before: its answers come from the cache."))
        judgement = replace(judgement, seconds=0.0)
    save_judgement(kept, judgement)
    return judgement


def _cached(file: Path | None) -> Judgement | None:
    if file is None or not file.is_file():
        return None
    try:
        return load_judgement(file)
    except (ValueError, KeyError, TypeError):  # an older layout, or a damaged file: ask again
        return None


def _key(task: Task) -> str:
    """A hash of everything that the answers depend on; empty where the model's weights are not known by a hash."""
    source, recipe = task.model.source, task.recipe
    if not source.sha256 or source.adapters or source.heads:
        return ""
    judged: Mapping[str, Any] = {
        name: hash_of_each(zip(task.splits[name].examples, task.splits[name].references, strict=True))
        for name in ("test", *task.data.domains)
    }
    asked = {
        "label_texts": recipe.data.label_texts,
        **recipe.evaluate.model_dump(include={"prompts", "max_new_tokens", "generate_limit", "continuations"}),
    }
    computed = (str(task.device), str(task.forward.computes_in), _stored_in(task), task.forward.paths.attention, versions())
    model = (source.sha256, source.revision, recipe.model.trust_remote_code, recipe.model.quantization)
    return hash_of(model, task.encoder.fingerprint(), task.objective_name, json.dumps(asked, sort_keys=True), judged, computed, _code())


def _stored_in(task: Task) -> str:
    return str(next(task.model.trunk.parameters()).dtype)


@cache
def _code() -> str:
    """A hash of the code that asks."""
    files = [*(_PACKAGE / "engine").rglob("*.py"), *(_PACKAGE / "core").glob("*.py"), _PACKAGE / "evaluation" / "predict.py"]
    files += [_PACKAGE / "app" / name for name in ("judged.py", "judging.py", "base.py")]
    return hash_of([file_sha256(file) for file in sorted(files)])
