"""Tokens with their places: which token a word begins at, and which characters of a text a token stands for."""

from collections.abc import Sequence
from typing import Any

from tunesmith.core.encoded import Encoded, EncodedContext, EncodedWords, WordWindow

__all__ = ["MOST_SHARED_TOKENS", "encode_contexts", "encode_word_windows", "encode_words"]

MOST_SHARED_TOKENS = 128
"""Tokens that two neighbouring windows of a context share, at most (and at most a quarter of a window): Devlin et al. (2019) use 128."""


def encode_words(tokenizer: Any, words: Sequence[str], max_length: int, *, with_types: bool) -> EncodedWords:
    """The words parted by spaces, as the tokenizer writes a text, cut on the right to `max_length` tokens.

    The words are found again by their characters, so that every fast tokenizer serves, also those that know no words. A word for which
    there is no token (of characters that the tokenizer removes) has no first one, like a word that was cut off.
    """
    text, starts = "", list[int]()
    for word in words:
        starts.append(len(text) + bool(text))
        text += (" " if text else "") + word
    whole = tokenizer(text, add_special_tokens=True, return_offsets_mapping=True, return_token_type_ids=with_types, verbose=False)
    num_cut = max(len(whole["input_ids"]) - max_length, 0)
    if num_cut:
        tokenizer.truncation_side = "right"
        kept = tokenizer(
            text, add_special_tokens=True, truncation=True, max_length=max_length,
            return_offsets_mapping=True, return_token_type_ids=with_types, verbose=False,
        )  # fmt: skip
    else:
        kept = whole
    firsts, at = [], 0
    spans = kept["offset_mapping"]
    for start, word in zip(starts, words, strict=True):
        stop = start + len(word)
        while at < len(spans) and spans[at][1] <= start:  # special tokens stand for no character
            at += 1
        firsts.append(at if at < len(spans) and spans[at][0] < stop else -1)
    return EncodedWords(_encoded(kept["input_ids"], kept.get("token_type_ids") if with_types else None, num_cut), tuple(firsts))


def encode_contexts(tokenizer: Any, question: str, context: str, max_length: int, *, with_types: bool) -> list[EncodedContext]:
    """A question with its context as a pair of texts, in as many overlapping windows of `max_length` tokens as the context needs.

    A question longer than half a window is cut.
    """
    asked = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    most = max_length // 2
    num_cut = max(len(asked["input_ids"]) - most, 0)
    if num_cut:
        question = question[: asked["offset_mapping"][most - 1][1]]
    room = max_length - len(tokenizer(question, "", add_special_tokens=True, verbose=False)["input_ids"])
    tokenizer.truncation_side = "right"
    found = tokenizer(
        question, context, add_special_tokens=True, truncation="only_second", max_length=max_length,
        stride=max(min(MOST_SHARED_TOKENS, room // 4), 0), return_overflowing_tokens=True, return_offsets_mapping=True,
        return_token_type_ids=with_types, verbose=False,
    )  # fmt: skip
    windows = []
    for number, tokens in enumerate(found["input_ids"]):
        of_context = [at for at, part in enumerate(found.sequence_ids(number)) if part == 1]
        first = of_context[0] if of_context else len(tokens)
        spans = tuple((int(begin), int(end)) for begin, end in (found["offset_mapping"][number][at] for at in of_context))
        types = found["token_type_ids"][number] if with_types else None
        windows.append(EncodedContext(_encoded(tokens, types, num_cut if number == 0 else 0), first, spans))
    return windows


def _encoded(tokens: Sequence[int], types: Sequence[int] | None, num_cut: int) -> Encoded:
    return Encoded(tuple(tokens), tuple(types) if types else (0,) * len(tokens), (False,) * len(tokens), num_cut=num_cut)


def encode_word_windows(tokenizer: Any, text: str, size: int, *, with_types: bool) -> list[WordWindow]:
    """A text of any length as sequences of at most `size` tokens, none of which overlap, with the number of each token's word."""
    found = tokenizer(
        text, truncation=True, max_length=size, return_overflowing_tokens=True, return_token_type_ids=with_types, verbose=False
    )
    windows = []
    for number, tokens in enumerate(found["input_ids"]):
        types = found["token_type_ids"][number] if with_types else (0,) * len(tokens)
        words = tuple(-1 if word is None else int(word) for word in found.word_ids(number))
        windows.append(WordWindow(tuple(tokens), tuple(types), words))
    return windows
