"""Which of several names a written answer gives."""

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["named"]

_WORD = re.compile(r"[^\W_]+")


def named(answer: str, names: Sequence[str]) -> int | None:
    """The place of the name that an answer gives; None where it gives none, or several.

    The whole answer first, whatever its case and the space around it; then its words alone, without punctuation; then the one name that stands in it. A name
    that stands in it only within a longer one ("positive" in "very positive") does not count. Nothing is understood: "not good" gives "good".

    Args:
        names: different from each other.
    """
    whole = [place for place, name in enumerate(names) if _plain(name) == _plain(answer)]
    if len(whole) == 1:
        return whole[0]
    words, of_names = _words(answer), [_words(name) for name in names]
    same = [place for place, one in enumerate(of_names) if one and one == words]
    if len(same) == 1:
        return same[0]
    found = _standing(words, of_names)
    return found.pop() if len(found) == 1 else None


def _standing(words: Sequence[str], of_names: Sequence[Sequence[str]]) -> set[int]:
    """The names that stand in the words, but for those that stand within longer ones only."""
    spans = [
        (start, start + len(one), place)
        for place, one in enumerate(of_names)
        if one
        for start in range(len(words) - len(one) + 1)
        if words[start : start + len(one)] == one
    ]
    return {place for start, end, place in spans if not any(s <= start and end <= e and e - s > end - start for s, e, _ in spans)}


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _words(text: str) -> list[str]:
    return _WORD.findall(_plain(text))
