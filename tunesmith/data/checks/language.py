"""Which languages the splits are in, where one joins another, or is judged and hardly learned."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tunesmith.core.language import UNCLEAR, language_of
from tunesmith.core.types import Example
from tunesmith.data.checks.finding import Finding, Splits, finding
from tunesmith.data.checks.texts import full_text

__all__ = ["find_languages", "language_shares"]

_FOREIGN = 0.05
"""Share of a language from which a second one is worth a note, or its absence from training a warning."""


def language_shares(examples: Sequence[Example]) -> dict[str, int]:
    """Language -> rows, the most frequent first; `unclear` is one of them."""
    return dict(Counter(language_of(full_text(example)) for example in examples).most_common())


def find_languages(splits: Splits, counted: Mapping[str, Mapping[str, int]]) -> list[Finding]:
    """Notes for a second language in a split; warnings for one that is judged and hardly learned. `counted`: split -> `language_shares`."""
    found = list[Finding]()
    first = next(iter(counted), None)
    for split, shares in counted.items():
        known = {language: count for language, count in shares.items() if language != UNCLEAR}
        total = sum(known.values())
        main = next(iter(known), None)
        for language, count in known.items():
            if language == main or count < max(_FOREIGN * total, 3):
                continue
            rows = [row for row in splits[split] if language_of(full_text(row)) == language]
            text = f"{count:,} of the {total:,} rows of {split} whose language is clear are in {language}, most are in {main}."
            found.append(finding("languages", "note", split, rows, text))
        learned = counted[first] if first is not None else {}
        num_learned = sum(count for language, count in learned.items() if language != UNCLEAR)
        for language, count in known.items():
            if split != first and count >= max(_FOREIGN * total, 3) and num_learned and learned.get(language, 0) < 0.01 * num_learned:
                rows = [row for row in splits[split] if language_of(full_text(row)) == language]
                text = f"{count / total:.0%} of {split} is in {language}, of which {first} holds next to nothing."
                found.append(finding("languages", "warning", f"{first}/{split}", rows, text))
    return found
