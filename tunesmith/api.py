"""Python's door: `tunesmith.tune(model=..., data=...)`, `tunesmith.compare(...)`."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from tunesmith.app.advise import advise as advise_recipe
from tunesmith.app.compare import compare as compare_recipe
from tunesmith.app.group import Group, tune_curve, tune_seeds
from tunesmith.app.run import Run
from tunesmith.app.spoken import python_words
from tunesmith.app.tune import tune as tune_recipe
from tunesmith.comparison.advice import Want
from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.events import Event
from tunesmith.core.files import cache_folder, write_text
from tunesmith.data import is_named_by_mapping
from tunesmith.recipe import Recipe, dump, from_mapping, load
from tunesmith.recipe.text import parse_yaml

__all__ = ["advise", "compare", "tune"]

T = TypeVar("T")


@overload
def tune(recipe: str | Path | None = None, *, seeds: None = None, curve: None = None, **options: Any) -> Run: ...
@overload
def tune(recipe: str | Path | None = None, *, seeds: int, **options: Any) -> Group: ...
@overload
def tune(recipe: str | Path | None = None, *, curve: Sequence[float], **options: Any) -> Group: ...
def tune(
    recipe: str | Path | None = None,
    *,
    model: str | Mapping[str, Any] | None = None,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    seeds: int | None = None,
    curve: Sequence[float] | None = None,
    progress: Callable[[Event], None] | None = None,
    **sections: Any,
) -> Run | Group:
    """Adapt a model to data, measure base against tuned, and write a run with its report.

    Args:
        recipe: a recipe file, or the name of a shipped one, that the other arguments change; None: they are the whole recipe.
        model: alias, hub id, folder, `run:ID`, or the recipe's `model` section as a mapping.
        data: what to learn from: path, alias, hub id, pandas.DataFrame, datasets.Dataset, list of dicts, or the recipe's `data` section as a
            mapping (whose `train`, `validation` and `test` may be such objects too).
        validation: data of its own to choose the best weights by; None: split off.
        test: data of its own for the final judgement; None: split off.
        seeds: so many runs, of the recipe's seed and those that follow it, on the same rows; None: one run.
        curve: parts of the training rows, such as (0.1, 0.3, 1.0), each trained on in a run of its own; None: one run, on all of them.
        progress: is told what happens, event by event; None: a bar on a terminal or in a notebook, plain lines elsewhere.
        sections: the recipe's other keys: `method="lora"`, `train={"epochs": 3}`, `output_dir="out"`, `seed=1`.
    Returns: the run, with `.report`, `.predict(texts)`, `.generate(prompts)` and `.path`; with `seeds` or `curve` the group of runs, with `.report`,
        `.runs` and `.path`, which goes on where the same call was interrupted.
    Raises: TunesmithError, with one line that says what is wrong and what to do.
    """

    def act(made: Recipe, say: Callable[[Event], None]) -> Run | Group:
        return _tuned(made, seeds, curve, say)

    return _done("tune", act, recipe, {"model": model, "data": data, "validation": validation, "test": test}, sections, progress)


def compare(
    recipe: str | Path | None = None,
    *,
    model: str | Mapping[str, Any] | None = None,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    progress: Callable[[Event], None] | None = None,
    **sections: Any,
) -> Group:
    """Adapt a model in several ways on the same data, and say which may be the best, and which of these to take.

    Args:
        recipe, model, data, validation, test, progress: as of `tune`.
        sections: the recipe's other keys: `arms=["base", "head", "lora"]`, `budget="20m"`, `prefer="latency"`.
    Returns: the group of the arms' runs, with `.report` (its `verdict` has `best`, `choice` and `reason`), `.runs` and `.path`; the same call goes on where it was interrupted.
    Raises: TunesmithError, with one line that says what is wrong and what to do.
    """
    return _done("compare", _compared, recipe, {"model": model, "data": data, "validation": validation, "test": test}, sections, progress)


def advise(
    recipe: str | Path | None = None,
    *,
    model: str | Mapping[str, Any] | None = None,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    want: Want | None = None,
    probe: bool = True,
    progress: Callable[[Event], None] | None = None,
    **sections: Any,
) -> dict[str, Any]:
    """Say what fits this machine, what each way to adapt the model would take, and which are worth comparing, before anything runs.

    Args:
        recipe, model, data, validation, test, progress: as of `tune`.
        want: what the model is to get: "knowledge", "behaviour" or "changing-facts"; None: behaviour, which the document says was assumed.
        probe: whether what is not known of this model on this machine is measured, in some ten seconds.
        sections: the recipe's other keys: `arms=...`, `budget="20m"`.
    Returns: the document that `tunesmith advise --json` prints; its `recipe` is the comparison's, as YAML. All its seconds and bytes are predictions.
    Raises: TunesmithError, with one line that says what is wrong and what to do.
    """

    def act(made: Recipe, say: Callable[[Event], None]) -> dict[str, Any]:
        return advise_recipe(made, want=want, probes=probe, progress=say)

    return _done("advise", act, recipe, {"model": model, "data": data, "validation": validation, "test": test}, sections, progress)


def _compared(recipe: Recipe, say: Callable[[Event], None]) -> Group:
    return compare_recipe(recipe, progress=say)


def _done(
    name: str, act: Callable[[Recipe, Callable[[Event], None]], T], recipe: str | Path | None, given: Mapping[str, Any],
    sections: Mapping[str, Any], progress: Callable[[Event], None] | None,
) -> T:  # fmt: skip
    """What `act` makes of the recipe that a caller's words stand for. `given`: model, data, validation and test, as `tune` takes them."""
    changes, kept = dict(sections), dict[str, str]()
    if given["model"] is not None:
        changes["model"] = given["model"]
    found = _data_section(given, kept)
    if found:
        changes["data"] = found
    if recipe is None and not {"model", "data"} <= changes.keys():
        raise UsageError(f'{name}() needs a recipe, or model=... and data=...: tunesmith.{name}(model="minilm-l6", data="reviews.csv")')
    content = parse_yaml(dump(load(recipe)), str(recipe)) if recipe is not None else {}
    with python_words(kept) as spoken:
        made = from_mapping(_merged(content, changes), name=Path(recipe).stem if recipe is not None else "python")
        if progress is not None:
            return act(made, spoken(progress))
        from tunesmith.cli.notebook import NotebookProgress, in_notebook
        from tunesmith.cli.progress import Progress

        with NotebookProgress() if in_notebook() else Progress() as bar:
            return act(made, spoken(bar))


