"""Documents as passages, a question about each, and whether the passage holds the answer."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith.core.types import Completion, Message, Origin
from tunesmith.data.generation.forms import PairForm

__all__ = ["MOST_CHARACTERS", "Passage", "passages", "request_about", "stands_in"]

MOST_CHARACTERS = 1000
"""Of a passage: a question about it, and two shown ones, fit a small model."""
LEAST_CHARACTERS = 100
"""A shorter piece, such as a heading, says too little to be asked about."""

_SHOWN = (
    (
        "The tram to the harbour was opened in 1906 and ran until the autumn of 1958. It was eleven kilometres long. After its last journey "
        "the rails were sold to a sugar factory, and the depot became a market hall.",
        Completion("What did the depot of the tram become?", "a market hall", Origin("", 1)),
    ),
    (
        "To restart the pump, close the inlet valve first and wait for two minutes. If the red lamp still blinks, the filter is blocked and "
        "has to be changed. Filters last for about six months.",
        Completion("How long do the filters of the pump last?", "about six months", Origin("", 1)),
    ),
)
"""Passages, and what is asked about them, that show a model the form. Written for this file."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document."""

    text: str
    document: Origin
    number: int
    """From 1, in its document."""


def passages(text: str, document: Origin) -> Iterator[Passage]:
    """A document in pieces of at most `MOST_CHARACTERS`: paragraphs that fit together, long ones parted behind sentences, else at spaces.

    Pieces of less than `LEAST_CHARACTERS` are left out.
    """
    number, sofar = 0, ""
    for part in [*_parts(text), ""]:
        if sofar and (not part or len(sofar) + 2 + len(part) > MOST_CHARACTERS):
            if len(sofar) >= LEAST_CHARACTERS:
                number += 1
                yield Passage(sofar, document, number)
            sofar = ""
        sofar = f"{sofar}\n\n{part}" if sofar else part


def _parts(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        rest = paragraph.strip()
        while len(rest) > MOST_CHARACTERS:
            ends = [found.end() for found in re.finditer(r"[.!?]\s|[。！？]", rest[:MOST_CHARACTERS])]
            at = ends[-1] if ends else max(rest.rfind(" ", 0, MOST_CHARACTERS), rest.rfind("\n", 0, MOST_CHARACTERS))
            at = at if at > 0 else MOST_CHARACTERS
            yield rest[:at].strip()
            rest = rest[at:].strip()
        if rest:
            yield rest


def request_about(passage: Passage) -> tuple[Message, ...]:
    """The conversation that asks for a question about a passage and its answer, after two shown ones."""
    form, turns = PairForm(), list[Message]()
    wish = (
        "Write a question that the passage answers, and the answer, copied word for word from the passage, in this form:\n"
        "Question: ...\nAnswer: ...\n\nThe passage:\n"
    )
    for shown, example in _SHOWN:
        turns += [Message("user", wish + shown), Message("assistant", form.show(example))]
    return (*turns, Message("user", wish + passage.text))


def stands_in(answer: str, passage: str) -> bool:
    """Whether the answer's words stand in the passage, in a row; case, punctuation and white space do not count.

    In scripts that put no spaces between words (Chinese, Japanese), its characters do.
    """
    words, held = _words(answer), _words(passage)
    if any(unicodedata.east_asian_width(character) in "WF" for word in words for character in word):
        return "".join(words) in "".join(held)
    return bool(words) and f" {' '.join(words)} " in f" {' '.join(held)} "


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
