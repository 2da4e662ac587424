"""Which way to ask was chosen, kept in the cache: the next choice among the same is likely the same, and predicted so."""

import json
from contextlib import suppress
from dataclasses import asdict

from tunesmith.app.shots import strategy_of
from tunesmith.app.task import Task
from tunesmith.core.context import Variant
from tunesmith.core.errors import TunesmithError
from tunesmith.core.files import cache_folder, hash_of, write_json

__all__ = ["known_way", "remember_way"]


def remember_way(task: Task, variant: Variant) -> None:
    """Keep which way to ask was chosen. Where that cannot be kept, nothing is lost but a prediction."""
    with suppress(TunesmithError, OSError):
        write_json(cache_folder("ways") / f"{_key(task)}.json", asdict(variant))


def known_way(task: Task) -> Variant | None:
    """What was chosen when a model of the same was asked rows of the same kind in the same ways, whatever the documents; None where that is not known."""
    try:
        variant = Variant(**json.loads((cache_folder("ways") / f"{_key(task)}.json").read_text(encoding="utf-8")))
    except (TunesmithError, OSError, ValueError, TypeError):
        return None
    return variant if variant in strategy_of(task.recipe).variants() else None


def _key(task: Task) -> str:
    spec, source = task.recipe.context, task.model.source
    assert spec is not None
    files = getattr(strategy_of(task.recipe), "file_options", ())
    options = {name: value for name, value in spec.options.items() if name not in files}
    return hash_of(spec.name, options, source.sha256 or source.name, source.revision, task.objective_name, task.data.facts["train"].format)
