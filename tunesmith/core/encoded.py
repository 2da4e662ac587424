"""What the encoder makes of an example: tokens, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Encoded", "EncodedContext", "EncodedWords", "WordWindow"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One rendered and tokenized example.

    `tokens`, `token_types` and `scored` have one entry a token; `scored` marks the tokens that are learned (never the first one, which
    nothing predicts). `source` is what an encoder-decoder reads. `num_cut` counts the tokens left out to fit the model.
    """

    tokens: tuple[int, ...]
    token_types: tuple[int, ...]
    scored: tuple[bool, ...]
    source: tuple[int, ...] = ()
    num_cut: int = 0


@dataclass(frozen=True, slots=True)
class EncodedWords:
    """A sentence given word by word: its tokens, and the position of each word's first one; -1 where the word was cut off."""

    encoded: Encoded
    firsts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EncodedContext:
    """A question and a window of its context: token `first + i` is the characters `spans[i]` (begin, end) of the whole context."""

    encoded: Encoded
    first: int
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class WordWindow:
    """A part of a text as an encoder reads it, special tokens included; `words` numbers the word of each token, -1 for special ones."""

    tokens: tuple[int, ...]
    token_types: tuple[int, ...]
    words: tuple[int, ...]
