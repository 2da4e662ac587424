"""From the sets of `data.mix` to examples, split set by set, each with the name of its set as its task. No torch here."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.core.errors import DataError
from tunesmith.core.files import hash_of
from tunesmith.core.system import memory_bytes
from tunesmith.core.types import Example
from tunesmith.data import Dataset, SourceFacts, Splits, content_key, limited, read, refuse_overlap, split
from tunesmith.recipe import DataSpec, Limit, MixEntry, Source
from tunesmith.recipe.amounts import Split

__all__ = ["MixedSet", "Mixture", "as_task", "most_bytes", "read_mixture", "split_by_shares", "templates_of"]


@dataclass(frozen=True, slots=True)
class MixedSet:
    """One data set of a mixture."""

    kind: type[Example]
    facts: SourceFacts
    labels: tuple[str, ...]
    """Of its classes; empty where its examples are not labelled."""
    templates: tuple[str, ...]
    """How a language model is asked; empty: with the text as it is."""
    weight: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """The sets by name, their examples one set after the other, and the facts of each split."""

    sets: Mapping[str, MixedSet]
    whole: Splits
    """Before limits."""
    used: Splits
    facts: Mapping[str, SourceFacts]
    read_from: tuple[Dataset, ...]
    """All that was read."""
    notes: tuple[str, ...]
    """What was left out so that no text stands in the training rows of one set and the held-out rows of another."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, where every set has the same."""
        found = [one.labels for one in self.sets.values()]
        return found[0] if all(set(labels) == set(found[0]) for labels in found) else ()


def split_by_shares(train: Dataset, shares: Split, own: Container[str]) -> Splits:
    """What a recipe holds out of a data set. `own`: the splits that come from a source of their own, for which nothing is. Raises: DataError."""
    validation, test = (0 if name in own else share for name, share in (("validation", shares.validation), ("test", shares.test)))
    return split(train, validation=validation, test=test, stratified=shares.stratified)


def read_mixture(spec: DataSpec) -> Mixture:
    """Read and split every set of the mixture, and leave out what one set would learn and another is judged by.

    Raises: DataError, FetchError, UsageError.
    """
    sets, wholes, read_from = dict[str, MixedSet](), list[Splits](), list[Dataset]()
    facts: dict[str, list[SourceFacts]] = {"train": [], "validation": [], "test": []}
    for name, entry in spec.mix.items():
        train = read(
            entry.source or name, format=entry.format, columns=entry.columns, labels=entry.labels, task=name, skip_invalid=spec.skip_invalid
        )
        own = {
            part: _own(entry, source, train, name, spec.skip_invalid)
            for part, source in (("validation", entry.validation), ("test", entry.test))
            if source
        }
        read_from += [train, *own.values()]
        parts = split_by_shares(train, spec.split, own)
        whole = replace(parts, **{part: dataset.examples for part, dataset in own.items()})
        refuse_overlap(whole, spec.allow_overlap)
        kind = type(train.examples[0])
        sets[name] = MixedSet(kind, train.facts, train.facts.labels, templates_of(entry.template), entry.weight)
        wholes.append(whole)
        for part, found in facts.items():
            found.append(own[part].facts if part in own else train.facts)
    notes = list[str]()
    if not spec.allow_overlap:
        wholes = [_without_leaks(name, at, wholes, notes) for at, name in enumerate(spec.mix)]
    used = [_limited(whole, _limits(entry, spec)) for whole, entry in zip(wholes, spec.mix.values(), strict=True)]
    return Mixture(
        sets, _joined(wholes), _joined(used), {part: _joined_facts(found) for part, found in facts.items()}, tuple(read_from), tuple(notes)
    )


def as_task(examples: Sequence[Example], task: str) -> list[Example]:
    """The examples as those of a task."""
    return [replace(example, origin=replace(example.origin, task=task)) for example in examples]


def most_bytes(spec: DataSpec) -> int | None:
    """The bytes from which a file stays on the disk: where its records and examples, some ten times as large, would fill most of the memory."""
    return {True: -1, False: None, "auto": max(memory_bytes() // 16, 2**28)}[spec.on_disk]


def templates_of(template: str | Sequence[str] | None) -> tuple[str, ...]:
    """None, one or several."""
    return () if template is None else (template,) if isinstance(template, str) else tuple(template)


def _own(entry: MixEntry, source: Source, train: Dataset, task: str, skip_invalid: bool) -> Dataset:
    """A validation or test source of a set's own, read as its training data was."""
    labels = entry.labels or train.facts.labels or None
    return read(source, format=train.facts.format, columns=entry.columns, labels=labels, task=task, skip_invalid=skip_invalid)


def _without_leaks(name: str, at: int, wholes: Sequence[Splits], notes: list[str]) -> Splits:
    """A set without the training rows whose text another set holds out, and without the validation rows whose text another tests on."""
    others = [whole for place, whole in enumerate(wholes) if place != at]
    tested = {content_key(example) for whole in others for example in whole.test}
    validated = {content_key(example) for whole in others for example in whole.validation}
    own, held_out = wholes[at], tested | validated
    train = [example for example in own.train if content_key(example) not in held_out]
    validation = [example for example in own.validation if content_key(example) not in tested]
    for part, before, after in (("training", own.train, train), ("validation", own.validation, validation)):
        if len(after) < len(before):
            notes.append(f"data.mix.{name}: {len(before) - len(after)} {part} rows were left out: another set holds their texts out.")
        if before and not after:
            raise DataError(
                f"data.mix.{name}: every text of its {part} rows is held out in another set. Leave out one of the two, or set data.allow_overlap=true."
            )
    return replace(own, train=train, validation=validation)


def _limits(entry: MixEntry, spec: DataSpec) -> Limit:
    """The set's own limits, and the mixture's for each that it does not have."""
    return spec.limit.model_copy(update={key: value for key, value in entry.limit.model_dump().items() if value is not None})


def _limited(splits: Splits, limit: Limit) -> Splits:
    return Splits(limited(splits.train, limit.train), limited(splits.validation, limit.validation), limited(splits.test, limit.test))


def _joined(parts: Sequence[Splits]) -> Splits:
    return Splits(
        [example for part in parts for example in part.train],
        [example for part in parts for example in part.validation],
        [example for part in parts for example in part.test],
    )


def _joined_facts(found: Sequence[SourceFacts]) -> SourceFacts:
    def once(texts: Sequence[str | None]) -> str | None:
        return "; ".join(dict.fromkeys(text for text in texts if text)) or None

    return SourceFacts(
        name=" + ".join(dict.fromkeys(facts.name for facts in found)),
        sha256=hash_of([facts.sha256 for facts in found]),
        licence=once([facts.licence for facts in found]),
        citation=once([facts.citation for facts in found]),
        num_rows=sum(facts.num_rows for facts in found),
        format="mix",
        labels=(),
        notes=tuple(dict.fromkeys(note for facts in found for note in facts.notes)),
        num_invalid=sum(facts.num_invalid for facts in found),
    )
