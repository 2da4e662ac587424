"""The labels of classes: how they are shared out, where the splits differ in them, and texts that stand under two."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from tunesmith.core.types import Labelled
from tunesmith.data.checks.finding import MOST_EXAMPLES, Finding, Place, Splits, excerpt, finding, key_of, place
from tunesmith.data.split import content_key

__all__ = ["FEW_ROWS", "find_label_balance", "find_label_conflicts", "label_counts", "total_variation"]

FEW_ROWS = 10
"""Training rows of a label below which little can be learned of it."""
_MAJORITY = 0.9
_DIFFERENT = 0.1


def label_counts(splits: Splits) -> dict[str, dict[str, int]]:
    """Split -> label -> rows, the labels in alphabetical order; splits without labels are left out."""
    counted = {
        split: Counter(example.label for example in examples if isinstance(example, Labelled) and example.label is not None)
        for split, examples in splits.items()
    }
    return {split: dict(sorted(counts.items())) for split, counts in counted.items() if counts}


def total_variation(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Half the sum of the differences of the labels' shares, 0 (alike) to 1 (no label in common)."""
    sums = sum(one.values()) or 1, sum(other.values()) or 1
    return sum(abs(one.get(label, 0) / sums[0] - other.get(label, 0) / sums[1]) for label in {*one, *other}) / 2


def find_label_balance(splits: Splits) -> list[Finding]:
    """An error for labels that are judged and never learned; warnings for rare labels, a large majority, and splits that differ."""
    counts = label_counts(splits)
    if not counts:
        return []
    first, learned = next(iter(counts.items()))
    found = []
    for split, judged in list(counts.items())[1:]:
        missing = [label for label in judged if label not in learned]
        if missing:
            rows = [row for row in splits[split] if isinstance(row, Labelled) and row.label in missing]
            names = ", ".join(missing[:5])
            found.append(
                finding(
                    "unknown_labels",
                    "error",
                    split,
                    rows,
                    f"{len(rows):,} rows of {split} have a label that {first} never shows: {names}. "
                    "No model that learned from it can give it. Correct data.labels, or bring training rows.",
                )
            )
        apart = total_variation(learned, judged)
        if apart > _DIFFERENT:
            label = max(sorted({*learned, *judged}), key=lambda name: round(abs(_share(learned, name) - _share(judged, name)), 9))
            found.append(
                Finding(
                    "label_balance",
                    "warning",
                    f"{first}/{split}",
                    sum(judged.values()),
                    f"{first} and {split} differ in their labels: {label} is {_share(learned, label):.0%} of {first} and {_share(judged, label):.0%} of {split}. "
                    "Scores on it say less about how the model does where labels are as in training.",
                )
            )
    return [*found, *_within(splits, first, learned)]


def _share(counts: Mapping[str, int], label: str) -> float:
    return counts.get(label, 0) / (sum(counts.values()) or 1)


def _within(splits: Splits, split: str, counts: Mapping[str, int]) -> list[Finding]:
    found, total = list[Finding](), sum(counts.values())
    largest = max(counts, key=lambda label: counts[label])
    if len(counts) == 1:
        text = f"every row of {split} is {largest}: there is nothing to tell apart. Bring rows of another label."
        found.append(Finding("label_balance", "error", split, total, text))
    elif counts[largest] > _MAJORITY * total:
        found.append(
            Finding(
                "label_balance",
                "warning",
                split,
                total,
                f"{counts[largest] / total:.1%} of {split} is {largest}: always saying so is right that often. Read macro_f1 and mcc, not accuracy.",
            )
        )
    rare = [label for label, count in counts.items() if count < FEW_ROWS]
    if rare:
        rows = [row for row in splits[split] if isinstance(row, Labelled) and row.label in rare]
        names = ", ".join(f"{label} ({counts[label]})" for label in rare[:5])
        text = f"{len(rare)} label{'s have' if len(rare) != 1 else ' has'} fewer than {FEW_ROWS} rows in {split}: {names}. Little can be learned of {'them' if len(rare) != 1 else 'it'}."
        found.append(finding("rare_labels", "warning", split, rows, text))
    return found


def find_label_conflicts(splits: Splits) -> list[Finding]:
    """One warning for the texts that stand under two labels or more, in one split or in several; a cleaned copy leaves all such rows out."""
    rows_of: dict[str, list[tuple[str, Labelled]]] = defaultdict(list)
    for split, examples in splits.items():
        for example in examples:
            if isinstance(example, Labelled) and example.label is not None:
                rows_of[content_key(example)].append((split, example))
    torn = [rows for rows in rows_of.values() if len({row.label for _, row in rows}) > 1]
    if not torn:
        return []
    every = [(split, row) for rows in torn for split, row in rows]
    places = tuple(_conflict(rows) for rows in torn[:MOST_EXAMPLES])
    many = len(torn) != 1
    text = (
        f"{len(torn):,} text{'s stand' if many else ' stands'} under two labels ({len(every):,} rows): whatever a model says of "
        f"{'them' if many else 'it'} is wrong once. Decide for one label; a cleaned copy (--fix) leaves these rows out."
    )
    where = "/".join(dict.fromkeys(split for split, _ in every))
    return [Finding("label_conflicts", "warning", where, len(every), text, places, frozenset(key_of(row) for _, row in every))]


def _conflict(rows: list[tuple[str, Labelled]]) -> Place:
    split, first = rows[0]
    _, other = next((split, row) for split, row in rows if row.label != first.label)
    return place(split, first, f"{first.label} and {other.label}: {excerpt(first.text)}", other)
