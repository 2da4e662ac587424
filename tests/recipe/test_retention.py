"""The grammar of `evaluate.retention`."""

from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, RetentionSpec, dump, from_mapping, parse


def recipe(retention: Any, *overrides: str) -> Recipe:
    return from_mapping({"model": "m", "data": "d.csv", "evaluate": {"retention": retention}}, name="tiny", overrides=overrides)


def test_auto_is_the_default() -> None:
    assert from_mapping({"model": "m", "data": "d.csv"}, name="tiny").evaluate.retention == "auto"


@pytest.mark.parametrize("given", ["none", None, {}, []])
def test_none_and_nothing_are_none(given: Any) -> None:
    assert recipe(given).evaluate.retention == "none"


@pytest.mark.parametrize(
    "given", [["editorials", "mine.txt"], {"editorials": "editorials", "mine.txt": {"source": "mine.txt", "limit": 100}}]
)
def test_sets_are_a_list_or_a_mapping(given: Any) -> None:
    found = recipe(given)
    assert found.evaluate.retention == {name: RetentionSpec(source=name, limit=100) for name in ("editorials", "mine.txt")}
    assert parse(dump(found), name="tiny") == found


def test_overrides_name_sets() -> None:
    assert recipe("auto", "evaluate.retention=none").evaluate.retention == "none"
    assert recipe("none", "evaluate.retention=[a.txt]").evaluate.retention == {"a.txt": RetentionSpec(source="a.txt")}
    assert recipe({"a": "a.txt"}, "evaluate.retention.a.limit=7").evaluate.retention == {"a": RetentionSpec(source="a.txt", limit=7)}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("atuo", 'evaluate.retention: expected auto, none, a list of sources, or {NAME: SOURCE, ...}, found "atuo".'),
        (3, "evaluate.retention: expected auto, none, a list of sources, or {NAME: SOURCE, ...}, found 3."),
        ([{"file": "a.txt"}], "evaluate.retention: expected auto, none, a list of sources, or {NAME: SOURCE, ...}, found a list."),
        (
            {"a": {"source": "x", "limits": 3}},
            'evaluate.retention.a.limits: unknown key. Did you mean "limit"? Known: columns, format, limit, source.',
        ),
        ({"a": {"source": "x", "limit": 0}}, "evaluate.retention.a.limit: expected a number >= 1, found 0."),
        ({"a": {"limit": 3}}, "evaluate.retention.a.source: missing."),
        ({"a": {"source": "x", "format": "txt"}}, 'evaluate.retention.a.format: unknown format "txt".'),
    ],
)
def test_a_mistake_is_one_line_at_its_key(given: Any, text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(given)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
