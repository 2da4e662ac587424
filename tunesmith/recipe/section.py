"""The base of every part of a recipe, and the types that its fields share."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

__all__ = ["Name", "Names", "Positive", "Section"]


class Section(BaseModel):
    """A mapping of known keys. Where `shorthand` names one of them, a plain value stands for that key."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False, protected_namespaces=()
    )

    shorthand: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        if value is None:  # `train:` with nothing below it
            return {}
        if cls.shorthand and not isinstance(value, Mapping | cls):
            return {cls.shorthand: value}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The mapping, or the type of the shorthand's key."""
        schema = handler(core_schema)
        if not cls.shorthand:
            return schema
        resolved = handler.resolve_ref_schema(schema)
        short = {key: value for key, value in resolved["properties"][cls.shorthand].items() if key not in ("default", "title")}
        mapping = dict(resolved)
        resolved.clear()
        resolved.update({"title": mapping.pop("title"), "description": mapping.pop("description", ""), "anyOf": [short, mapping]})
        return schema


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value


def _text_mapping(value: Any) -> Any:
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else value


Positive = Annotated[int, Field(ge=1)]
"""A number of things."""

Name = Annotated[str, BeforeValidator(_text)]
"""A column or a label: text, though YAML may read it as a number."""

Names = Annotated[dict[str, Name], BeforeValidator(_text_mapping)]
"""A mapping between names."""
