"""Text that spells a special token, kept text: it is cut after its first character, and the parts are tokenized apart."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tunesmith.core.errors import DataError

__all__ = ["LookAlikes", "special_tokens"]

_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
"""Unicode's noncharacters, which no text holds (the Unicode Standard, section 23.7)."""


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """The tokens that a tokenizer calls special, by how they are written; `<think>` and the like, which models write themselves, are not."""
    found = {token.content: int(number) for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    numbers = tokenizer.convert_tokens_to_ids(list(tokenizer.all_special_tokens))
    return found | {str(token): int(number) for token, number in zip(tokenizer.all_special_tokens, numbers, strict=True)}


class LookAlikes:
    """Finds what spells one of the `tokens`; those of a single character cannot be cut."""

    def __init__(self, tokens: Iterable[str]) -> None:
        longest_first = sorted({token for token in tokens if len(token) > 1}, key=lambda token: (-len(token), token))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def within(self, text: str) -> bool:
        """Whether there is any."""
        return self._pattern.search(text) is not None

    def parts(self, text: str) -> tuple[str, ...]:
        """`text` in parts none of which holds a special token."""
        parts, start, at = list[str](), 0, 0
        while found := self._pattern.search(text, at):
            at = found.start() + 1
            parts.append(text[start:at])
            start = at
        return (*parts, text[start:])

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
