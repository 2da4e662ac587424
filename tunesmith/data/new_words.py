"""The words of a text that a tokenizer should know whole."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tunesmith.core.types import Example
from tunesmith.data.checks.fertility import count_words
from tunesmith.data.checks.texts import full_text
from tunesmith.data.tokenizing import token_ids, word_start

__all__ = ["in_pieces", "words_to_add"]


def words_to_add(examples: Iterable[Example], tokenizer: Any, num_words: int) -> list[str]:
    """The words whose being one token saves most tokens: count x (tokens - 1), the first by text where two save as many.

    Only words that the tokenizer breaks are taken, so that there can be fewer than `num_words`. Words that are the same to it count together.
    """
    counted = count_words(full_text(example) for example in examples)
    words, lead = sorted(counted), word_start(tokenizer)
    saved, named = Counter[tuple[int, ...]](), dict[tuple[int, ...], str]()
    for word, ids in zip(words, token_ids(tokenizer, [lead + word for word in words]), strict=True):
        if len(ids) > 1:
            saved[tuple(ids)] += counted[word] * (len(ids) - 1)
            named.setdefault(tuple(ids), word)
    return [named[ids] for ids in sorted(saved, key=lambda ids: (-saved[ids], named[ids]))[:num_words]]


def in_pieces(texts: Iterable[str], tokenizer: Any) -> dict[str, list[int]]:
    """Each text as it stands in the middle of another, with the space before it where a tokenizer keeps one -> its tokens, where they are several."""
    lead = word_start(tokenizer)
    led = list(dict.fromkeys(lead + text.strip() for text in texts if text.strip()))
    return {text: ids for text, ids in zip(led, token_ids(tokenizer, led), strict=True) if len(ids) > 1}
