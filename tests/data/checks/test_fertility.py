"""Fertility is counted by hand, and a language that is cut finely is told."""

from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.data.checks.rows import texts
from tunesmith.data.checks.fertility import count_words, find_fertility, measure_fertility


@pytest.fixture(scope="module")
def pieces() -> Any:
    """A WordPiece tokenizer that knows `the cat`, and the letters of `katze` as pieces."""
    known = ["[UNK]", "the", "cat", "ka", *(f"##{letter}" for letter in "tze"), "."]
    built = Tokenizer(models.WordPiece({token: number for number, token in enumerate(known)}, unk_token="[UNK]"))  # type: ignore[call-arg]
    built.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=built, unk_token="[UNK]")


def test_words_are_parted_by_white_space_and_keep_their_marks() -> None:
    assert count_words(["“The cat’s” — the cat, 2.5 (katze)…"]) == {"The": 1, "cat’s": 1, "the": 1, "cat": 1, "2.5": 1, "katze": 1}
    assert count_words(["नमस्ते, दुनिया!"]) == {"नमस्ते": 1, "दुनिया": 1}


def test_fertility_worked_by_hand(pieces: Any) -> None:
    found = measure_fertility(["the katze.", "the cat"], pieces)
    assert found is not None
    assert found.num_words == 4
    assert found.tokens_per_word == (1 + 4 + 1 + 1) / 4  # ka ##t ##z ##e
    assert found.whole_words == 3 / 4
    assert found.tokens_per_byte == 8 / 17
    assert found.has_spaces
    assert measure_fertility(["…", ""], pieces) is None


def test_a_word_that_the_tokenizer_does_not_know_is_not_whole(pieces: Any) -> None:
    found = measure_fertility(["the hund"], pieces)
    assert found is not None
    assert (found.tokens_per_word, found.whole_words) == (1.0, 0.5)


def test_the_space_before_a_word_belongs_to_it(chatml: Any) -> None:
    found = measure_fertility(["film the film"], chatml)
    expected = [len(chatml(f" {word}", add_special_tokens=False)["input_ids"]) for word in ("film", "the", "film")]
    assert found is not None
    assert found.tokens_per_word == sum(expected) / 3


def test_what_is_cut_more_than_twice_as_finely_as_english_is_a_note(pieces: Any) -> None:
    english = ["the cat the cat"]
    measured, found = find_fertility({"train": texts("katze katze", "the katze"), "test": texts("the cat katze")}, pieces, english)
    assert measured["train"].tokens_per_word == 13 / 4
    assert [(one.check, one.severity, one.split, one.count) for one in found] == [("fertility", "note", "train", 2)]
    assert "train takes 3.25 tokens a word, English through the same tokenizer 1.00: 3.2 times as many." in found[0].text
    assert find_fertility({"train": texts("katze katze")}, pieces, [])[1] == []


def test_a_text_without_spaces_is_compared_by_bytes(pieces: Any) -> None:
    _, found = find_fertility({"train": texts("katze" * 5)}, pieces, ["the cat " * 4])
    assert found == []  # one word of 25 letters that nobody knows: one unknown token
