"""The tokens of strings that were tokenized lately: what many conversations have in common, such as a system prompt, is tokenized once."""

from collections.abc import Iterable, Sequence

__all__ = ["Recent"]

_MOST_TOKENS = 2**18
"""Of a generation: some 10 MB."""
_LONGEST = 2**12
"""Tokens. A longer string is hardly said twice."""


class Recent:
    """A memory of two generations: what is asked for of the elder moves into the younger, and the elder is forgotten when that is full.

    Threads may share it: at worst one tokenizes what another has just tokenized.
    """

    def __init__(self) -> None:
        self._young, self._old = dict[str, Sequence[int]](), dict[str, Sequence[int]]()
        self._num_tokens = 0

    def take(self, strings: Iterable[str], into: dict[str, Sequence[int]]) -> list[str]:
        """Put the tokens of the strings that are known `into` that; the strings that are neither known nor there already."""
        young, old, unknown = self._young, self._old, list[str]()
        for string in dict.fromkeys(strings):
            if string in into:
                continue
            tokens = young.get(string)
            if tokens is None and (tokens := old.get(string)) is not None:
                self.keep(string, tokens)
            if tokens is None:
                unknown.append(string)
            else:
                into[string] = tokens
        return unknown

    def keep(self, string: str, tokens: Sequence[int]) -> None:
        """Remember the tokens of a string."""
        if len(tokens) > _LONGEST:
            return
        self._young[string] = tokens
        self._num_tokens += len(tokens)
        if self._num_tokens > _MOST_TOKENS:
            self._young, self._old, self._num_tokens = {}, self._young, 0
