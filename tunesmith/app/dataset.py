"""From the recipe's data section to examples, split. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.core.types import Example
from tunesmith.data import Dataset, InvalidRow, SourceFacts, Splits, limited, num_overlapping, read, refuse_overlap, split
from tunesmith.recipe import DataSpec, Recipe, Source

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
    warnings: tuple[str, ...]
    """What the recipe asks for and these data do not allow, one line each."""
    invalid: tuple[InvalidRow, ...] = ()
    """The rows that were left out, where the recipe asks for that."""


def prepare_data(recipe: Recipe) -> PreparedData:
    """Read every source that the recipe names, and split what has no split of its own.

    Raises: DataError, FetchError, UsageError.
    """
    spec = recipe.data
    train = read(spec.train, format=spec.format, columns=spec.columns, labels=spec.labels, task=recipe.name, skip_invalid=spec.skip_invalid)
    labels = train.facts.labels
    own = {
        name: _more(spec, source, train) for name, source in (("validation", spec.validation), ("test", spec.test)) if source is not None
    }
    parts = split(train, validation=0 if "validation" in own else spec.split.validation, test=0 if "test" in own else spec.split.test)
    splits = Splits(
        parts.train,
        own["validation"].examples if "validation" in own else parts.validation,
        own["test"].examples if "test" in own else parts.test,
    )
    refuse_overlap(splits, spec.allow_overlap)
    facts = {name: own[name].facts if name in own else train.facts for name in ("train", "validation", "test")}
    domains, warnings = dict[str, Sequence[Example]](), list[str]()
    read_from = [train, *own.values()]
    for name, domain in recipe.evaluate.domains.items():
        dataset = read(domain.source, format=domain.format, columns=domain.columns, labels=domain.labels, skip_invalid=spec.skip_invalid)
        read_from.append(dataset)
        why_not = _not_comparable(dataset, train)
        if why_not:
            warnings.append(f"evaluate.domains.{name}: not measured: {why_not}")
            continue
        shared = num_overlapping(splits.train, dataset.examples)
        if shared:
            warnings.append(f"evaluate.domains.{name}: {shared} of its {len(dataset.examples)} texts also stand in the training data.")
        domains[name], facts[name] = limited(dataset.examples, domain.limit), dataset.facts
    return PreparedData(
        limited(splits.train, spec.limit.train),
        limited(splits.validation, spec.limit.validation),
        limited(splits.test, spec.limit.test),
        domains,
        labels,
        facts,
        tuple(warnings + _left_out(read_from)),
        tuple(row for dataset in read_from for row in dataset.invalid),
    )


def _not_comparable(domain: Dataset, train: Dataset) -> str:
    """Why a domain cannot be measured with what was learned; empty where it can."""
    kinds = type(domain.examples[0]).__name__, type(train.examples[0]).__name__
    if kinds[0] != kinds[1]:
        return f"{domain.facts.name} gives {kinds[0]} examples, the training data {kinds[1]}. Set its columns or its format."
    strange = [label for label in domain.facts.labels if label not in train.facts.labels]
    if strange:
        known, found = ", ".join(train.facts.labels), ", ".join(domain.facts.labels)
        return f"its labels ({found}) are not those of the training data ({known}). Set its labels, such as {{{strange[0]}: {train.facts.labels[0]}}}."
    return ""


def _left_out(read_from: Sequence[Dataset]) -> list[str]:
    """What was left out as invalid, a line a source."""
    return [
        f"data.skip_invalid: {dataset.facts.name}: {dataset.facts.num_invalid:,} of {dataset.facts.num_rows + dataset.facts.num_invalid:,} rows "
        f"are invalid and were left out; the first: {dataset.invalid[0].message} A run keeps them all in its quarantine.jsonl."
        for dataset in read_from
        if dataset.invalid
    ]


def _more(spec: DataSpec, source: Source, train: Dataset) -> Dataset:
    """A validation or test source of its own, read as the training data was."""
    return read(
        source,
        format=train.facts.format,
        columns=spec.columns,
        labels=spec.labels or train.facts.labels or None,
        skip_invalid=spec.skip_invalid,
    )
