"""The grammar of a mixture."""

from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import MixBy, Recipe, dump, from_mapping, parse


def recipe(data: Any, *overrides: str) -> Recipe:
    return from_mapping({"model": "m", "data": data}, name="tiny", overrides=overrides)


def test_a_rehearsal_share_is_one_line() -> None:
    found = parse("model: m\ndata:\n  mix: {docstrings: 0.9, small-talk: 0.1}\n", name="tiny")
    assert {name: (entry.source, entry.weight) for name, entry in found.data.mix.items()} == {
        "docstrings": (None, 0.9),
        "small-talk": (None, 0.1),
    }
    assert found.data.named == "docstrings + small-talk"
    assert parse(dump(found), name="tiny") == found


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("epochs", MixBy(rule="epochs")),
        ({"temperature": 2}, MixBy(rule="temperature", temperature=2.0)),
        ({"rule": "temperature"}, MixBy(rule="temperature", temperature=1.0)),
    ],
)
def test_the_rule_is_a_word_or_a_temperature(given: Any, rule: MixBy) -> None:
    assert recipe({"mix": {"a": {}, "b": {}}, "mix_by": given}).data.mix_by == rule


def test_overrides_reach_into_a_set() -> None:
    found = recipe({"mix": {"a": 0.9, "b": 0.1}}, "data.mix.b.source=b.csv", "data.mix.a=2", "data.mix_by=epochs")
    assert (found.data.mix["b"].weight, found.data.mix["b"].source, found.data.mix["a"].weight) == (0.1, "b.csv", 2)
    assert found.data.mix_by == MixBy(rule="epochs")
    assert recipe({"mix": {"a": {}}}, "data.mix_by.temperature=3").data.mix_by.temperature == 3


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (
            {"train": "x", "mix": {"a": 1}},
            'data.mix: stands beside data.train ("x"). Leave one of them out: data.train=null or data.mix={}.',
        ),
        ({"mix": {}}, "data.train: missing."),
        ({"mix": {"a": 0}}, "data.mix.a.weight: expected a number > 0, found 0."),
        ({"mix": {"a": "b.csv"}}, 'data.mix.a.weight: expected a number, found "b.csv".'),
        ({"mix": {"a": {"wieght": 1}}}, 'data.mix.a.wieght: unknown key. Did you mean "weight"?'),
        ({"mix": {"a": 1}, "template": "{text}"}, "data.template: belongs to the sets of data.mix, each its own: data.mix.a.template."),
        ({"mix": {"a": 1}, "mix_by": "size"}, 'data.mix_by.rule: expected one of weights, temperature, epochs, found "size".'),
        ({"train": "x", "mix_by": "epochs"}, "data.mix_by: says how the sets of data.mix share an epoch, and there is no data.mix."),
        ({"mix": {"a": 2}, "mix_by": {"temperature": 2}}, "data.mix.a.weight: has no meaning beside data.mix_by.temperature"),
    ],
)
def test_mistakes_are_one_line(data: Any, line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(data)
    assert str(caught.value).startswith(f"tiny: {line}")
    assert "\n" not in str(caught.value)
