"""What a chat template writes around whatever is said: found once for all conversations of the same roles, where it never looks at what is said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LIKE_A_MARK", "Pattern", "is_opaque", "mark"]

LIKE_A_MARK = "\ufdd0"
"""A noncharacter of Unicode, with which marks begin."""
_MARK = re.compile("\ufdd0([0-9]+)\ufdd1")


def mark(place: int) -> str:
    """What stands for the text of the message at `place`."""
    return f"\ufdd0{place}\ufdd1"


def is_opaque(text: str) -> bool:
    """Whether a text may stand where a mark does: templates are told that there is one, and may take white space from its ends."""
    return bool(text) and text == text.strip()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text with places for others."""

    form: str
    """For the `%` of Python, with a `%s` at each place."""
    places: tuple[int, ...]
    """Which text comes to each."""

    @classmethod
    def of(cls, text: str) -> "Pattern | str":
        """Of a text with marks; one without is what it is."""
        between = _MARK.split(text)
        if len(between) == 1:
            return text
        return cls("%s".join(part.replace("%", "%%") for part in between[::2]), tuple(map(int, between[1::2])))

    def filled(self, texts: Sequence[str]) -> str:
        """With `texts` in the places of their marks."""
        return self.form % tuple([texts[place] for place in self.places])
