"""The rows of some classes alone."""

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.core.errors import DataError, did_you_mean
from tunesmith.core.types import Example
from tunesmith.data.labels import labels_of
from tunesmith.data.read import Dataset
from tunesmith.data.split import Splits
from tunesmith.data.stored import chosen

__all__ = ["kept_labels", "kept_splits", "rows_of"]


def kept_labels(dataset: Dataset, wanted: Sequence[str] | None) -> Dataset:
    """The rows all of whose classes are among `wanted`; None: all rows.

    Raises: DataError, where one of them is no class of the data, or none of them has a row.
    """
    if wanted is None:
        return dataset
    known = dataset.facts.labels
    strange = next((label for label in wanted if label not in known), None)
    if strange is not None:
        raise DataError(f"{dataset.facts.name}: data.keep_labels: {strange!r} is no class of the data.{did_you_mean(strange, known)}")
    kept = rows_of(dataset.examples, wanted)
    if not kept:
        raise DataError(f"{dataset.facts.name}: data.keep_labels: no row has one of {', '.join(wanted)}.")
    labels = tuple(label for label in known if label in wanted)
    note = f"{dataset.facts.name}: {len(kept):,} of {len(dataset.examples):,} rows are of {', '.join(labels)}; the others are left out"
    facts = replace(dataset.facts, num_rows=len(kept), labels=labels, notes=(*dataset.facts.notes, note))
    return replace(dataset, examples=kept, facts=facts)


def kept_splits(splits: Splits, wanted: Sequence[str] | None) -> Splits:
    """As `kept_labels`, of rows that are split already: what is held out of one class does not depend on which others are kept."""
    if wanted is None:
        return splits
    return Splits(*(rows_of(part, wanted) for part in (splits.train, splits.validation, splits.test)))


def rows_of(examples: Sequence[Example], wanted: Sequence[str]) -> Sequence[Example]:
    """Those all of whose classes are among `wanted`."""
    return chosen(examples, [place for place, example in enumerate(examples) if set(labels_of(example)) <= set(wanted)])
