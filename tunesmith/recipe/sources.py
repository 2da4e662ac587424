"""Where data comes from, in a recipe: a plain text, or a mapping for what needs more than a name (an address and its hash, a query, ...)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tunesmith.core.errors import TunesmithError
from tunesmith.core.registry import describe, named_by, names
from tunesmith.recipe.messages import TEXT, shown
from tunesmith.recipe.plugins import PluginSpec, described_schema

__all__ = ["Source", "SourceMark", "source_name"]


@dataclass(frozen=True, slots=True)
class SourceMark:
    """Marks a field that holds a source of data: text, or the options of a data source that has required ones."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read a text as it is, a mapping against the options of the data source that it is meant for."""
        return core_schema.no_info_plain_validator_function(_read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A text, or one of the data sources with its options."""
        described = [describe("data_source", name) for name in names("data_source")]
        takes_mapping = [one for one in described if any(option.required for option in one.options)]
        return {"anyOf": [{"type": "string", "minLength": 1}, *(described_schema(one) for one in takes_mapping)]}


Source = Annotated[str | dict[str, Any], SourceMark()]
"""A text, or a mapping such as `{url: https://..., sha256: ...}`, every option of it filled in."""


def source_name(source: str | Mapping[str, Any]) -> str:
    """A source in one word: the text, or what its mapping names first."""
    return source if isinstance(source, str) else str(next(iter(source.values())))


def _read(value: Any) -> str | dict[str, Any]:
    if isinstance(value, str) and value:
        return value
    if not isinstance(value, Mapping):
        found = '""' if value == "" else shown(value)
        raise PydanticCustomError(
            TEXT, "{text}", {"text": f"expected text, or a mapping such as {{url: ..., sha256: ...}}, found {found}."}
        )
    options = {str(key): item for key, item in value.items()}
    try:
        return dict(PluginSpec.resolve("data_source", named_by("data_source", options), **options).options)
    except TunesmithError as error:
        raise PydanticCustomError(TEXT, "{text}", {"text": str(error)}) from error
