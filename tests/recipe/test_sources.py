"""A source of data is a text or a mapping, in a file and on the command line."""

import json

import pytest

from tunesmith import recipe
from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, source_name
from tunesmith.recipe.json_schema import json_schema

URL = {"url": "https://example.org/rows.jsonl", "sha256": "0" * 64}


def read(train: object, *overrides: str) -> Recipe:
    return recipe.from_mapping({"model": "m", "data": {"train": train}}, name="x", overrides=overrides)


def test_a_mapping_is_the_options_of_one_source_with_its_defaults() -> None:
    assert read(URL).data.train == {**URL, "most_mb": 1024}
    for mapping in ({"sql": "sqlite:///a.db", "query": "select 1"}, {"source": "a.en", "target": "a.de"}, {"file": "a.xlsx", "sheet": "B"}):
        loaded = read(mapping)
        assert loaded.data.train == mapping
        assert recipe.parse(recipe.dump(loaded), name="x") == loaded


def test_validation_test_and_domains_take_one_too() -> None:
    loaded = recipe.from_mapping(
        {"model": "m", "data": {"train": "a.csv", "validation": URL, "test": URL}, "evaluate": {"domains": {"web": {"source": URL}}}},
        name="x",
    )
    assert loaded.data.validation == loaded.data.test == loaded.evaluate.domains["web"].source == {**URL, "most_mb": 1024}


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"url": "https://a.example/b.csv"}, r"data\.train\.sha256: missing\. SHA-256 of the file"),
        ({**URL, "sha": 1}, r"data\.train\.sha: unknown option\. .*Known: most_mb, sha256, url"),
        ({**URL, "most_mb": "2"}, r'data\.train\.most_mb: expected a whole number, found "2"'),
        ({"ulr": "x"}, r"data\.train: a mapping of ulr names no data source\. Known: .*\{url: \.\.\., sha256: \.\.\.\}"),
        ({}, r"data\.train: a mapping of nothing names no data source"),
        ("", r'data\.train: expected text, or a mapping .*, found ""'),
        (3, r"data\.train: expected text, or a mapping .*, found 3"),
    ],
)
def test_mistakes_are_named_where_they_stand(train: object, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        read(train)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["b.csv", "data/*.jsonl", "*.jsonl", "name:train[:10%]", "12", "~/x.csv", "a: b.csv", "C:\\x.csv"])
def test_a_text_on_the_command_line_replaces_a_mapping(text: str) -> None:
    assert read(URL, f"data.train={text}").data.train == text


def test_a_mapping_on_the_command_line_replaces_a_text_or_another_mapping() -> None:
    for before in ("a.csv", {"source": "a.en", "target": "a.de"}):
        changed = read(before, f"data.train={{url: {URL['url']}, sha256: '{URL['sha256']}'}}")
        assert changed.data.train == {**URL, "most_mb": 1024}


def test_one_option_of_a_mapping_is_changed_on_the_command_line() -> None:
    assert read(URL, "data.train.most_mb=5").data.train == {**URL, "most_mb": 5}
    assert read("a.csv", "data.validation={source: a.en, target: a.de}").data.validation == {"source": "a.en", "target": "a.de"}
    assert read("a.csv", "data.validation=b.csv", "data.validation=null").data.validation is None
    with pytest.raises(RecipeError, match=r"data\.train: 'a\.csv' has no keys of its own"):
        read("a.csv", "data.train.sha256=0")
    with pytest.raises(RecipeError, match=r"command line: data\.train: \{url:https"):
        read("a.csv", "data.train={url:https}")


def test_a_source_has_a_name_for_messages() -> None:
    assert source_name("a.csv") == "a.csv"
    assert source_name(URL) == "https://example.org/rows.jsonl"


def test_the_schema_allows_a_text_or_one_of_the_mappings() -> None:
    train = json_schema()["$defs"]["DataSpec"]["anyOf"][1]["properties"]["train"]
    forms = [set(form["required"]) for form in train["anyOf"] if form["type"] == "object"]
    assert {"type": "string", "minLength": 1} in train["anyOf"]
    assert {"url", "sha256"} in forms
    assert {"sql", "query"} in forms
    assert "most_mb" in json.dumps(train)
