"""Relative paths of a recipe, made whole, so that its run can be resumed and used from any folder."""

import glob
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tunesmith.core import registry
from tunesmith.core.errors import RecipeError, RunError
from tunesmith.core.run import find_run
from tunesmith.data import is_template_file
from tunesmith.data.sources._aliases import DOCUMENTS
from tunesmith.recipe import PluginSpec, Recipe
from tunesmith.recipe.overrides import source_of
from tunesmith.recipe.places import section_at, takes_source

__all__ = ["anchored", "anchored_change"]


def anchored(recipe: Recipe) -> Recipe:
    """The recipe with every source that is a file or folder here, or a run, under its whole path. Aliases and hub ids stay."""
    mix = {
        name: entry.model_copy(
            update={"source": _whole(entry.source or name), "validation": _whole(entry.validation), "test": _whole(entry.test)}
        )
        for name, entry in recipe.data.mix.items()
    }
    own = {name: _whole(getattr(recipe.data, name)) for name in ("train", "validation", "test", "documents")}
    data = recipe.data.model_copy(update={**own, "mix": mix})
    if data.chat_template is not None and is_template_file(data.chat_template):
        data = data.model_copy(update={"chat_template": _whole(data.chat_template)})
    rewards, judges = ([_with_whole_paths("reward", spec) for spec in specs] for specs in (recipe.rewards, recipe.evaluate.rewards))
    metrics = recipe.evaluate.metrics and [_with_whole_paths("metric", spec) for spec in recipe.evaluate.metrics]
    context = recipe.context and _with_whole_paths("strategy", recipe.context)
    domains = {name: spec.model_copy(update={"source": _whole(spec.source)}) for name, spec in recipe.evaluate.domains.items()}
    kept = recipe.evaluate.retention
    retention = (
        kept if isinstance(kept, str) else {name: spec.model_copy(update={"source": _whole(spec.source)}) for name, spec in kept.items()}
    )
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update={"source": _whole(recipe.model.source), "words": _whole(recipe.model.words)}),
            "data": data,
            "context": context,
            "rewards": rewards,
            "evaluate": recipe.evaluate.model_copy(
                update={"domains": domains, "metrics": metrics, "retention": retention, "rewards": judges}
            ),
        }
    )


def anchored_change(change: str) -> str:
    """A change of a recipe, as on the command line, with a source that is a file or folder here, or a run, under its whole path. Sections of several sources stay as they are.

    Raises: RunError, for a run that is not there.
    """
    key, _, text = change.partition("=")
    if not text or not _names_source(key, text):
        return change
    try:
        value = source_of(tuple(key.split(".")), text)
    except RecipeError:  # it is said where the arm's recipe is read
        return change
    if isinstance(value, Mapping) and key == "model":
        whole: dict[str, Any] = {**value, **{name: _whole(value[name]) for name in ("source", "words") if isinstance(value.get(name), str)}}
        return change if whole == value else f"{key}={json.dumps(whole)}"
    if isinstance(value, Mapping):
        return f"{key}={json.dumps(_whole(value))}" if takes_source(key.split(".")) else change
    return f"{key}={_whole(value)}" if isinstance(value, str) else change


def _names_source(key: str, text: str) -> bool:
    if key in ("model", "model.source", "model.words") or key in _context_files():
        return True
    if key == "data.chat_template":
        return is_template_file(text)
    keys = key.split(".")
    section = section_at(keys)
    return takes_source(keys) or (section is not None and section.shorthand is not None and takes_source([*keys, section.shorthand]))


@cache
def _context_files() -> frozenset[str]:
    """Options of a context that name files."""
    return frozenset(
        f"context.{option}"
        for name in registry.names("strategy")
        for option in getattr(registry.load("strategy", name), "file_options", ())
    )


def _with_whole_paths(kind: str, spec: PluginSpec) -> PluginSpec:
    files = set(getattr(registry.load(kind, spec.name), "file_options", ()))
    if kind == "reward" and (metric := spec.options.get("metric")) in registry.names("metric"):
        files.update(getattr(registry.load("metric", metric), "file_options", ()))  # its options stand beside the reward's own
    whole = {name: _whole_file(value) if name in files else value for name, value in spec.options.items()}
    return replace(spec, options=whole | {name: _whole_run(value) for name, value in whole.items() if kind == "reward" and name == "run"})


def _whole_run(value: Any) -> Any:
    """A run by its id alone, as one by its folder; what is none is said where it is asked."""
    if not isinstance(value, str) or value.startswith(("run:", "stage:")):
        return value
    try:
        return f"run:{find_run(value).path.resolve()}"
    except RunError:
        return value


def _whole_file(value: Any) -> Any:
    """A source, or code in a file: `file.py:name`."""
    if isinstance(value, str) and ".py:" in value:
        file, _, name = value.rpartition(":")
        return f"{_whole(file)}:{name}"
    return _whole(value)


def _whole(source: str | Mapping[str, Any] | None) -> str | Mapping[str, Any] | None:
    if not source:  # none, or an option that is left empty
        return source
    if isinstance(source, Mapping):
        options = dict(source)
        whole: dict[str, Any] = options | registry.create("data_source", registry.named_by("data_source", options), **options).whole_paths()
        return whole
    if source.startswith("run:"):
        return f"run:{find_run(source).path.resolve()}"
    if source.startswith(DOCUMENTS):
        return f"{DOCUMENTS}{_whole(source.removeprefix(DOCUMENTS))}"
    path = Path(source).expanduser()
    try:
        if path.exists():
            return str(path.resolve())
    except OSError:  # a text that is too long for a path
        return source
    is_pattern = glob.has_magic(source) and next(glob.iglob(str(path), recursive=True), None) is not None  # noqa: PTH207  (a pattern from the root, too)
    return str(path.absolute()) if is_pattern else source
