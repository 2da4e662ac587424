"""Validity of JSON, of JSON that a schema binds, and of tool calls."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation.metrics.made import HERE, of_texts, value_of
from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.types import Call, Chat, Message, Output
from tunesmith.evaluation.metrics._json_schema import fits, schema_problem
from tunesmith.evaluation.score import compare

INVOICE = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "pattern": "^R-[0-9]+$"},
        "total": {"type": "number", "minimum": 0},
        "currency": {"enum": ["EUR", "USD"]},
        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["number", "total"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}, "count": {"type": "integer"}}}},
}


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ('{"a": [1, 2.5, true, null, "x"]}', True),
        (" 3\n", True),
        ('"text"', True),
        ("", False),
        ("{'a': 1}", False),
        ('{"a": 1,}', False),
        ('{"a": 1', False),
        ('Here it is: {"a": 1}', False),
        ('```json\n{"a": 1}\n```', False),
        ("NaN", False),
        ("[" * 100_000, False),
    ],
)
def test_an_answer_is_json_whole_and_strictly_or_it_is_not(text: str, is_valid: bool) -> None:
    assert of_texts("json_valid", [text], [["whatever"]]) == float(is_valid)


@pytest.mark.parametrize(
    ("value", "is_fit"),
    [
        ({"number": "R-1", "total": 12.5}, True),
        ({"number": "R-1", "total": 0, "currency": "EUR", "lines": [{"text": "tea", "count": 2}]}, True),
        ({"number": "R-1"}, False),  # no total
        ({"number": "1", "total": 1}, False),  # the pattern
        ({"number": "R-1", "total": -1}, False),
        ({"number": "R-1", "total": "1"}, False),
        ({"number": "R-1", "total": True}, False),  # a boolean is no number
        ({"number": "R-1", "total": 1, "currency": "GBP"}, False),
        ({"number": "R-1", "total": 1, "lines": []}, False),
        ({"number": "R-1", "total": 1, "lines": [{"text": "tea", "count": 1.5}]}, False),
        ({"number": "R-1", "total": 1, "lines": [{"count": 1}]}, False),
        ({"number": "R-1", "total": 1, "note": ""}, False),  # an additional property
        (["R-1", 1], False),
    ],
)
def test_an_answer_fits_the_schema_of_the_file_or_it_does_not(value: Any, is_fit: bool, tmp_path: Path) -> None:
    file = tmp_path / "invoice.json"
    file.write_text(json.dumps(INVOICE), encoding="utf-8")
    assert of_schema(json.dumps(value), file) == float(is_fit)
    assert of_schema("It is: " + json.dumps(value), file) == 0.0


def of_schema(text: str, file: Path) -> float:
    return value_of("json_schema", [Output(text=text)], ["whatever"], schema=str(file))


# From the official suite, https://github.com/json-schema-org/JSON-Schema-Test-Suite, in its own words: draft 2020-12
SUITE = [
    ({"type": "integer"}, 1.0, True),  # a float with zero fractional part is an integer
    ({"type": "integer"}, "1", False),
    ({"type": ["integer", "string"]}, None, False),
    ({"const": {"a": 1, "b": [2.0]}}, {"b": [2], "a": 1.0}, True),
    ({"const": False}, 0, False),
    ({"enum": [[False]]}, [0], False),
    ({"uniqueItems": True}, [1, 1.0], False),
    ({"uniqueItems": True}, [1, True], True),
    ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
    ({"prefixItems": [{"type": "integer"}], "items": False}, [1, 2], False),
    ({"prefixItems": [{"type": "integer"}], "items": False}, [1], True),
    ({"exclusiveMaximum": 3.0}, 3.0, False),
    ({"maximum": 3.0}, "x", True),  # what is no number is not looked at
    ({"maxLength": 2}, "💩💩", True),  # a supplementary character counts once
    ({"minProperties": 1}, {}, False),
    ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, 3, False),
    ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, 2.5, True),
    ({"anyOf": [True, False]}, "x", True),
    ({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1}, False),
    ({"not": {"type": "integer"}}, 1, False),
    ({"properties": {"a": {"$ref": "#/definitions/b~1c"}}, "definitions": {"b/c": {"type": "string"}}}, {"a": 1}, False),
    ({"properties": {"child": {"$ref": "#"}}, "additionalProperties": False}, {"child": {"child": {}}}, True),
    ({"properties": {"child": {"$ref": "#"}}, "additionalProperties": False}, {"child": {"other": {}}}, False),
    (True, 1, True),
    (False, 1, False),
]


@pytest.mark.parametrize(("schema", "value", "is_fit"), SUITE)
def test_schemas_mean_what_the_official_suite_says(schema: Any, value: Any, is_fit: bool) -> None:
    assert schema_problem(schema) == ""
    assert fits(value, schema) == is_fit


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("{", "no JSON"),
        ('{"if": {}}', "if is not checked"),
        ('{"properties": {"a": {"type": "decimal"}}}', "the type decimal is unknown"),
        ('{"$ref": "#/$defs/gone"}', "$ref: #/$defs/gone leads nowhere in it"),
        ('{"pattern": "("}', "the pattern ( cannot be read"),
        ('{"items": 3}', "3 is no schema"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused_in_one_line(content: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        registry.create("metric", "json_schema", schema=str(file))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_schema_that_refers_to_itself_without_end_fits_nothing() -> None:
    assert not fits(1, {"$ref": "#"})


WEATHER = json.dumps(
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]},
        },
    }
)
ASKED = Chat((Message("user", "Rain?"), Message("assistant", "", calls=(Call("weather", '{"city": "Oslo"}'),))), HERE, (WEATHER,))
HERMES = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        (HERMES, True),
        (f"Let me look.\n{HERMES}\n{HERMES}", True),
        ('{"name": "weather", "parameters": {"city": "Oslo", "days": 3}}', True),  # Llama 3
        ('[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}}]', True),  # Mistral
        ('{"type": "function", "function": {"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}', True),  # OpenAI
        ("It will rain.", False),
        ("", False),
        (HERMES[:-20], False),  # breaks off
        (HERMES + '{"name": "wea', False),
        (HERMES.replace("weather", "wether"), False),
        (HERMES.replace("city", "town"), False),
        (HERMES.replace('"Oslo"', "7"), False),
        ('{"name": "weather"}', False),
    ],
)
def test_a_tool_call_is_valid_where_it_could_be_carried_out(text: str, is_valid: bool) -> None:
    assert value_of("tool_calls_valid", [Output(text=text)], [HERMES], [ASKED]) == float(is_valid)


def test_rows_that_call_no_tool_or_in_no_known_way_are_left_out_and_counted() -> None:
    metric = registry.create("metric", "tool_calls_valid")
    talk = Chat((Message("user", "Hi"), Message("assistant", "Hello")), HERE, (WEATHER,))
    unread = Chat(ASKED.messages, HERE, (WEATHER.replace('"required"', '"patternProperties": {}, "required"'),))
    examples, references = [ASKED, talk, ASKED, unread], [HERMES, "Hello", "weather(city='Oslo')", HERMES]
    entry = compare(metric, None, [Output(text=HERMES)] * 4, examples, references, seed=0)
    assert (entry["rows"], entry["excluded"], entry["tuned"]["value"]) == (1, 3, 1.0)


def test_an_answer_in_json_is_measured_without_a_reference() -> None:
    metric = registry.create("metric", "json_valid")
    entry = compare(metric, None, [Output(text="1"), Output(text="x")], [ASKED, ASKED], ["", ""], seed=0)
    assert (entry["rows"], entry["excluded"]) == (2, 0)
    assert np.isclose(entry["tuned"]["value"], 0.5)
