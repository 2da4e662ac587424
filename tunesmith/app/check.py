"""A source or a recipe's data, checked before anything is trained on it. Nothing is loaded of the model that is to learn but its tokenizer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunesmith.app.mixture import split_by_shares
from tunesmith.core import registry
from tunesmith.core.errors import DataError, FetchError, ModelError
from tunesmith.core.types import Example
from tunesmith.data import TextEncoder, chat_template, read
from tunesmith.data.check import CheckReport, check
from tunesmith.data.checks.duplicates import NEAR
from tunesmith.data.checks.reading import Reading, find_unreadable, read_to_the_end
from tunesmith.data.checks.shift import Vectors
from tunesmith.data.checks.texts import full_text
from tunesmith.recipe import Recipe, Source, from_mapping, load, read_mapping, shipped_recipes, source_name
from tunesmith.recipe.overlays import stand_in_architecture

__all__ = ["Checked", "check_data"]

_NO_MODEL = "none"
_OF_OWN = ("architecture=null", "vocabulary={}", "labels=null", "words=null", "padding_side=null")
"""What a recipe says of its own model alone, and not of another that is named in its place; an architecture's options go with it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The report, and every row that it is about, by source: what a cleaned copy is made from."""

    report: CheckReport
    readings: dict[str, Reading]


def check_data(
    source: str,
    overrides: Sequence[str] = (),
    *,
    model: str | None = None,
    against: Sequence[str] = (),
    shifts: Sequence[str] = (),
    near: float = NEAR,
    embed: str | None = None,
) -> Checked:
    """Check every row that a recipe would split and learn from, before `data.limit`; or those of a source.

    Args:
        source: a recipe file, the name of a shipped recipe, or whatever `data.train` may be. What is both a recipe and a source is the recipe.
        overrides: changes to the recipe; for a source, `data.columns.text=COLUMN` and the like.
        model: whose tokens to count; None: the recipe's, or none for a source.
        against: sources, or names of the recipe's domains, of which nothing should stand in training; the recipe's domains always are.
        shifts: sources, or names of domains, to measure the distance to; none: the recipe's domains.
        near: the similarity from which texts are nearly the same.
        embed: a model whose vectors of the texts are looked at for a shift, beside their words.
    Raises: DataError, where a file cannot be taken apart into rows or no row can be read; FetchError, UsageError.
    """
    is_recipe = source in shipped_recipes() or Path(source).suffix.lower() in (".yaml", ".yml")
    if is_recipe:
        recipe = _with_model(source, overrides, model) if model else load(source, overrides)
    else:
        recipe = from_mapping({"model": model or _NO_MODEL, "data": {"train": source}}, name="check", overrides=overrides)
    readings = _read(recipe)
    splits, sources = _splits(recipe, readings, holds_out=is_recipe)
    domains = recipe.evaluate.domains
    others = {name: _other(recipe, name) for name in dict.fromkeys([*domains, *against, *shifts])}
    shown = _shown(others)
    labels = next(iter(readings.values())).facts.labels if not recipe.data.mix else ()
    encoder, notes = _encoder(recipe, labels, splits.get("train", ()), is_needed=model is not None)
    found = [one for name, reading in readings.items() for one in find_unreadable(_first(sources, name), reading)]
    report = check(
        splits,
        name=source,
        sources=sources,
        encoder=encoder,
        too_long=recipe.data.too_long,
        against={shown[name]: others[name] for name in dict.fromkeys([*domains, *against])},
        shifts_to={shown[name]: others[name] for name in dict.fromkeys(shifts or domains)},
        near=near,
        embed=(embed, _vectors(embed)) if embed else None,
        english=_english() if encoder else (),
        found=found,
        notes=[*(note for reading in readings.values() for note in reading.facts.notes), *notes],
    )
    return Checked(report, readings)


def _with_model(source: str, overrides: Sequence[str], model: str) -> Recipe:
    """A recipe with another model in place of its own."""
    values = dict(read_mapping(source))
    stand_in_architecture(values)  # its options stand beside it as keys of the model, and of another they are none
    another = [f"model.source={model}", *(f"model.{change}" for change in _OF_OWN)]
    return from_mapping(values, name=Path(source).stem, where=source, overrides=[*overrides, *another])


def _read(recipe: Recipe) -> dict[str, Reading]:
    """Every source of the recipe's splits, each once, by its name."""
    readings = dict[str, Reading]()
    for spec in _sets(recipe):
        train = read_to_the_end(spec.train, format=spec.format, columns=spec.columns, labels=spec.labels)
        readings[source_name(spec.train)] = train
        for other in (spec.validation, spec.test):
            if other is not None and source_name(other) not in readings:
                labels = spec.labels or train.facts.labels or None
                readings[source_name(other)] = read_to_the_end(other, format=train.facts.format, columns=spec.columns, labels=labels)
    return readings


