"""`evaluate.judge` in a recipe."""

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import dump, from_mapping, parse


def evaluating(judge: object) -> dict[str, object]:
    return {"model": "some-model", "data": "some.jsonl", "evaluate": {"judge": judge}}


def test_it_is_off_by_default() -> None:
    assert from_mapping({"model": "some-model", "data": "some.jsonl"}, name="tiny").evaluate.judge is None
    assert from_mapping(evaluating(None), name="tiny").evaluate.judge is None


def test_a_plain_text_is_the_judges_model() -> None:
    recipe = from_mapping(evaluating("openai:m@http://localhost:8000/v1"), name="tiny")
    assert recipe.evaluate.judge is not None
    assert (recipe.evaluate.judge.model, recipe.evaluate.judge.limit) == ("openai:m@http://localhost:8000/v1", 100)
    assert parse(dump(recipe), name="tiny") == recipe


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        ("openai:m", "expected openai:NAME@URL"),
        ("openai:@http://localhost", "expected openai:NAME@URL"),
        ({"limit": 3}, "evaluate.judge.model: missing"),
        ({"model": "m", "limits": 3}, 'Did you mean "limit"'),
        ({"model": "m", "limit": 0}, "evaluate.judge.limit"),
    ],
)
def test_what_names_no_judge_is_refused(judge: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message.replace("?", r"\?")):
        from_mapping(evaluating(judge), name="tiny")
