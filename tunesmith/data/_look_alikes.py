"""Text that spells a special token, kept text: it is cut after its first character, and the parts are tokenized apart."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tunesmith.core.errors import DataError

__all__ = ["LookAlikes", "special_tokens", "stands_alone"]

_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
"""Unicode's noncharacters, which no text holds (the Unicode Standard, section 23.7)."""


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """The tokens that a tokenizer calls special, by how they are written; `<think>` and the like, which models write themselves, are not."""
    found = {token.content: int(number) for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    numbers = tokenizer.convert_tokens_to_ids(list(tokenizer.all_special_tokens))
    return found | {str(token): int(number) for token, number in zip(tokenizer.all_special_tokens, numbers, strict=True)}


def stands_alone(tokenizer: Any) -> bool:
    """Whether what is between special tokens is tokenized as if they were not there: none takes white space, or a word, along with it."""
    tokens = tokenizer.added_tokens_decoder.values()
    special = [token.content for token in tokens if token.special]
    takes_along = any(token.lstrip or token.rstrip or token.single_word or token.normalized for token in tokens if token.special)
    return not takes_along and not any(name in token.content for token in tokens if not token.special for name in special)


class LookAlikes:
    """Finds what spells one of the `tokens`; those of a single character cannot be cut."""

    def __init__(self, tokens: Iterable[str]) -> None:
        longest_first = sorted({token for token in tokens if len(token) > 1}, key=lambda token: (-len(token), token))
        self._firsts = sorted({token[0] for token in longest_first})
        # a pattern that begins with one character is searched for many times quicker than one with a choice in front
        by_first = [(first, "|".join(re.escape(token[1:]) for token in longest_first if token[0] == first)) for first in self._firsts]
        self._pattern = re.compile("|".join(f"{re.escape(first)}(?:{rest})" for first, rest in by_first) or "(?!)")
        self._splitting = re.compile(f"({self._pattern.pattern})")

    def within(self, text: str) -> bool:
        """Whether there is any."""
        for first in self._firsts:  # which nearly no text has
            if first in text:
                return self._pattern.search(text) is not None
        return False

    def parts(self, text: str) -> tuple[str, ...]:
        """`text` in parts none of which holds a special token."""
        parts, start = list[str](), 0
        while found := self._pattern.search(text, start):
            parts.append(text[start : found.start() + 1])
            start = found.start() + 1
        return (*parts, text[start:])

    def split(self, text: str) -> list[str]:
        """`text` at its special tokens: what is before the first, the first, what is between, ..., what is behind the last."""
        return self._splitting.split(text)

    def marked(self, texts: Sequence[str]) -> tuple[Sequence[str], str]:
        """The texts with a mark wherever they are to be cut, and the mark, a character that none of them holds; none where nothing is cut.

        Raises: DataError, where the texts hold every character that could be the mark.
        """
        if not any(map(self.within, texts)):
            return texts, ""
        mark = next((mark for mark in _MARKS if not any(mark in text for text in texts)), None)
        if mark is None:
            raise DataError("a text holds all of the characters U+FDD0 to U+FDEF, which Unicode gives no meaning. Remove them.")
        return [mark.join(self.parts(text)) for text in texts], mark
