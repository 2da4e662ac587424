"""Splits by distinct content: the same for everybody, whatever the order of the rows, and no text on two sides.

A text's place is the hash of its normalised form; ranks are taken within each label, so that splits keep the labels' balance, unless that is not asked for. Rows of a group, such as the
answers to the questions about a passage, stay together: their place is the hash of the group's name.
"""

import hashlib
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import (
    Chat,
    Choice,
    Completion,
    Example,
    Graded,
    Labelled,
    Marked,
    MultiLabelled,
    Preference,
    Ranked,
    Rated,
    SpanQuestion,
    Stepwise,
    Tagged,
    Text,
    Tokens,
    Unpaired,
)
from tunesmith.data.read import Dataset
from tunesmith.data.stored import chosen

__all__ = [
    "Splits",
    "content_key",
    "content_parts",
    "duplicate_key",
    "fraction_of",
    "held_out",
    "label_of",
    "limited",
    "num_duplicates",
    "num_overlapping",
    "quotas",
    "refuse_overlap",
    "split",
    "taken",
]

E = TypeVar("E", bound=Example)
_MOST_KEYS = 100_000
_KEYS: dict[bytes, str] = {}
"""Hash of a text as it is written -> its key: a text is asked for at every split and every check. Hashes, as texts of files on the disk are not to be kept."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Examples to learn from, to choose by, and to judge by."""

    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]

    def named(self) -> dict[str, Sequence[Example]]:
        """The splits by their names."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def content_key(example: Example) -> str:
    """SHA-256 of what the model is shown: NFC, case-folded, runs of white space made one space."""
    return _key(*content_parts(example))


def content_parts(example: Example) -> tuple[str, ...]:
    """The texts that the model is shown.

    Of a pair that is its source, of a question with choices both, of a conversation (or its tokens) everything before its last answer: an answer differs,
    the question still leaks.
    """
    if isinstance(example, Text):
        return (example.text,)
    if isinstance(example, Labelled | Rated | MultiLabelled):
        return (example.text,) if example.text_pair is None else (example.text, example.text_pair)
    if isinstance(example, Choice):
        return (example.question, *example.choices)
    if isinstance(example, Completion):
        return (example.source,)
    if isinstance(example, Tagged):
        return example.words
    if isinstance(example, SpanQuestion):
        return (example.question, example.context)
    if isinstance(example, Preference | Unpaired | Ranked | Graded | Stepwise):
        return tuple(message.content for message in example.prompt)
    if isinstance(example, Marked):
        return (example.question,)
    if isinstance(example, Tokens):  # where every token is learned, all of them; a single beginning is no question
        return (" ".join(map(str, example.tokens[: example.num_asked] if example.num_asked > 1 else example.tokens)),)
    messages = example.messages
    last = (
        max((i for i, message in enumerate(messages) if message.role == "assistant"), default=len(messages))
        if isinstance(example, Chat)
        else len(messages)
    )
    return tuple(message.content for message in (messages[:last] or messages))


def _key(*parts: str) -> str:
    written = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    key = _KEYS.get(written)
    if key is None:
        normal = "\x1f".join(" ".join(unicodedata.normalize("NFC", part).casefold().split()) for part in parts)
        key = hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest()
        if len(_KEYS) >= _MOST_KEYS:
            _KEYS.clear()
        _KEYS[written] = key
    return key


def split(dataset: Dataset, *, validation: float = 0.1, test: float = 0.2, stratified: bool = True) -> Splits:
    """Hold out validation and test rows.

    Args:
        validation, test: below 1 a share of the rows, from 1 a number of rows, 0 none. Texts that stand several times stay together,
            and so do rows of a group, so a split may miss its size by those.
        stratified: whether each label is held out in proportion; else the texts alone say what is held out, so that it is the same whatever
            a format reads beside them.
    Raises: DataError, where nothing would be left to train on.
    """
    examples = dataset.examples
    keys = [_split_key(example) for example in examples]
    labels = label_of(keys, map(_label, examples)) if stratified else dict.fromkeys(keys, "")
    validated, tested = held_out(Counter(keys), labels, validation=validation, test=test, name=dataset.facts.name)
    places: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for place, key in enumerate(keys):
        places["test" if key in tested else "validation" if key in validated else "train"].append(place)
    return Splits(**{name: chosen(examples, part) for name, part in places.items()})


def held_out(
    sizes: Mapping[str, int], labels: Mapping[str, str], *, validation: float, test: float, name: str
) -> tuple[set[str], set[str]]:
    """The keys to hold out for validation and for the test.

    Args:
        sizes: key -> rows that stay together. They are taken in the order of the keys.
        labels: key -> the label that it counts with; each is held out in proportion.
        validation, test: as for `split`; `name`: what messages call the data.
    Raises: DataError, where nothing would be left to train on.
    """
    total = sum(sizes.values())
    num_test, num_validation = _count(test, total), _count(validation, total)
    if num_test + num_validation >= total:
        raise DataError(
            f"{name}: {total} rows are too few to hold out {num_test} for the test and {num_validation} for validation. "
            "Lower data.split.test and data.split.validation, or bring more rows."
        )
    tested = taken(sizes, labels, num_test)
    rest = {key: size for key, size in sizes.items() if key not in tested}
    validated = taken(rest, labels, num_validation)
    for part, count, found in (
        ("test", num_test, tested),
        ("validation", num_validation, validated),
        ("train", 1, rest.keys() - validated),
    ):
        if count and not found:
            raise DataError(
                f"{name}: {len(sizes)} distinct texts in {total} rows leave none for {part}. Bring more texts, or lower data.split."
            )
    return validated, tested


def limited(examples: Sequence[E], limit: int | None) -> Sequence[E]:
    """At most `limit` examples, first by hash within each label, in their own order."""
    return chosen(examples, range(len(examples))) if limit is None or limit >= len(examples) else _take(examples, limit)[0]


def fraction_of(examples: Sequence[E], fraction: float) -> Sequence[E]:
    """About that part of the examples, every class (of each task) in proportion, in their own order.

    What a smaller fraction takes is among what a larger one takes. Copies of a text stay together, and so do rows of a group.
    Raises: DataError, where a class or a task is left without an example.
    """
    if fraction >= 1:
        return examples
    keys, strata = list[str](), list[str]()
    for example in examples:
        keys.append(_split_key(example))
        name = "" if isinstance(example, MultiLabelled) else _label(example)  # each row of those may be a class of its own
        strata.append(f"{example.origin.task}\x1f{name}")
    stratum_of = label_of(keys, strata)
    sizes, totals = Counter(keys), Counter(stratum_of[key] for key in keys)
    passed, inside = Counter[str](), set[str]()
    for key in sorted(sizes):
        stratum = stratum_of[key]
        if passed[stratum] + sizes[key] / 2 <= fraction * totals[stratum]:  # its middle lies inside
            inside.add(key)
        passed[stratum] += sizes[key]
    missing = sorted(totals.keys() - {stratum_of[key] for key in inside})
    if missing:
        task, _, name = missing[0].partition("\x1f")
        raise DataError(
            f"data.train_fraction: {fraction:g} of {len(examples):,} training rows holds none of the {totals[missing[0]]:,} of {name or task}. Take a larger part."
        )
    return chosen(examples, (place for place, key in enumerate(keys) if key in inside))


def _count(size: float, total: int) -> int:
    if size >= 1:
        return int(size)
    return max(1, math.floor(size * total + 0.5)) if size > 0 else 0


def _take(examples: Sequence[E], count: int) -> tuple[Sequence[E], Sequence[E]]:
    """About `count` of the examples and the rest, every label in proportion, no text in both, each in the order given."""
    keys = [_split_key(example) for example in examples]
    inside = taken(Counter(keys), label_of(keys, map(_label, examples)), count)
    return (
        chosen(examples, (place for place, key in enumerate(keys) if key in inside)),
        chosen(examples, (place for place, key in enumerate(keys) if key not in inside)),
    )


def _split_key(example: Example) -> str:
    """What a split keeps together."""
    return _key(example.origin.group) if example.origin.group else content_key(example)


def _label(example: Example) -> str:
    """What splits keep in balance."""
    if isinstance(example, Labelled):
        return example.label or ""
    if isinstance(example, MultiLabelled):
        return "\x1f".join(sorted(example.labels or ()))
    return str(example.is_liked) if isinstance(example, Unpaired) else ""


def label_of(keys: Iterable[str], labels: Iterable[str]) -> dict[str, str]:
    """Key -> the label that it counts with: of rows that stay together, the first by name."""
    found: dict[str, str] = {}
    for key, label in zip(keys, labels, strict=True):
        found[key] = min(found.get(key, label), label)
    return found


def taken(sizes: Mapping[str, int], labels: Mapping[str, str], count: int) -> set[str]:
    """Keys of about `count` rows, first by key, every label in proportion."""
    strata: dict[str, list[str]] = defaultdict(list)
    for key in sorted(sizes):
        strata[labels[key]].append(key)
    shares = quotas({label: sum(sizes[key] for key in members) for label, members in strata.items()}, count)
    found = set[str]()
    for label, members in strata.items():
        room = shares[label]
        for key in members:
            if sizes[key] <= room:
                found.add(key)
                room -= sizes[key]
    return found


def quotas(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """`count` shared out in proportion to `sizes`, by largest remainder, ties by name."""
    total = sum(sizes.values())
    shares = {label: size * count // total for label, size in sizes.items()} if total else {}
    by_remainder = sorted(sizes, key=lambda label: (-(sizes[label] * count % total), label)) if total else []
    for label in by_remainder[: min(count, total) - sum(shares.values())]:
        shares[label] += 1
    return shares


def num_duplicates(examples: Iterable[Example]) -> int:
    """Examples that say again, answer and all, what one before them said."""
    seen, count = set[bytes](), 0
    for example in examples:
        key = hashlib.sha256("\x1f".join(duplicate_key(example)).encode("utf-8", "surrogatepass")).digest()[:16]
        count += key in seen
        seen.add(key)
    return count


def duplicate_key(example: Example) -> tuple[str, str]:
    """What two examples have in common that say the same, answer and all; a label does not count."""
    return content_key(example), _answer(example)


def _answer(example: Example) -> str:
    if isinstance(example, Choice):
        return "" if example.answer is None else example.choices[example.answer]
    if isinstance(example, Completion):
        return example.target
    if isinstance(example, Tokens):
        return " ".join(map(str, example.tokens[example.num_asked :]))
    if isinstance(example, Marked):
        return example.answer
    if isinstance(example, Chat):
        return "\x1f".join(
            f"{message.thought}{message.content}{message.calls or ''}" for message in example.messages if message.role == "assistant"
        )
    if isinstance(example, Preference | Ranked | Graded):
        return "\x1f".join(message.content for way in example.ways for message in way)
    if isinstance(example, Stepwise):
        return "\x1f".join(example.steps)
    if isinstance(example, Unpaired):
        return "\x1f".join([str(example.is_liked), *(message.content for message in example.completion)])
    return ""


def num_overlapping(one: Iterable[Example], other: Iterable[Example]) -> int:
    """Examples of `other` whose text also stands in `one`."""
    counts = Counter(content_key(example) for example in other)  # the smaller of the two, as a rule
    shared = {key for example in one if (key := content_key(example)) in counts}
    return sum(counts[key] for key in shared)


def refuse_overlap(splits: Splits, allow: bool = False) -> None:
    """Raise DataError where a text stands in two splits, unless that is allowed."""
    if allow:
        return
    parts = list(splits.named().items())
    for at, (name, examples) in enumerate(parts):
        for other_name, others in parts[at + 1 :]:
            asked = {content_key(example): example.origin for example in reversed(others)}
            found = {key: example.origin for example in reversed(examples) if (key := content_key(example)) in asked}
            same = [(found[key], example.origin) for example in others if (key := content_key(example)) in found] if found else []
            if same:
                here, there = same[0]
                stands = "row of {} also stands" if len(same) == 1 else "rows of {} also stand"
                raise DataError(
                    f"{len(same)} {stands.format(other_name)} in {name}: {there.file}:{there.row} = {here.file}:{here.row}. "
                    "Remove them, or set data.allow_overlap=true and read the scores with care."
                )
