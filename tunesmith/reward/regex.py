"""A pattern: 1 where the answer has it, else 0.

Source: Python's regular expressions, https://docs.python.org/3/library/re.html.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunesmith.core.rewards import Ask, Response

__all__ = ["Regex"]


@dataclass(frozen=True, kw_only=True)
class Regex:
    """Whether an answer has the form that a pattern asks for."""

    pattern: str
    """The regular expression; `(?i)` before it passes over case, `(?s)` lets a dot be a line's end too."""
    match: Literal["whole", "part"] = "whole"
    """whole: the answer from its first to its last character; part: anywhere in it."""
    weight: float = 1.0
    """What it counts beside the recipe's other rewards; below 0 it is a penalty."""

    def __post_init__(self) -> None:
        """Raises: ValueError, where the pattern is none."""
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern: {self.pattern!r}: {error}. Mend it; a special character is written with \\ before it.") from None

    def score(self, responses: Sequence[Response], ask: Ask) -> list[float]:
        """1 or 0 an answer."""
        pattern = re.compile(self.pattern)
        found = pattern.fullmatch if self.match == "whole" else pattern.search
        return [float(found(response.text) is not None) for response in responses]
