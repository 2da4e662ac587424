"""Records to predict are read like the training data, without the answer."""

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Completion, Labelled, Message, Origin, Prompt, Text
from tunesmith.data import example_to_predict

HERE = Origin("new.csv", 4)


def test_each_format_reads_its_own_kind() -> None:
    assert example_to_predict({"text": "a"}, HERE, format="labelled", columns={}) == Labelled("a", None, HERE)
    assert example_to_predict({"text": "a", "text_pair": "b"}, HERE, format="labelled", columns={}) == Labelled("a", None, HERE, "b")
    assert example_to_predict({"question": "a"}, HERE, format="pairs", columns={}) == Completion("a", "", HERE)
    assert example_to_predict({"text": "a"}, HERE, format="text", columns={}) == Text("a", HERE)
    assert example_to_predict({"prompt": "a"}, HERE, format="messages", columns={}) == Prompt((Message("user", "a"),), HERE)
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert example_to_predict({"messages": turns}, HERE, format="messages", columns={}) == Prompt(
        (Message("system", "s"), Message("user", "u")), HERE
    )


def test_the_recipes_column_goes_before_usual_names() -> None:
    record = {"review": "mine", "text": "not mine"}
    assert example_to_predict(record, HERE, format="labelled", columns={"text": "review"}) == Labelled("mine", None, HERE)


def test_a_column_that_stands_alone_needs_no_name() -> None:
    assert example_to_predict({"anything": "a"}, HERE, format="labelled", columns={"text": "review"}) == Labelled("a", None, HERE)


def test_a_missing_column_is_named_with_what_was_found() -> None:
    with pytest.raises(DataError, match=r'new\.csv:4: no column "review"\. Found: a, b\.'):
        example_to_predict({"a": "x", "b": "y"}, HERE, format="labelled", columns={"text": "review"})
