"""How much of what a model wrote stands word by word in the texts that it learned from."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Copied", "first_words", "longest_copied"]

_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True, slots=True)
class Copied:
    """The longest run of words of a text that stands in a source, as the text writes it."""

    num_words: int
    passage: str


def longest_copied(written: Sequence[str], source: Iterable[str]) -> list[Copied]:
    """For each written text its longest run of words that some source text holds too, case and punctuation not looked at.

    One pass over the source, which may be any number of texts: time grows with its words and with how often they occur in what was written. A run
    never crosses from one text into the next.
    """
    spans, owners, places = list[tuple[int, int]](), list[int](), dict[str, list[int]]()
    for owner, text in enumerate(written):
        for word, start, end in _words(text):
            places.setdefault(word, []).append(len(spans))
            spans.append((start, end))
            owners.append(owner)
        spans.append((0, 0))  # a word that occurs nowhere, between two texts
        owners.append(owner)
    best = [(0, 0)] * len(written)  # words of the run, place of its last word
    for text in source:
        before = dict[int, int]()
        for word, _, _ in _words(text):
            now = {place: before.get(place - 1, 0) + 1 for place in places.get(word, ())}
            for place, length in now.items():
                if length > best[owners[place]][0]:
                    best[owners[place]] = (length, place)
            before = now
    return [
        Copied(length, text[spans[last - length + 1][0] : spans[last][1]] if length else "")
        for text, (length, last) in zip(written, best, strict=True)
    ]


def first_words(text: str, num_words: int) -> tuple[str, str]:
    """A text cut behind its first words: at most `num_words`, and at most half of those that it has."""
    ends = [end for _, _, end in _words(text)]
    count = min(num_words, len(ends) // 2)
    return (text[: ends[count - 1]], text[ends[count - 1] :]) if count else (text, "")


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    for found in _WORD.finditer(text):
        yield found[0].casefold(), found.start(), found.end()
