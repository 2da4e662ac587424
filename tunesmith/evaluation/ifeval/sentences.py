"""How many sentences a text has, by its punctuation: no model and no data to download."""

import re

__all__ = ["count_sentences"]

_STOP = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)|[。！？।]+[”’」』)]*")
_TITLES = "mr mrs ms dr prof st sr jr rev hon gov gen col capt lt sgt sen rep pres mt ft no nos vol fig eq vs cf viz e.g i.e ed eds approx"
"""Abbreviations after which a sentence goes on, whatever follows."""
_SHORT = "etc inc ltd co corp dept est al a.m p.m ph.d u.s u.k u.n d.c jan feb mar apr jun jul aug sep sept oct nov dec"
"""Abbreviations that may end one: it goes on where no capital letter follows."""
_GOES_ON, _MAY_END = frozenset(_TITLES.split()), frozenset(_SHORT.split())
_MARKER = re.compile(r"^[\W_]*(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,4})$")


def count_sentences(text: str) -> int:
    """Sentences of a text: runs of words up to `.`, `!`, `?` or the like before white space, or up to the end of the text.

    No sentence ends at an abbreviation, an initial, the marker of a list's item (`1.` at the beginning of a line), or at a pause (`...`) or a quotation
    that goes on with a small letter. A line without punctuation at its end goes on in the next one.
    """
    count = start = 0
    for stop in _STOP.finditer(text):
        if _ends(text, stop):
            count += _has_word(text[start : stop.start()])
            start = stop.end()
    return count + _has_word(text[start:])


def _ends(text: str, stop: re.Match[str]) -> bool:
    mark, following = stop[0], text[stop.end() :].lstrip().lstrip("\"'“‘([*_#-")
    if not following or mark[0] not in ".…!?":
        return True
    if mark[0] == "." and not mark.startswith(".."):
        return _is_full_stop(text[text.rfind("\n", 0, stop.start()) + 1 : stop.start()], following)
    is_within = mark.startswith(("..", "…")) or mark[-1] in "\"'”’)"  # a pause, or a quotation in a sentence
    return not (is_within and following[0].islower())


def _is_full_stop(line: str, following: str) -> bool:
    """Whether a point behind the beginning of a line ends a sentence."""
    if _MARKER.match(line):
        return False
    word = line.rsplit(maxsplit=1)[-1].lstrip("\"'“‘([*_").lower() if line.strip() else ""
    if word in _GOES_ON or (len(word) == 1 and word.isalpha() and word != "i"):
        return False
    return following[0].isupper() or not (word in _MAY_END or "." in word)


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)
