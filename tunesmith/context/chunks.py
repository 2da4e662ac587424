"""A document cut into passages along its structure.

A passage ends at the strongest boundary in its second half: a heading before a paragraph, a paragraph before a line, a sentence before a word. The next one begins a little before
that, at a boundary no weaker than a sentence, so that what stands at the seam is found whole; never before a heading, as what stands above it is about something else.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Span", "split"]

_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*?)[ \t]*#*[ \t]*")
_RUN = re.compile(r"""([=\-~*^"'+#])\1{2,}[ \t]*""")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*(?=\S)")
_LINE = re.compile(r"\n[ \t]*(?=\S)")
_SENTENCE = re.compile(r"""[.!?…]["'”’)\]]*\s+(?=\S)|[。！？](?=\S)""")
_WORD = re.compile(r"\s+(?=\S)")
_PARAGRAPHS, _LINES, _SENTENCES, _WORDS = 7, 8, 9, 10
"""Strengths of boundaries, the smaller the stronger; headings have 1 to 6."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a passage stands in its document, in characters, and the headings that it stands under, from the first to the nearest."""

    start: int
    end: int
    headings: tuple[str, ...] = ()


def split(text: str, token_starts: Sequence[int], *, most_tokens: int, overlap_tokens: int) -> list[Span]:
    """Cut a document.

    Args:
        token_starts: of each token of the text the character that it begins at, rising.
        most_tokens: of a passage, at least 2.
        overlap_tokens: that a passage shares with the one before it at most, fewer than half of `most_tokens`.
    Returns: spans in their order, which leave out nothing but white space. Empty for a text of white space.
    """
    if most_tokens < 2 or not 0 <= overlap_tokens < most_tokens / 2:
        raise ValueError(f"passages of {most_tokens} tokens with an overlap of {overlap_tokens}")
    headings = _headings(text)
    places = [heading.place for heading in headings]
    boundaries = _Boundaries(text, token_starts, [(heading.place, heading.level) for heading in headings])
    spans, start, last = list[Span](), len(text) - len(text.lstrip()), 0
    while start < len(text):
        end, level = boundaries.end(start, max(last, start), most_tokens)
        stripped = start + len(text[start:end].rstrip())
        under = bisect_right(places, start) - 1
        spans.append(Span(start, stripped, headings[under].titles if under >= 0 else ()))
        if end >= len(text):
            break
        last = end
        start = end if level < _PARAGRAPHS else boundaries.back(end, start, overlap_tokens)
    return spans


class _Boundaries:
    """Where a text may be cut, and how long its parts are."""

    def __init__(self, text: str, token_starts: Sequence[int], headings: Sequence[tuple[int, int]]) -> None:
        self._token_starts = token_starts
        self._length = len(text)
        strengths = {match.end(): _WORDS for match in _WORD.finditer(text)}
        for pattern, strength in ((_SENTENCE, _SENTENCES), (_LINE, _LINES), (_PARAGRAPH, _PARAGRAPHS)):
            strengths |= {match.end(): strength for match in pattern.finditer(text)}
        strengths |= dict(headings)
        self._places = sorted(strengths)
        self._strengths = [strengths[place] for place in self._places]

    def end(self, start: int, last: int, most_tokens: int) -> tuple[int, int]:
        """Where a passage ends that begins at `start` and goes on after `last`, and the strength of that boundary; the text's end is the strongest."""
        first = bisect_left(self._token_starts, start)
        if first + most_tokens >= len(self._token_starts):
            return self._length, 0
        furthest = self._token_starts[first + most_tokens]
        for least in (max(self._token_starts[first + most_tokens // 2] - 1, last), last):
            places = range(bisect_right(self._places, least), bisect_right(self._places, furthest))
            if places:
                place = min(reversed(places), key=lambda index: self._strengths[index])
                return self._places[place], self._strengths[place]
        return furthest, _WORDS + 1  # a word of more tokens than a passage may have

    def back(self, end: int, start: int, most_tokens: int) -> int:
        """The earliest boundary after `start`, no weaker than a sentence, from which at most so many tokens lead up to `end`; `end`, where there is none."""
        first = bisect_left(self._token_starts, end) - most_tokens
        least = max(start + 1, self._token_starts[first] if first >= 0 else 0)
        places = range(bisect_left(self._places, least), bisect_left(self._places, end))
        under = max((index + 1 for index in places if self._strengths[index] < _PARAGRAPHS), default=places.start)
        found = (index for index in places if index >= under - 1 and self._strengths[index] <= _SENTENCES)
        return self._places[place] if (place := next(found, None)) is not None else end


@dataclass(frozen=True, slots=True)
class _Heading:
    place: int
    level: int
    titles: tuple[str, ...]
    """Those above it, and its own."""


def _headings(text: str) -> list[_Heading]:
    """Every heading that stands in no fenced code: markdown's, and titles with a line below that is as long, where nothing but such a line or a blank one stands above.

    Beside markdown's a line of = is of level 1 and one of - of level 2; alone, lines' characters are of levels in the order in which they first come, as in reStructuredText.
    """
    marked, lined = list[tuple[int, int, str]](), list[tuple[int, str, str]]()
    place, fence, before, above = 0, "", "", ""
    for line in text.split("\n"):
        opened = _FENCE.match(line)
        if fence:
            fence = "" if line.strip().startswith(fence) and not line.strip().strip(fence[0]) else fence
        elif (run := _RUN.fullmatch(line)) and before[:1].strip() and len(line.strip()) >= len(before) and not _RUN.fullmatch(before):
            if not above or _RUN.fullmatch(above):
                lined.append((place - len(before) - 1, run[1], before.strip()))
        elif opened:
            fence = opened[1]
        elif heading := _HEADING.fullmatch(line):
            marked.append((place, len(heading[1]), heading[2]))
        place, before, above = place + len(line) + 1, line.rstrip(), before
    order = ("=", "-") if marked else ()
    levels = {character: level for level, character in enumerate(dict.fromkeys((*order, *(one[1] for one in lined))), start=1)}
    every = sorted([*marked, *((start, min(levels[character], _PARAGRAPHS - 1), title) for start, character, title in lined)])
    found, stack = list[_Heading](), list[tuple[int, str]]()
    for start, level, title in every:
        stack = [*(one for one in stack if one[0] < level), (level, title)]
        found.append(_Heading(start, level, tuple(title for _, title in stack)))
    return found
