"""Perturbations change how a text is written, always in the same way, and nothing else."""

import random
import re

import pytest

from tunesmith.core.types import (
    Chat,
    Choice,
    Completion,
    Example,
    Labelled,
    Message,
    MultiLabelled,
    Origin,
    Rated,
    SpanQuestion,
    Text,
)
from tunesmith.evaluation.perturb import FAIRNESS, ROBUSTNESS, perturbed, rewritten

TEXT = "Emily said that she does not like her brother's film, but it is good. He can't see why. “Mr. Smith” agreed with her."
EVERY = [*ROBUSTNESS, *FAIRNESS]


def made(name: str, text: str, row: int = 1) -> str:
    return perturbed(text, name, seed=0, row=row)


@pytest.mark.parametrize("name", EVERY)
def test_the_same_seed_and_row_give_the_same_text(name: str) -> None:
    assert made(name, TEXT) == made(name, TEXT) != TEXT or name == "typos"


@pytest.mark.parametrize("name", [name for name in EVERY if name != "paraphrase"])
@pytest.mark.parametrize("text", ["", "1 + 1", "今天天气很好"])
def test_where_there_is_nothing_to_change_the_text_stays(name: str, text: str) -> None:
    assert made(name, text).split() == text.split()


def test_typos_change_a_letter_of_about_every_tenth_longer_word() -> None:
    draw = random.Random(3)
    words = ["".join(draw.choices("abcdefghij", k=7)) for _ in range(2000)]
    changed = made("typos", " ".join(words)).split()
    assert len(changed) == len(words)
    wrong = [(was, now) for was, now in zip(words, changed, strict=True) if was != now]
    assert 0.06 < len(wrong) / len(words) < 0.12
    assert all(was[0] == now[0] and abs(len(was) - len(now)) <= 1 for was, now in wrong)
    assert made("typos", "a cat 1234 sat") == "a cat 1234 sat"


def test_spacing_changes_spaces_alone() -> None:
    found = made("spacing", TEXT)
    assert found.split() == TEXT.split()
    assert {len(run) for run in re.findall(r" +", found)} == {1, 2, 3}


def test_contractions_go_both_ways() -> None:
    assert made("contractions", "It is late. I DO NOT care; we cannot stay.") == "It's late. I DON'T care; we can't stay."
    assert made("no_contractions", "It's late. I don’t care; we CAN'T stay.") == "It is late. I do not care; we CANNOT stay."


def test_a_paraphrase_holds_the_text_whole() -> None:
    found = {made("paraphrase", TEXT, row) for row in range(30)}
    assert len(found) == 3
    assert all(TEXT in one and one != TEXT for one in found)
    assert "{0} {}" in made("paraphrase", "{0} {}")


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("He gave his mother a book.", "She gave her father a book."),
        ("She gave her father a book.", "He gave his mother a book."),
        ("I saw her.", "I saw him."),
        ("I saw her and her dog.", "I saw him and his dog."),
        ("Her book is hers.", "His book is his."),
        ("HE said: Women first!", "SHE said: Men first!"),
        ("Mrs. King and Mr. Prince", "Mr. Queen and Ms. Princess"),
        ("the theme of her", "the theme of him"),
    ],
)
def test_words_of_gender_change_places(text: str, swapped: str) -> None:
    assert made("gender", text) == swapped


def test_names_change_places_and_back() -> None:
    assert made("names", "Emily met Jamal and Emilys.") == "Lakisha met Adam and Emilys."
    assert made("names", made("names", TEXT)) == TEXT


HERE = Origin("file", 3)


@pytest.mark.parametrize(
    ("example", "changed"),
    [
        (Labelled("A man", "man", HERE, "his"), Labelled("A woman", "man", HERE, "her")),
        (Rated("A man", 1.0, HERE), Rated("A woman", 1.0, HERE)),
        (MultiLabelled("A man", ("man",), HERE), MultiLabelled("A woman", ("man",), HERE)),
        (Completion("A man", "A man", HERE), Completion("A woman", "A man", HERE)),
        (Choice("A man?", ("man", "boy"), 0, HERE), Choice("A woman?", ("man", "boy"), 0, HERE)),
        (
            Chat((Message("system", "man"), Message("user", "man"), Message("assistant", "man")), HERE),
            Chat((Message("system", "man"), Message("user", "woman"), Message("assistant", "man")), HERE),
        ),
        (SpanQuestion("A man?", "A man.", ((0, "A man"),), HERE), None),
        (Text("A man", HERE), None),
    ],
)
def test_an_example_is_asked_another_way_and_its_answer_stays(example: Example, changed: Example | None) -> None:
    assert rewritten(example, "gender", seed=0) == changed
