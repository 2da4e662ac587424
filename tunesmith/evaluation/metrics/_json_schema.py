"""Whether a value fits a JSON Schema, as far as the schemas of tools and of structured answers go.

Keywords that would narrow what fits and are not checked here are refused (`schema_problem`), so that nothing is called valid that was half looked at. Notes
to a reader (title, description, default, format, ...) say nothing of what fits.
Source: JSON Schema, draft 2020-12, https://json-schema.org/draft/2020-12/json-schema-validation.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["fits", "schema_problem"]

_UNCHECKED = (
    "contains", "dependencies", "dependentRequired", "dependentSchemas", "else", "if", "maxContains", "minContains", "multipleOf", "patternProperties",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef",
)  # fmt: skip
_LISTS, _MAPPINGS, _ONE = (
    ("allOf", "anyOf", "oneOf", "prefixItems"),
    ("properties", "$defs", "definitions"),
    ("not", "items", "additionalProperties"),
)
_TYPES = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool, "null": type(None)}


def schema_problem(schema: Any) -> str:
    """What keeps a value from being checked against a schema; empty where nothing does."""
    try:
        return next(_problems(schema, schema), "")
    except RecursionError:
        return "it is nested too deeply"


def _problems(schema: Any, root: Any) -> Iterator[str]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        yield f"{json.dumps(schema)[:40]} is no schema"
        return
    yield from (f"{keyword} is not checked" for keyword in _UNCHECKED if keyword in schema)
    yield from (f"the type {name} is unknown" for name in _types(schema) if name not in _TYPES)
    if "$ref" in schema and _referred(schema["$ref"], root) is None:
        yield f"$ref: {schema['$ref']} leads nowhere in it"
    if "pattern" in schema:
        try:
            re.compile(schema["pattern"])
        except (re.error, TypeError):
            yield f"the pattern {schema['pattern']} cannot be read"
    for keyword in _LISTS:
        for part in schema.get(keyword, ()):
            yield from _problems(part, root)
    for keyword in _MAPPINGS:
        for part in schema.get(keyword, {}).values():
            yield from _problems(part, root)
    for keyword in _ONE:
        yield from _problems(schema.get(keyword, True), root)


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    named = schema.get("type", ())
    return (named,) if isinstance(named, str) else tuple(named)


def _referred(reference: Any, root: Any) -> Any:
    found = root
    for key in str(reference).split("/")[1:] if str(reference).startswith("#") else ["#"]:
        key = key.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def fits(value: Any, schema: Any, root: Any = None) -> bool:
    """Whether a value fits a schema without a `schema_problem`. `root`: the schema that it is a part of; None: it is whole."""
    try:
        return _fits(value, schema, schema if root is None else root)
    except RecursionError:  # a schema that refers to itself without end
        return False


def _fits(value: Any, schema: Any, root: Any) -> bool:
    if isinstance(schema, bool):
        return schema
    own = all(
        (
            not _types(schema) or any(_is(value, name) for name in _types(schema)),
            "const" not in schema or _key(value) == _key(schema["const"]),
            "enum" not in schema or _key(value) in map(_key, schema["enum"]),
            "$ref" not in schema or _fits(value, _referred(schema["$ref"], root), root),
            all(_fits(value, part, root) for part in schema.get("allOf", ())),
            "anyOf" not in schema or any(_fits(value, part, root) for part in schema["anyOf"]),
            "oneOf" not in schema or sum(_fits(value, part, root) for part in schema["oneOf"]) == 1,
            "not" not in schema or not _fits(value, schema["not"], root),
        )
    )
    if not own:
        return False
    if isinstance(value, dict):
        return _fits_object(value, schema, root)
    if isinstance(value, list):
        return _fits_array(value, schema, root)
    if isinstance(value, str):
        return _within(len(value), schema, "minLength", "maxLength") and (
            "pattern" not in schema or bool(re.search(schema["pattern"], value))
        )
    if isinstance(value, bool) or value is None:
        return True
    above = "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]
    below = "exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"]
    return above and below and _within(value, schema, "minimum", "maximum")


def _fits_object(value: Mapping[str, Any], schema: Mapping[str, Any], root: Any) -> bool:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    is_whole = all(name in value for name in schema.get("required", ()))
    is_sized = _within(len(value), schema, "minProperties", "maxProperties")
    return is_whole and is_sized and all(_fits(item, known.get(name, others), root) for name, item in value.items())


def _fits_array(value: list[Any], schema: Mapping[str, Any], root: Any) -> bool:
    first, others = schema.get("prefixItems", []), schema.get("items", True)
    is_sized = _within(len(value), schema, "minItems", "maxItems")
    is_unique = not schema.get("uniqueItems") or len(set(map(_key, value))) == len(value)
    return is_sized and is_unique and all(_fits(item, first[at] if at < len(first) else others, root) for at, item in enumerate(value))


def _within(number: float, schema: Mapping[str, Any], low: str, high: str) -> bool:
    return bool(schema.get(low, number) <= number <= schema.get(high, number))


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])  # type: ignore[arg-type]


def _key(value: Any) -> str:
    """The same for equal values: 1 and 1.0 are equal, the order of keys says nothing."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
