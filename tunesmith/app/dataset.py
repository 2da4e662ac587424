"""From the recipe's data section to examples, split. No torch here."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.app.mixture import MixedSet, as_task, most_bytes, read_mixture, split_by_shares, templates_of
from tunesmith.core.types import Example
from tunesmith.data import (
    Asked,
    Dataset,
    InvalidRow,
    SourceFacts,
    Splits,
    fraction_of,
    kept_labels,
    kept_splits,
    limited,
    num_overlapping,
    read,
    refuse_overlap,
)
from tunesmith.recipe import DataSpec, Recipe, Source

__all__ = ["PreparedData", "prepare_data", "reading_once"]


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
    sets: Mapping[str, MixedSet] = field(default_factory=dict)
    """The data sets of a mixture, by name; empty where there is none."""
    rows: Sequence[Example] = ()
    """All training rows, which `train` is of, unless it is of documents that are learned in their place."""

    @property
    def asked(self) -> dict[str, Asked]:
        """How the examples of each set of a mixture are asked."""
        return {name: Asked(one.templates, one.labels) for name, one in self.sets.items()}


_KEPT: ContextVar[dict[tuple[str, ...], PreparedData] | None] = ContextVar("_KEPT", default=None)


@contextlib.contextmanager
def reading_once() -> Iterator[None]:
    """Within the block data that were read are kept, so that what is trained on them in turn reads them once, and learns from the same rows."""
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def prepare_data(recipe: Recipe) -> PreparedData:
    """Read every source that the recipe names, and split what has no split of its own.

    Raises: DataError, FetchError, UsageError.
    """
    kept = _KEPT.get()
    key = (recipe.name, *(json.dumps(part, sort_keys=True, default=str) for part in _read_from(recipe)))
    whole = (kept or {}).get(key) or _whole(recipe)
    if kept is not None:
        kept[key] = whole
    return replace(whole, train=fraction_of(whole.train, recipe.data.train_fraction))


def _read_from(recipe: Recipe) -> tuple[Any, Any]:
    """All that the data depend on but for the part of the training rows."""
    domains = {name: domain.model_dump() for name, domain in recipe.evaluate.domains.items()}
    return recipe.data.model_dump(exclude={"train_fraction"}), domains


def _whole(recipe: Recipe) -> PreparedData:
    """Of all training rows."""
    spec = recipe.data
    if spec.mix:
        mixture = read_mixture(spec)
        whole, used, labels, facts, sets = mixture.whole, mixture.used, mixture.labels, dict(mixture.facts), mixture.sets
        warnings, read_from = list(mixture.notes), list(mixture.read_from)
    else:
        read_from, whole, facts = _read(spec, recipe.name)
        used = Splits(
            limited(whole.train, spec.limit.train),
            limited(whole.validation, spec.limit.validation),
            limited(whole.test, spec.limit.test),
        )
        train = read_from[0]
        kind = type(train.examples[0])
        labels, sets, warnings = train.facts.labels, {}, []
        refuse_overlap(whole, spec.allow_overlap)
    rows = used.train
    if spec.documents is not None:
        documents = read(spec.documents, format="text", skip_invalid=spec.skip_invalid)
        read_from, facts = [*read_from, documents], {**facts, "train": documents.facts}
        used = replace(used, train=limited(documents.examples, spec.limit.train))
    known = sets or {"": MixedSet(kind, train.facts, labels, templates_of(spec.template), 1.0)}
    domains = dict[str, Sequence[Example]]()
    for name, domain in recipe.evaluate.domains.items():
        dataset = read(domain.source, format=domain.format, columns=domain.columns, labels=domain.labels, skip_invalid=spec.skip_invalid)
        read_from.append(dataset)
        task, why_not = _comparable(dataset, known)
        if why_not:
            warnings.append(f"evaluate.domains.{name}: not measured: {why_not}")
            continue
        shared = num_overlapping(whole.train, dataset.examples)
        if shared:
            warnings.append(f"evaluate.domains.{name}: {shared} of its {len(dataset.examples)} texts also stand in the training data.")
        chosen = limited(dataset.examples, domain.limit)
        domains[name], facts[name] = as_task(chosen, task) if task else chosen, dataset.facts
    return PreparedData(
        used.train,
        used.validation,
        used.test,
        domains,
        labels,
        facts,
        tuple(warnings + _left_out(read_from)),
        tuple(row for dataset in read_from for row in dataset.invalid),
        sets,
        rows,
    )


def _read(spec: DataSpec, name: str) -> tuple[list[Dataset], Splits, dict[str, SourceFacts]]:
    """The training source and those of the other splits' own, the splits, and what each was taken from."""
    train = read(
        spec.train, format=spec.format, columns=spec.columns, labels=spec.labels, task=name, skip_invalid=spec.skip_invalid,
        most_bytes=most_bytes(spec),
    )  # fmt: skip
    own = {
        part: _more(spec, source, train) for part, source in (("validation", spec.validation), ("test", spec.test)) if source is not None
    }
    parts = split_by_shares(train, spec.split, own)
    train, parts = kept_labels(train, spec.keep_labels), kept_splits(parts, spec.keep_labels)
    splits = Splits(
        parts.train,
        own["validation"].examples if "validation" in own else parts.validation,
        own["test"].examples if "test" in own else parts.test,
    )
    return (
        [train, *own.values()],
        splits,
        {part: own[part].facts if part in own else train.facts for part in ("train", "validation", "test")},
    )


def _comparable(domain: Dataset, known: Mapping[str, MixedSet]) -> tuple[str, str]:
    """The task whose examples a domain's are like, and why it cannot be measured with what was learned; empty where it can."""
    kind = type(domain.examples[0])
    alike = {name: one for name, one in known.items() if one.kind is kind}
    if not alike:
        kinds = " and ".join(dict.fromkeys(one.kind.__name__ for one in known.values()))
        return "", f"{domain.facts.name} gives {kind.__name__} examples, the training data {kinds}. Set its columns or its format."
    for name, one in alike.items():
        if set(domain.facts.labels) <= set(one.facts.labels):
            return name, ""
    labels = next(iter(alike.values())).facts.labels
    strange = next(label for label in domain.facts.labels if label not in labels)
    return (
        "",
        f"its labels ({', '.join(domain.facts.labels)}) are not those of the training data ({', '.join(labels)}). Set its labels, such as {{{strange}: {labels[0]}}}.",
    )


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
    more = read(
        source,
        format=train.facts.format,
        columns=spec.columns,
        labels=spec.labels or train.facts.labels or None,
        skip_invalid=spec.skip_invalid,
        most_bytes=most_bytes(spec),
    )
    return kept_labels(more, spec.keep_labels)
