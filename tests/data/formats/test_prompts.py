"""Prompts without answers are read as such, and only where nothing else stands beside them."""

from typing import Any

import pytest

from tunesmith.app.chosen_objective import choose_objective
from tunesmith.core.errors import DataError, ObjectiveError
from tunesmith.core.types import Message, Origin, Prompt
from tunesmith.data import read

TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


@pytest.mark.parametrize("prompt", ["The sky is", [{"role": "user", "content": "The sky is"}], {"role": "user", "content": "The sky is"}])
def test_a_text_and_messages_are_the_same_prompt(prompt: Any) -> None:
    found = read([{"prompt": prompt}])
    assert found.facts.format == "prompts"
    assert list(found.examples) == [Prompt((Message("user", "The sky is"),), Origin("list", 1))]


def test_tools_go_with_it() -> None:
    (example,) = read([{"prompt": [{"role": "user", "content": "Look."}], "tools": [TOOL]}]).examples
    assert isinstance(example, Prompt)
    assert len(example.tools) == 1


def test_beside_other_columns_it_is_read_where_that_is_said() -> None:
    records = [{"prompt": "What is 1 + 1?", "solution": "2"}]
    with pytest.raises(DataError, match="cannot tell what the columns prompt, solution mean"):
        read(records)
    assert read(records, format="prompts").facts.format == "prompts"
    assert read([{"prompt": "a", "completion": "b"}]).facts.format == "pairs"


def test_a_prompt_that_is_answered_already_is_refused() -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    with pytest.raises(DataError, match="list:1: the prompt ends with a message of the assistant"):
        read([{"prompt": talk}])


def test_from_prompts_alone_those_objectives_learn_that_answer_them() -> None:
    with pytest.raises(ObjectiveError, match=r"the data gives Prompt\. Objectives for it: best_of_n, grpo, ppo\."):
        choose_objective(None, read([{"prompt": "a"}]).examples)
