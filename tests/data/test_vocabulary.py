"""Which words are worth a token, worked by hand."""

from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tunesmith.data.vocabulary import in_pieces, words_to_add


@pytest.fixture(scope="module")
def letters() -> Any:
    """Byte-level, with no merge: every letter, and the space before a word, is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    built = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=built)


@pytest.fixture(scope="module")
def pieces() -> Any:
    """WordPiece that knows `the`, and others letter by letter."""
    known = ["[UNK]", "the", *"abc", *(f"##{letter}" for letter in "abc")]
    built = Tokenizer(models.WordPiece({token: number for number, token in enumerate(known)}, unk_token="[UNK]"))  # type: ignore[call-arg]
    built.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=built, unk_token="[UNK]")


def test_words_are_ordered_by_count_times_tokens_less_one(pieces: Any) -> None:
    # abc: 2 x 2 = 4; ba and ca: 1 each, in the order of the alphabet; the: one token; xyz: unknown, one token
    assert words_to_add(["abc the abc", "ca ba the xyz"], pieces, 10) == ["abc", "ba", "ca"]
    assert words_to_add(["abc the abc", "ca ba the xyz"], pieces, 2) == ["abc", "ba"]
    assert words_to_add(["the the"], pieces, 10) == []


def test_what_a_word_saves_at_the_beginning_of_longer_ones_counts(letters: Any) -> None:
    # a letter and the space are a token each. ` ab`: 2 alone, and of ` abcd` 5 tokens become 1 + 2; ` xyz`: 3; ` abcd`: 4
    assert words_to_add(["ab abcd xyz"], letters, 3) == ["ab", "abcd", "xyz"]
    assert words_to_add(["ab xyz"], letters, 3) == ["xyz", "ab"]


def test_a_word_gets_the_space_before_it_where_the_tokenizer_has_it_so(letters: Any, pieces: Any) -> None:
    assert list(in_pieces(["ab", "<ab>"], letters)) == [" ab", "<ab>"]
    assert in_pieces(["abc", "the", "xyz"], pieces) == {"abc": [2, 6, 7], "xyz": [0]}
