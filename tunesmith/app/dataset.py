"""From the recipe's data section to examples, split. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.core.errors import DataError
from tunesmith.core.types import Example, Labelled
from tunesmith.data import Dataset, SourceFacts, Splits, limited, read, refuse_overlap, split
from tunesmith.recipe import DataSpec, Recipe

__all__ = ["PreparedData", "prepare_data"]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Examples of every split, and of the domains that are measured only."""

    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    domains: dict[str, Sequence[Example]]
    labels: tuple[str, ...]
    facts: dict[str, SourceFacts]
    """Of the source that each split, and each domain, was taken from."""


def prepare_data(recipe: Recipe) -> PreparedData:
    """Read every source that the recipe names, and split what has no split of its own.

    Raises: DataError, FetchError, UsageError.
    """
    spec = recipe.data
    train = read(spec.train, format=spec.format, columns=spec.columns, labels=spec.labels, task=recipe.name)
    labels = train.facts.labels
    own = {name: _more(spec, source, train) for name, source in (("validation", spec.validation), ("test", spec.test)) if source is not None}
    parts = split(train, validation=0 if "validation" in own else spec.split.validation, test=0 if "test" in own else spec.split.test)
    splits = Splits(
        parts.train,
        own["validation"].examples if "validation" in own else parts.validation,
        own["test"].examples if "test" in own else parts.test,
    )
    refuse_overlap(splits, spec.allow_overlap)
    facts = {name: own[name].facts if name in own else train.facts for name in ("train", "validation", "test")}
    domains = dict[str, Sequence[Example]]()
    for name, domain in recipe.evaluate.domains.items():
        if name in ("train", "validation", "test"):
            raise DataError(f"evaluate.domains.{name}: the name is taken by a split. Choose another.")
        dataset = read(domain.source, format=domain.format, columns=domain.columns, labels=domain.labels or spec.labels or labels or None)
        if type(dataset.examples[0]) is not type(train.examples[0]):
            kinds = type(dataset.examples[0]).__name__, type(train.examples[0]).__name__
            raise DataError(f"evaluate.domains.{name}: {domain.source} gives {kinds[0]} examples, data.train {kinds[1]}. Set its columns or format.")
        domains[name], facts[name] = limited(dataset.examples, domain.limit), dataset.facts
    return PreparedData(
        limited(splits.train, spec.limit.train),
        limited(splits.validation, spec.limit.validation),
        limited(splits.test, spec.limit.test),
        domains,
        labels if isinstance(train.examples[0], Labelled) else (),
        facts,
    )


def _more(spec: DataSpec, source: str, train: Dataset) -> Dataset:
    """A validation or test source of its own, read as the training data was."""
    return read(source, format=train.facts.format, columns=spec.columns, labels=spec.labels or train.facts.labels or None)
