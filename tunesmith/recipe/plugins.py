"""Plug-ins inside a recipe: a name and its options, checked against what the plug-in's source says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tunesmith.core.errors import TunesmithError, did_you_mean
from tunesmith.core.registry import Description, Option, describe, names
from tunesmith.recipe.messages import AT_KEY, TEXT, UNKNOWN_OPTION, explain, shown
from tunesmith.recipe.overlays import METHOD_OVERLAYS

__all__ = ["FormatName", "PluginSpec", "check_name", "described_schema", "option_type", "plugin"]

_TYPES = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "Literal": Literal,
    "Optional": Optional,
    "Union": Union,
    "Mapping": Mapping,
    "Sequence": Sequence,
}


@dataclass(frozen=True, slots=True)
class PluginSpec:
    """A plug-in chosen by name, with all its options: those given and the defaults of the others."""

    name: str
    options: Mapping[str, Any]

    @classmethod
    def resolve(cls, kind: str, name: str, **options: Any) -> PluginSpec:
        """Check `options` and fill in the defaults.

        Raises: PydanticCustomError, of the type AT_KEY or UNKNOWN_OPTION, for a wrong option; UsageError, for an unknown name.
        """
        described = describe(kind, name)
        known = {option.name: option for option in described.options}
        for key in options:
            if key not in known and described.others is None:
                raise PydanticCustomError(UNKNOWN_OPTION, "{key}: unknown option", {"key": key, "known": list(known)})
        resolved = {}
        for option in known.values():
            if option.name in options:
                resolved[option.name] = _checked(option, options[option.name])
            elif option.required:
                raise _at_key(option.name, f"missing. {option.doc}".rstrip())
            else:
                resolved[option.name] = option.default
        return cls(name, resolved | {key: value for key, value in options.items() if key not in known})


@dataclass(frozen=True, slots=True)
class plugin:
    """Marks a PluginSpec field with its kind: a name, or a mapping of `name` and options."""

    kind: str
    is_short: bool = False
    """Whether one without options is written as its name."""
    none: str = ""
    """A word that may stand in place of a plug-in, for nothing at all."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read a name, a flat mapping, or a PluginSpec; write a flat mapping."""
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(self._written),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A name, or one of the plug-ins with its options (of a short one: where it has any)."""
        described = [describe(self.kind, name) for name in names(self.kind)]
        known = {one.name: one for one in described}
        overlays = {name: known[true] for name, true in METHOD_OVERLAYS.items() if self.kind == "method" and true in known}
        named = [_named_schema(one) for one in described if one.options or not self.is_short] + [
            _named_schema(replace(one, name=name)) for name, one in overlays.items()
        ]
        nothing = [self.none] if self.none else []
        return {"anyOf": [{"enum": [*known, *overlays, *nothing]}, *named]}

    def _written(self, spec: PluginSpec) -> Any:
        is_short = self.is_short or spec.name == self.none
        return spec.name if is_short and not spec.options else {"name": spec.name, **spec.options}

    def _read(self, value: Any) -> PluginSpec:
        if isinstance(value, PluginSpec):
            value = {"name": value.name, **value.options}
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            raise PydanticCustomError(TEXT, "{text}", {"text": f"expected a name, or a mapping with `name`, found {shown(value)}."})
        given = {str(key): item for key, item in value.items()}
        if "name" not in given:
            raise _at_key("name", f"missing. Known: {', '.join(names(self.kind))}.")
        name = given.pop("name")
        if not isinstance(name, str):
            raise _at_key("name", f"expected text, found {shown(name)}.")
        if self.none and name == self.none:
            if given:
                raise _at_key(next(iter(given)), f"unknown option: {name} has none. Leave it out.")
            return PluginSpec(name, {})
        known = [*names(self.kind), *([self.none] if self.none else [])]
        if name not in known:
            raise _at_key("name", f'unknown {self.kind} "{name}".{did_you_mean(name, known)}')
        try:
            return PluginSpec.resolve(self.kind, name, **given)
        except TunesmithError as error:
            raise PydanticCustomError(TEXT, "{text}", {"text": str(error)}) from error


def check_name(kind: str, value: Any, *others: str) -> Any:
    """`value`, where it is a plug-in of `kind` or one of `others`; what is not text is left for pydantic to refuse."""
    known: Iterable[str] = [*names(kind), *others]
    if isinstance(value, str) and value not in known:
        raise PydanticCustomError(TEXT, "{text}", {"text": f'unknown {kind} "{value}".{did_you_mean(value, known)}'})
    return value


FormatName = Annotated[str, BeforeValidator(lambda value: check_name("format", value))]
"""The name of a format."""


def option_type(option: Option) -> TypeAdapter[Any]:
    """The type that an option's annotation names.

    Raises: TypeError, where it uses more than numbers, text, containers, Literal and unions of them.
    """
    try:
        return TypeAdapter(eval(option.annotation, {"__builtins__": {}}, _TYPES))  # the text is an installed plug-in's own code
    except (NameError, SyntaxError, AttributeError) as error:
        raise TypeError(f"option {option.name}: the type {option.annotation} cannot stand in a recipe ({error})") from error


def described_schema(description: Description) -> JsonSchemaValue:
    """A mapping of a plug-in's options."""
    properties: dict[str, Any] = {}
    for option in description.options:
        properties[option.name] = {"description": option.doc, **option_type(option).json_schema()}
        if not option.required:
            properties[option.name]["default"] = option.default
    required = [option.name for option in description.options if option.required]
    return {
        "title": description.title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": description.others is not None,
    }


def _named_schema(description: Description) -> JsonSchemaValue:
    schema = described_schema(description)
    schema["properties"] = {"name": {"const": description.name}, **schema["properties"]}
    schema["required"] = ["name", *schema["required"]]
    return schema


def _checked(option: Option, value: Any) -> Any:
    try:
        return option_type(option).validate_python(_as_tuple(option, value), strict=True)
    except ValidationError as error:
        raise _at_key(option.name, explain(error.errors()[0])) from error


def _as_tuple(option: Option, value: Any) -> Any:
    return tuple(value) if isinstance(value, list) and "tuple[" in option.annotation and "list[" not in option.annotation else value


def _at_key(key: str, text: str) -> PydanticCustomError:
    return PydanticCustomError(AT_KEY, "{text}", {"key": key, "text": text})
