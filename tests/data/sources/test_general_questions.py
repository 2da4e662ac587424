"""The questions that come with tunesmith."""

from collections import Counter

from tunesmith.core.types import Choice
from tunesmith.data import read


def test_every_question_is_asked_once_and_has_four_different_choices() -> None:
    found = read("general-questions")
    questions = [example for example in found.examples if isinstance(example, Choice)]
    assert len(questions) == len(found.examples) == len({example.question for example in questions}) > 100
    assert all(len(set(example.choices)) == 4 for example in questions)
    assert found.facts.licence == "Apache-2.0"


def test_the_right_choice_stands_at_no_place_more_often_than_chance_would_have_it() -> None:
    places = Counter(example.answer for example in read("general-questions").examples if isinstance(example, Choice))
    assert sorted(places) == [0, 1, 2, 3]
    assert max(places.values()) < 45


def test_the_right_choice_is_the_one_of_the_file() -> None:
    [paris] = [e for e in read("general-questions").examples if isinstance(e, Choice) and e.question == "What is the capital of France?"]
    assert paris.answer is not None
    assert paris.choices[paris.answer] == "Paris"
