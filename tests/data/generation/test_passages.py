"""Passages keep a document's words in order and end where sentences do; an answer stands in one by its words."""

import pytest

from tunesmith.core.types import Origin
from tunesmith.data.generation.forms import PairForm
from tunesmith.data.generation.passages import LEAST_CHARACTERS, MOST_CHARACTERS, Passage, passages, request_about, stands_in

DOCUMENT = Origin("folder/a.md", 1)


def texts(document: str) -> list[str]:
    return [passage.text for passage in passages(document, DOCUMENT)]


def test_paragraphs_that_fit_together_are_one_passage() -> None:
    first, second, third = "a" * 500, "b" * 498, "c" * 500
    assert texts(f"{first}\n\n{second}\n \n{third}") == [f"{first}\n\n{second}", third]  # 500 + 2 + 498 is the most


def test_a_long_paragraph_is_parted_behind_sentences_and_nothing_is_lost() -> None:
    sentences = [f"Sentence {number:03} of a long paragraph." for number in range(100)]
    found = texts(" ".join(sentences))
    assert all(len(text) <= MOST_CHARACTERS and text.endswith(".") for text in found)
    assert " ".join(found) == " ".join(sentences)


def test_a_sentence_without_end_is_parted_at_spaces_and_a_word_without_end_anywhere() -> None:
    assert all(set(text.split()) == {"word"} for text in texts("word " * 1000))
    assert "".join(texts("x" * 2500)) == "x" * 2500


def test_headings_alone_are_left_out_and_passages_are_numbered() -> None:
    assert texts("# A heading\n\n" + "x" * (MOST_CHARACTERS)) == ["x" * MOST_CHARACTERS]
    assert texts("y" * (LEAST_CHARACTERS - 1)) == []
    numbers = [passage.number for passage in passages("x" * 2500, DOCUMENT)]
    assert numbers == [1, 2, 3]


def test_the_request_ends_with_the_passage_and_its_shown_answers_stand_in_their_passages() -> None:
    turns = request_about(Passage("The end.", DOCUMENT, 1))
    assert turns[-1].role == "user"
    assert turns[-1].content.endswith("The passage:\nThe end.")
    for asked, answered in zip(turns[0:-1:2], turns[1::2], strict=True):
        example = PairForm().read(answered.content, None, DOCUMENT)
        assert example is not None
        assert stands_in(example.target, asked.content.partition("The passage:")[2])


@pytest.mark.parametrize(
    ("answer", "is_held"),
    [
        ("in 1906", True),
        ("In 1906.", True),
        ("opened, in\n1906", True),
        ("1906 opened", False),
        ("19", False),
        ("opened 1906", False),
        ("in 1907", False),
        ("...", False),
    ],
)
def test_an_answer_stands_in_a_passage_where_its_words_do_in_a_row(answer: str, is_held: bool) -> None:
    assert stands_in(answer, "The tram was opened in 1906 (in spring).") is is_held


def test_scripts_without_spaces_are_compared_by_their_characters() -> None:
    assert stands_in("東京", "日本の首都は東京です。")
    assert not stands_in("京都", "日本の首都は東京です。")
