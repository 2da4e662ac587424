"""Words that are worth a token of their own.

Longer tokens for the words of a language or a field are the plainest way to lower a tokenizer's fertility (`data/checks/fertility.py`). A word that is cut
into n tokens and stands c times in the texts saves c (n - 1) tokens once it is one.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tunesmith.data.checks.fertility import count_words
from tunesmith.data.tokenizing import backend_of, token_ids, word_start

__all__ = ["in_pieces", "words_to_add"]

_LOOKED_AT = 4
"""So many times the words asked for are looked at closely, in the order of what they save where they stand alone."""


def in_pieces(texts: Iterable[str], tokenizer: Any) -> dict[str, list[int]]:
    """Each text as the token that can stand for it -> the tokens that it is, where they are several or the unknown one.

    A word gets the space before it, where the tokenizer's words begin with one; what begins otherwise stays as it is.
    """
    lead = word_start(tokenizer)
    led = list(dict.fromkeys(lead + text if text[:1].isalnum() else text for text in texts))
    return {text: ids for text, ids in zip(led, token_ids(tokenizer, led), strict=True) if len(ids) > 1 or ids == [tokenizer.unk_token_id]}


def words_to_add(texts: Iterable[str], tokenizer: Any, num_words: int) -> list[str]:
    """The words whose being one token saves most tokens of the texts, the best first, ties in the order of the alphabet.

    A token that begins with a space is found at the beginning of longer words too; what that saves or costs is counted with it. Words that are one token
    already, and those that would save nothing, are left out: there can be fewer than asked for.

    Args:
        tokenizer: a fast tokenizer of transformers.
    """
    lead = word_start(tokenizer)
    counted = count_words(texts)
    if not lead:
        counted = _normalized(counted, tokenizer)
    words = list(counted)
    sizes = dict(zip(words, map(len, token_ids(tokenizer, [lead + word for word in words])), strict=True))
    alone = {word: counted[word] * (sizes[word] - 1) for word in words if sizes[word] > 1 and word[0].isalnum()}
    best = sorted(alone, key=lambda word: (-alone[word], word))
    if not lead:  # found as whole words only
        return best[:num_words]
    saved = {word: alone[word] for word in best[: _LOOKED_AT * num_words]}
    within = [(word[:end], word) for word in words for end in range(1, len(word)) if word[:end] in saved]
    ends = list(dict.fromkeys(word[len(start) :] for start, word in within))
    end_sizes = dict(zip(ends, map(len, token_ids(tokenizer, ends)), strict=True))
    for start, word in within:
        saved[start] += counted[word] * (sizes[word] - 1 - end_sizes[word[len(start) :]])
    gaining = (word for word in saved if saved[word] > 0)
    return sorted(gaining, key=lambda word: (-saved[word], word))[:num_words]


def _normalized(counted: Counter[str], tokenizer: Any) -> Counter[str]:
    """Words as the tokenizer reads them: without capitals, where it knows none."""
    normalizer = backend_of(tokenizer).normalizer
    if normalizer is None:
        return counted
    found = Counter[str]()
    for word, count in counted.items():
        if read := normalizer.normalize_str(word).strip():
            found[read] += count
    return found
