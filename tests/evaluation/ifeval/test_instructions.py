"""Every kind of instruction accepts and refuses responses made by hand, and every published row is understood."""

import json
from typing import Any

import pytest

from tests.real_data import real_data
from tunesmith.evaluation.ifeval import INSTRUCTIONS, check, checked

THREE = {"relation": "at least", "num_words": 3}
AT_LEAST, LESS = "at least", "less than"

CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "keywords:existence",
        {"keywords": ["ink", "New York"]},
        ["Ink from new york.", "_ink_ of New York's best"],
        ["I think of New York.", "inks of New York", "ink"],
    ),
    (
        "keywords:frequency",
        {"keyword": "grid", "frequency": 2, "relation": AT_LEAST},
        ["Grid, grid.", "grid-grid grid"],
        ["grid", "grid gridlock"],
    ),
    (
        "keywords:frequency",
        {"keyword": "the", "frequency": 2, "relation": LESS},
        ["The weather there", "none"],
        ["the the", "The cat. The dog."],
    ),
    ("keywords:forbidden_words", {"forbidden_words": ["can", "ride"]}, ["A cancelled bride."], ["You CAN.", "a ride!"]),
    ("keywords:letter_frequency", {"letter": "T", "let_frequency": 2, "let_relation": AT_LEAST}, ["Tt", "to that"], ["t", "none"]),
    ("keywords:letter_frequency", {"letter": "t", "let_frequency": 2, "let_relation": LESS}, ["one t", "no"], ["Tit for tat"]),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": AT_LEAST}, ["#a #b"], ["#a b"]),
    (
        "language:response_language",
        {"language": "de"},
        ["Das ist der Anfang und das Ende."],
        ["This is the end of it and we know.", "Это конец."],
    ),
    ("language:response_language", {"language": "kn"}, ["ಇದು ಒಂದು ವಾಕ್ಯ."], ["This is a sentence.", "यह एक वाक्य है।", "1234"]),
    ("length_constraints:number_words", THREE, ["one two three", "don't go"], ["one two", "don't"]),
    ("length_constraints:number_words", {"relation": LESS, "num_words": 3}, ["one two"], ["one two three"]),
    ("length_constraints:number_sentences", {"relation": AT_LEAST, "num_sentences": 2}, ["One. Two."], ["Only Mr. Smith."]),
    ("length_constraints:number_sentences", {"relation": LESS, "num_sentences": 2}, ["Only Mr. Smith."], ["One. Two."]),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na *** b\n***"],
        ["a\n\nb", "a***b***c", "a******b", "***"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "president"},
        ["A\n\nPresident B", 'A\n\n"President," she said', "A\n\n\n\nPresident"],
        ["A\n\nPresidents B", "President A\n\nB", "A\n\nB\n\nPresident", "President", "A\n\n***"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "it"},
        [],
        ["It is."],
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\np.s. More", "P. S. More"], ["PS more", "tips. so"]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["P.P.S. More", "p. p. s more"], ["P.S. more"]),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[name] at [the address]"],
        ["[name]", "[] [ ] [name]", "[a\nb] [c]"],
    ),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* a\n* b", "- a\n  - b\n---", "*Note* this:\n* a\n* b"],
        ["* a", "* a\n* b\n* c", "*a*\n*b*", "a * b\nc - d"],
    ),
    ("detectable_format:title", {}, ["<<A title>>\nText", "<< a >>"], ["<a title>", "<<>>", "<< >>", "<<a\nb>>"]),
    (
        "detectable_format:constrained_response",
        {},
        ["My answer is yes.", "I thought. My answer is maybe."],
        ["yes", "my answer is no", "My answer is yes. My answer is no."],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* and **b c**", "* point *a*\n* point *b*"],
        ["*a*", "***a***", "* a *b", "2 * 3 * 4 * 5", "**", "*a\nb* *c*"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb", "SECTION1 SECTION 2 SECTION 3"],
        ["SECTION 1", "Section 1 Section 2", "SECTION X SECTION Y", "SUBSECTION 1 SUBSECTION 2"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": [1]}', '```json\n{"a": 1}\n```', "```JSON {}```", "[]"],
        ["{a: 1}", "Here: {}", "NaN", "[" * 100_000],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Write a poem. "},
        ["Write a poem. Roses", "  write a POEM.\nRoses"],
        ["Sure: Write a poem.", "Write a poem, please"],
    ),
    (
        "combination:two_responses",
        {},
        ["a\n******\nb", "******a******b******"],
        ["a", "a******a", "a***b", "a******b******c", "a************b", "******"],
    ),
    ("change_case:english_capital", {}, ["THIS IS IT.", "NO 2"], ["This is it.", "DAS IST DER ANFANG UND DAS ENDE.", "123", "ВСЕ"]),
    ("change_case:english_lowercase", {}, ["this is it.", "no 2"], ["This is it.", "das ist der anfang und das ende.", "123"]),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": AT_LEAST},
        ["THE END", "A B", "COVID-19 in the U.S. now"],
        ["The END", "DON'T", "COVID-19"],
    ),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": LESS}, ["The end 1"], ["The END"]),
    ("startend:end_checker", {"end_phrase": "The end."}, ["So it is. the end.", '"It is the END."  '], ["The end. Bye", "The end"]),
    ("startend:quotation", {}, ['"All of it."', ' "a" or "b" '], ['"', 'No "quotes" here.', '"Half', "'a'"]),
    ("punctuation:no_comma", {}, ["None; at all."], ["One, two."]),
]


