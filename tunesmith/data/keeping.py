"""The rows of some classes alone."""

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.core.errors import DataError, did_you_mean
from tunesmith.data.labels import labels_of
from tunesmith.data.read import Dataset
from tunesmith.data.stored import chosen

__all__ = ["kept_labels"]


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
    kept = [place for place, example in enumerate(dataset.examples) if set(labels_of(example)) <= set(wanted)]
    if not kept:
        raise DataError(f"{dataset.facts.name}: data.keep_labels: no row has one of {', '.join(wanted)}.")
    labels = tuple(label for label in known if label in wanted)
    note = f"{dataset.facts.name}: {len(kept):,} of {len(dataset.examples):,} rows are of {', '.join(labels)}; the others are left out"
    facts = replace(dataset.facts, num_rows=len(kept), labels=labels, notes=(*dataset.facts.notes, note))
    return replace(dataset, examples=chosen(dataset.examples, kept), facts=facts)
