"""A target that is a list of texts: the first is learned, all are right."""

from collections.abc import Mapping
from typing import Any

import pytest

from tunesmith.core import registry
from tunesmith.core.errors import DataError
from tunesmith.core.types import Completion, Origin
from tunesmith.data.convert import OTHERS, convert

HERE = Origin("pairs.jsonl", 7)
COLUMNS = {"source": "question", "target": "answer"}


def parsed(record: Mapping[str, Any]) -> Any:
    return registry.create("format", "pairs").parse({"question": "Capital of Norway?", **record}, HERE, COLUMNS)


def test_the_first_text_is_the_target_and_the_others_are_kept_once_without_empty_ones() -> None:
    found = parsed({"answer": ["Oslo", "Oslo, Norway", None, " ", "Oslo"]})
    assert found == Completion("Capital of Norway?", "Oslo", HERE, ("Oslo, Norway",))
    assert parsed({"answer": "Oslo"}) == Completion("Capital of Norway?", "Oslo", HERE)


def test_a_text_that_looks_like_a_list_is_a_text() -> None:
    assert parsed({"answer": "[1, 2]"}).target == "[1, 2]"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], 'pairs.jsonl:7: the column "answer" holds a list without a text'),
        ([None, ""], 'pairs.jsonl:7: the column "answer" holds a list without a text'),
        (["Oslo", 3], 'pairs.jsonl:7: the column "answer" holds 3 (int), expected text.'),
        ([{"role": "assistant", "content": "Oslo"}], 'pairs.jsonl:7: the column "answer" holds'),
    ],
)
def test_a_list_without_texts_is_an_error_that_names_the_row(answer: Any, said: str) -> None:
    with pytest.raises(DataError) as error:
        parsed({"answer": answer})
    assert said in str(error.value)


def test_converting_keeps_them_in_pairs_and_says_where_they_would_be_lost() -> None:
    example = Completion("asked", "one", HERE, ("two",))
    assert convert(example, "pairs").record == {"prompt": "asked", "completion": ["one", "two"]}
    assert convert(example, "pairs").losses == ()
    assert convert(example, "messages").losses == (OTHERS,)
    assert convert(example, "pairs", as_messages=True).losses == (OTHERS,)
