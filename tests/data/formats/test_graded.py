"""Answers with grades: what is taken for them, what is missing, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Graded, Message, Origin
from tunesmith.data import read
from tunesmith.data.checks.texts import asked, full_text
from tunesmith.data.prediction import columns_to_predict, example_to_predict
from tunesmith.data.split import content_key, num_duplicates
from tunesmith.evaluation.score import text_of

HELPSTEER = {"prompt": "Sky?", "response": "Blue.", "helpfulness": 3, "correctness": 4, "coherence": 4, "complexity": 0, "verbosity": 1}
PROMPT, ANSWER = (Message("user", "Sky?"),), (Message("assistant", "Blue."),)


def grades(*records: dict[str, Any], **options: Any) -> list[tuple[tuple[str, float | None], ...]]:
    found = read(list(records), **options)
    assert found.facts.format == "graded"
    return [example.grades for example in found.examples if isinstance(example, Graded)]


def test_helpsteers_columns_are_read_as_they_are() -> None:
    found = read([HELPSTEER])
    (example,) = found.examples
    expected = (("helpfulness", 3.0), ("correctness", 4.0), ("coherence", 4.0), ("complexity", 0.0), ("verbosity", 1.0))
    assert example == Graded(PROMPT, ANSWER, expected, example.origin)
    assert found.facts.labels == ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
    assert (asked(example), text_of(example), full_text(example)) == ("Sky?", "Sky?", "Sky?\nBlue.")


def test_the_same_prompt_with_another_answer_is_no_copy_and_stays_on_one_side() -> None:
    one, other = read([HELPSTEER, HELPSTEER | {"response": "Grey."}]).examples
    assert (num_duplicates([one, other]), content_key(one) == content_key(other)) == (0, True)
    assert num_duplicates(read([HELPSTEER, HELPSTEER | {"verbosity": 4}]).examples) == 1


def test_two_usual_names_with_numbers_are_enough_and_one_is_not() -> None:
    pair = {"prompt": "Sky?", "response": "Blue."}
    assert grades({**pair, "relevance": "4.5", "coherence": 2}) == [(("coherence", 2.0), ("relevance", 4.5))]
    assert read([{**pair, "relevance": 4}]).facts.format == "pairs"
    assert read([{**pair, "relevance": "high", "coherence": "low"}]).facts.format == "pairs"
    assert read([{**pair, "relevance": 4, "coherence": 2}], format="pairs").facts.format == "pairs"
    preferred = {"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green.", "relevance": 4, "coherence": 2}
    assert read([preferred]).facts.format == "preference"


def test_attributes_of_any_name_and_scale_are_named_and_then_no_others_are_read() -> None:
    record = {"q": "Sky?", "a": "Blue.", "tone": -1.5, "Q2": 80, "relevance": 4, "coherence": 1}
    columns = {"prompt": "q", "response": "a", "tone": "tone", "usefulness": "Q2"}
    assert grades(record, format="graded", columns=columns) == [(("tone", -1.5), ("usefulness", 80.0))]
    renamed = {"prompt": "Sky?", "response": "Blue.", "rel": 4}
    assert grades(renamed, columns={"relevance": "rel"}) == [(("relevance", 4.0),)]
    with pytest.raises(
        DataError,
        match="data.columns.tone: no format has such a role.* An attribute, or a number, of another name needs data.format=columns or graded.",
    ):
        read([record], columns={"tone": "tone"})
    assert read([record], format="graded", columns=columns).facts.notes == ("list: columns that are not read: relevance, coherence",)


def test_a_grade_may_be_missing_but_not_all_of_a_row() -> None:
    pair = {"prompt": "Sky?", "response": "Blue."}
    found = grades({**pair, "relevance": 4, "coherence": None}, {**pair, "relevance": "", "coherence": 1.0}, {**pair, "relevance": 2})
    assert found == [
        (("coherence", None), ("relevance", 4.0)),
        (("coherence", 1.0), ("relevance", None)),
        (("coherence", None), ("relevance", 2.0)),
    ]
    with pytest.raises(DataError, match="list:2: no grade of coherence, relevance. Write one or remove the row."):
        read([{**pair, "relevance": 4, "coherence": 2}, {**pair, "relevance": None, "coherence": None}])


def test_conversations_dialogues_and_a_system_message() -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Sky?"}]
    marks = {"relevance": 4, "coherence": 2}
    (example,) = read([{"prompt": talk, "response": [{"role": "assistant", "content": "Blue."}], "system": "Be brief.", **marks}]).examples
    assert isinstance(example, Graded)
    assert example.prompt == (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello"), *PROMPT)
    assert example.completion == ANSWER
    (other,) = read([{"prompt": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Sky?\n\nAssistant:", "response": "Blue.", **marks}]).examples
    assert isinstance(other, Graded)
    assert other.prompt == example.prompt[1:]


def test_other_splits_have_the_attributes_of_the_training_rows() -> None:
    pair = {"prompt": "Sky?", "response": "Blue."}
    record = {**pair, "verbosity": 1, "coherence": 2}
    assert grades(record, labels=("coherence", "relevance")) == [(("coherence", 2.0), ("relevance", None))]
    assert grades(record, labels={"coherence": "sense"}) == [(("sense", 2.0),)]


def test_files_that_stay_on_the_disk_are_read_the_same(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    row = '{"prompt": "Sky?", "response": "Blue.", "relevance": 4, "coherence": %s}\n'
    file.write_text("".join(row % grade for grade in ("null", 3, "null")), encoding="utf-8")
    for labels in (None, ("relevance",)):
        kept, whole = (read(str(file), labels=labels, most_bytes=most) for most in (1, None))
        assert list(kept.examples) == list(whole.examples)
        assert kept.facts.labels == whole.facts.labels == (labels or ("coherence", "relevance"))


@pytest.mark.parametrize(
    ("record", "options", "said"),
    [
        (HELPSTEER | {"coherence": "high"}, {}, 'the column "coherence" holds "high", expected a number'),
        (HELPSTEER | {"coherence": True}, {}, 'the column "coherence" holds True, expected a number'),
        (HELPSTEER | {"coherence": "inf"}, {}, 'the column "coherence" holds "inf", expected a number'),
        (HELPSTEER | {"response": " "}, {}, 'the column "response" is empty'),
        ({"prompt": "Sky?", "response": "Blue."}, {"format": "graded"}, "no column of grades. Name each attribute"),
        (
            HELPSTEER | {"prompt": [{"role": "system", "content": "a"}], "system": "b"},
            {},
            "a system message in the prompt and one beside it",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_row(record: dict[str, Any], options: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read([record], **options)
    assert str(caught.value).startswith("list:1: ")
    assert "\n" not in str(caught.value)


def test_what_is_to_be_predicted_is_read_as_it_was_learned_without_grades() -> None:
    record, here = {"question": "Sky?", "output": "Blue.", "system": "Be brief.", "note": "x"}, Origin("b", 1)
    located = columns_to_predict(record, here, format="graded", given={}, recipe={"relevance": "rel"})
    assert located == {"prompt": "question", "response": "output", "system": "system"}
    found = example_to_predict(record, here, format="graded", columns=located)
    assert found == Graded((Message("system", "Be brief."), *PROMPT), ANSWER, (), here)
    with pytest.raises(DataError, match='b:1: no column "response" or "answer"'):
        columns_to_predict({"prompt": "Sky?"}, here, format="graded", given={}, recipe={})