def _data_section(given: Mapping[str, Any], kept: dict[str, str]) -> dict[str, Any]:
    """The recipe's `data`; what is in memory is written to files first, and `kept` told what a caller would call each."""
    data = given["data"]
    section = dict(data) if isinstance(data, Mapping) else {"train": data}
    section |= {name: given[name] for name in ("validation", "test") if given[name] is not None}
    for name in ("train", "validation", "test"):
        source = section.get(name)
        if source is not None and not isinstance(source, str) and not is_named_by_mapping(source):
            if not isinstance(source, Path):
                section[name], shown = _kept(source)
                kept.setdefault(section[name], shown if name == "train" else f"{name} {shown}")
            else:
                section[name] = str(source)
    return {name: value for name, value in section.items() if value is not None}


def _tuned(recipe: Recipe, seeds: int | None, curve: Sequence[float] | None, progress: Callable[[Event], None]) -> Run | Group:
    if seeds is not None and curve is not None:
        raise UsageError("tune(): seeds and curve stand beside each other. Leave one of them out.")
    if seeds is not None:
        return tune_seeds(recipe, seeds, progress=progress)
    if curve is not None:
        return tune_curve(recipe, curve, progress=progress)
    return tune_recipe(recipe, progress=progress)


def _merged(content: Mapping[str, Any], changes: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """`content` with `changes`: sections are merged key by key; another method, objective or source of data replaces the old one with its options."""
    merged = dict(content)
    for name, value in changes.items():
        old = merged.get(name)
        replaces = name in ("method", "objective", "context") and _name_of(value) not in (None, _name_of(old))
        replaces = replaces or name == "arms" or (section == "data" and name in ("train", "validation", "test"))
        merged[name] = _merged(old, value, name) if isinstance(old, Mapping) and isinstance(value, Mapping) and not replaces else value
        if name == "model" and isinstance(old, Mapping) and isinstance(value, str):
            merged[name] = {**old, "source": value}
    return merged


def _kept(source: Any) -> tuple[str, str]:
    """Write data that is in memory to a file of the cache, named by its content, so that the run can be resumed and repeated.

    Returns: the file, and what the caller would call the data: DataFrame, Dataset, list.
    Raises: DataError, where it is no table.
    """
    table = registry.create("data_source", "memory").read(source)
    names = table.facts.class_names  # a class given as a number is written by its name
    lines = [
        json.dumps(
            {key: names[key][v] if key in names and isinstance(v, int) and 0 <= v < len(names[key]) else v for key, v in record.items()},
            default=str,
        )
        for record in table.records
    ]
    file = cache_folder("memory") / f"{table.facts.sha256[:32]}.jsonl"
    write_text(file, "\n".join(lines) + "\n")
    return str(file.absolute()), table.facts.name


def _name_of(section: Any) -> Any:
    return section.get("name") if isinstance(section, Mapping) else section
