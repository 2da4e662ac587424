"""What the stages of a chain name, looked for before the first of them begins: whether it is there, not what is in it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.addresses import is_endpoint
from tunesmith.core.errors import DataError, ModelError, RecipeError, TunesmithError, UsageError, did_you_mean
from tunesmith.core.run import RunDirectory, find_run
from tunesmith.data import is_template_file, require_there
from tunesmith.model._folder import check_complete
from tunesmith.model.source import alias_names, require_hub_id
from tunesmith.recipe import PREFIX, Chain, PluginSpec, Recipe, named_stages

__all__ = ["check_sources"]

_MODEL_FILES = (".gguf", ".h5", ".hdf5", ".keras")
_OF_METRICS = ("schema", "instructions")
_ALWAYS_MADE = ("recipe.yaml", "report.html")


def check_sources(chain: Chain) -> None:
    """Look at names and at the disk alone: no row is read, no model loaded, and no network asked.

    Raises: TunesmithError, naming the stage, where a file, folder, run or alias that it names cannot be there, or an earlier stage makes no such file.
    """
    recipes = dict[str, Recipe]()
    for stage, values in chain.stages.items():
        recipes[stage] = chain.recipe(stage, {})
        try:
            for text, of, file in named_stages(values):
                if file:
                    _check_made(text, of, file, recipes[of])
            _check_model(recipes[stage])
            for source in _data(recipes[stage]):
                _check_data(source)
            for spec in _plugins(recipes[stage]):
                _check_plugin(spec)
        except TunesmithError as error:
            raise type(error)(f"{chain.name}: stages.{stage}: {error}") from None


def _check_made(text: str, stage: str, file: str, recipe: Recipe) -> None:
    """Raises: RecipeError, where a stage of that recipe leaves no such file behind."""
    run = RunDirectory(Path())
    names = [*_ALWAYS_MADE, *(getattr(run, name).name for name, found in vars(RunDirectory).items() if isinstance(found, property))]
    first = Path(file).parts[0]
    if first not in names:
        raise RecipeError(f"{text}: a run leaves no {first} behind.{did_you_mean(first, names)}")
    if first == run.h5.name and recipe.export is None:
        raise RecipeError(f"{text}: the stage {stage} writes none. Let it: {stage}.export=h5.")
    if first in (run.pairs.name, run.test_pairs.name) and not (recipe.objective and recipe.objective.options.get("writes_pairs")):
        raise RecipeError(f"{text}: the stage {stage} writes none: that is what objective.writes_pairs of best_of_n is for.")


def _check_model(recipe: Recipe) -> None:
    """Raises: ModelError, RunError, where the model is no alias, file, folder or run, and cannot be of the hub."""
    spec = recipe.model
    if spec.words is not None and not _is_there(spec.words):
        raise ModelError(f"model.words: {spec.words}: no such file.")
    source, path = spec.source, Path(spec.source).expanduser()
    if spec.architecture is not None or is_endpoint(source) or source.startswith(PREFIX) or source in alias_names():
        return
    if source.startswith("run:"):
        find_run(source)
    elif source.lower().endswith(_MODEL_FILES):
        if not path.is_file():
            raise ModelError(f"model.source: {source}: no such file.")
    elif path.is_dir():
        if not any((path / name).is_file() for name in ("recipe.yaml", "adapter_config.json")):
            check_complete(source, path)
    else:
        require_hub_id(source)


def _data(recipe: Recipe) -> Iterator[str | Mapping[str, Any]]:
    """Every source of rows that a recipe names."""
    data, kept = recipe.data, recipe.evaluate.retention
    found = [data.train, data.validation, data.test, data.documents]
    for name, entry in data.mix.items():
        found += [entry.source or name, entry.validation, entry.test]
    found += [domain.source for domain in recipe.evaluate.domains.values()]
    found += [] if isinstance(kept, str) else [spec.source for spec in kept.values()]
    if recipe.context is not None and (documents := recipe.context.options.get("documents")):
        found.append(documents)
    if data.chat_template is not None and is_template_file(data.chat_template) and not _is_there(data.chat_template):
        raise RecipeError(f"data.chat_template: {data.chat_template}: no such file.")
    yield from (source for source in found if source is not None)


def _check_data(source: str | Mapping[str, Any]) -> None:
    """Raises: DataError, UsageError."""
    named = [source] if isinstance(source, str) else [value for value in source.values() if isinstance(value, str)]
    from_stages = [text for text in named if text.startswith(PREFIX)]
    whole = next((text for text in from_stages if "/" not in text), None)
    if whole is not None:
        raise DataError(f"{whole}: is a run, and rows come from a file of it. Name one, as {whole}/{RunDirectory(Path()).pairs}.")
    if not from_stages:
        require_there(source)


def _plugins(recipe: Recipe) -> Iterator[PluginSpec]:
    yield from (*recipe.rewards, *recipe.evaluate.rewards, *(recipe.evaluate.metrics or ()))
    if recipe.context is not None:
        yield recipe.context


def _check_plugin(spec: PluginSpec) -> None:
    """Raises: RunError, UsageError, where a run or a file that it is given is not there."""
    for option, value in spec.options.items():
        if not isinstance(value, str) or not value or value.startswith(PREFIX):
            continue
        if option == "run":
            find_run(value)
        code, _, name = value.rpartition(":")
        is_code = option == "function" and code.endswith(".py") and bool(name)
        if (is_code and not _is_there(code)) or (option in (*_OF_METRICS, "index") and not _is_there(value)):
            raise UsageError(f"{spec.name}: {option}: {code if is_code else value}: no such file or folder. Check the path.")


def _is_there(name: str) -> bool:
    return name.startswith(PREFIX) or Path(name).expanduser().exists()