@pytest.mark.parametrize(("instruction", "kwargs", "right", "wrong"), CASES, ids=[f"{case[0]}{i}" for i, case in enumerate(CASES)])
def test_responses_that_follow_and_that_do_not(instruction: str, kwargs: dict[str, Any], right: list[str], wrong: list[str]) -> None:
    assert [response for response in right if not check(instruction, kwargs, response)] == []
    assert [response for response in wrong if check(instruction, kwargs, response)] == []


def test_every_kind_has_its_cases() -> None:
    assert {case[0] for case in CASES} == set(INSTRUCTIONS)
    assert len(INSTRUCTIONS) == 25


@pytest.mark.parametrize(("instruction", "kwargs"), [case[:2] for case in CASES])
@pytest.mark.parametrize("response", ["", " \n\t "])
def test_an_empty_response_follows_nothing(instruction: str, kwargs: dict[str, Any], response: str) -> None:
    assert not check(instruction, kwargs, response)


def test_arguments_that_are_none_are_passed_over() -> None:
    assert check("length_constraints:number_words", {**THREE, "keywords": None}, "one two three")


@pytest.mark.parametrize(
    ("instruction", "kwargs", "message"),
    [
        ("keywords:existance", {}, 'no instruction of IFEval. Did you mean "keywords:existence"'),
        ("length_constraints:number_words", {"num_words": 3}, "found the arguments num_words, expected relation, num_words"),
        ("punctuation:no_comma", {"letter": "a"}, "found the arguments letter, expected none"),
        (
            "length_constraints:number_words",
            {"num_words": 3, "relation": "around"},
            "relation is 'around', expected 'at least' or 'less than'",
        ),
        ("length_constraints:number_words", {"num_words": "3", "relation": AT_LEAST}, "num_words is '3', expected a whole number"),
        ("keywords:existence", {"keywords": "ink"}, "keywords is 'ink', expected a list of texts"),
        ("keywords:existence", {"keywords": []}, "expected a list of texts"),
        ("startend:end_checker", {"end_phrase": " "}, "expected a text"),
        ("language:response_language", {"language": "xx"}, "language is 'xx', expected one of ar, bg, bn"),
    ],
)
def test_what_is_not_known_is_refused(instruction: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        check(instruction, kwargs, "text")


def test_every_published_row_is_understood() -> None:
    lines = (real_data("ifeval") / "input_data.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [
        (instruction, kwargs)
        for row in map(json.loads, lines)
        for instruction, kwargs in zip(row["instruction_id_list"], row["kwargs"], strict=True)
    ]
    assert len(lines) == 541
    assert len(asked) == 834
    for instruction, kwargs in asked:
        assert checked(instruction, kwargs) == kwargs
    assert {instruction for instruction, _ in asked} == set(INSTRUCTIONS)