@dataclass(frozen=True, slots=True)
class _Set:
    """A data set of the recipe: its only one, or one of a mixture."""

    train: Source
    validation: Source | None
    test: Source | None
    format: str | None
    columns: Mapping[str, str]
    labels: Mapping[str, str] | None


def _sets(recipe: Recipe) -> list[_Set]:
    spec = recipe.data
    if spec.train is not None:
        return [_Set(spec.train, spec.validation, spec.test, spec.format, spec.columns, spec.labels)]
    return [_Set(one.source or name, one.validation, one.test, one.format, one.columns, one.labels) for name, one in spec.mix.items()]


def _splits(recipe: Recipe, readings: dict[str, Reading], *, holds_out: bool) -> tuple[dict[str, Sequence[Example]], dict[str, str]]:
    """The splits as tuning would make them, and the source of each; a source alone is one split."""
    found, sources = dict[str, list[Example]](), dict[str, list[str]]()
    for spec in _sets(recipe):
        first = source_name(spec.train)
        train = readings[first].dataset
        own = {name: source_name(source) for name, source in (("validation", spec.validation), ("test", spec.test)) if source is not None}
        parts = split_by_shares(train, recipe.data.split, own).named() if holds_out else {"train" if own else "data": train.examples}
        for name, examples in {**parts, **{name: readings[source].dataset.examples for name, source in own.items()}}.items():
            found.setdefault(name, []).extend(examples)
            sources.setdefault(name, []).append(own.get(name, first))
    return dict(found), {name: " + ".join(dict.fromkeys(names)) for name, names in sources.items()}


def _vectors(model: str) -> Vectors:
    from tunesmith.app.embedding import text_vectors  # torch, which nothing else here needs

    return text_vectors(model)


def _english() -> list[str]:
    """English to compare a tokenizer's work with: Python's language reference; nothing where this Python comes without it."""
    try:
        return [full_text(example) for example in read("python-reference").examples]
    except DataError:
        return []


def _first(sources: dict[str, str], source: str) -> str:
    return next(name for name, own in sources.items() if source in own.split(" + "))


def _shown(names: Iterable[str]) -> dict[str, str]:
    """Each name without its folders, where that still tells it from the others."""
    short = {name: Path(name).name for name in names}
    return {name: last if list(short.values()).count(last) == 1 else name for name, last in short.items()}


def _other(recipe: Recipe, name: str) -> Sequence[Example]:
    """A domain of the recipe, or a source: read as the training data is where that fits, else as its columns say."""
    domain, spec = recipe.evaluate.domains.get(name), recipe.data
    if domain is not None:
        return read_to_the_end(domain.source, format=domain.format, columns=domain.columns, labels=domain.labels).dataset.examples
    if spec.columns or spec.labels or spec.format:
        try:
            return read_to_the_end(name, format=spec.format, columns=spec.columns, labels=spec.labels).dataset.examples
        except DataError:
            pass
    return read_to_the_end(name).dataset.examples


def _encoder(recipe: Recipe, labels: tuple[str, ...], train: Sequence[Example], *, is_needed: bool) -> tuple[TextEncoder | None, list[str]]:
    """The recipe's encoder, of a network that is made anew as it learns to read these rows; None, and why, where its model reads no tokens, or cannot be had and nobody asked for it on the command line. One that was asked for need not be able to learn what the recipe is for."""
    if recipe.model.source == _NO_MODEL:
        return None, []
    from tunesmith.app.new_network import made_anew
    from tunesmith.model.load import load_tokenizer

    objective = registry.create("objective", recipe.objective.name, **recipe.objective.options) if recipe.objective else None
    uses_lm_head = objective is not None and objective.uses_lm_head
    spec = recipe.model
    try:
        tokenizer, facts = load_tokenizer(
            spec.source if spec.architecture is None else made_anew(recipe, train), revision=spec.revision, trust_remote_code=spec.trust_remote_code, max_length=spec.max_length,
            need="lm" if uses_lm_head and not is_needed else "any", beside=spec.beside,
        )  # fmt: skip
    except (FetchError, ModelError, DataError) as error:
        if is_needed:
            raise
        return None, [f"tokens were not counted: {error}"]
    if facts.num_columns:
        return None, [f"tokens were not counted: {facts.name} reads rows of {facts.num_columns} numbers."]
    data = recipe.data
    template = tuple(data.template) if isinstance(data.template, list) else data.template
    labelled_as: Literal["class", "answer"] = "answer" if uses_lm_head else "class"
    if data.chat_template is not None:
        tokenizer.chat_template = chat_template(data.chat_template, tokenizer, facts.name)
    return TextEncoder(tokenizer, facts, labels, facts.max_length, template, data.system, labelled_as, data.loss_on), []
