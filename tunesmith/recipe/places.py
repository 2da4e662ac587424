"""Which section or value stands at a key of a recipe, read off the models."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

from tunesmith.core.errors import TunesmithError
from tunesmith.core.registry import describe, names
from tunesmith.recipe.models import Recipe
from tunesmith.recipe.section import Section
from tunesmith.recipe.sources import SourceMark

__all__ = ["PLUGIN_KEYS", "keys_everywhere", "section_at", "takes_only_text", "takes_source", "takes_texts"]

PLUGIN_KEYS = {"method": "method", "objective": "objective", "context": "strategy"}
"""The keys of a recipe whose value is a plug-in -> its kind."""


def section_at(keys: Sequence[str]) -> type[Section] | None:
    """The section whose mapping stands at `keys`; None where no section does."""
    return _section_in(_annotation_at(keys))


def takes_only_text(keys: Sequence[str], plugin: str = "") -> bool:
    """Whether nothing but text can stand at `keys`. `plugin`: the name of the plug-in whose option it is, where it is one."""
    if keys[0] in PLUGIN_KEYS and len(keys) == 2:
        try:
            options = describe(PLUGIN_KEYS[keys[0]], plugin).options
        except TunesmithError:
            return False  # the name is refused when the recipe is read
        return any(option.name == keys[1] and option.annotation in ("str", "str | None") for option in options)
    kinds = {get_origin(kind) or kind for kind in _parts(_annotation_at(keys))}
    return str in kinds and not kinds & {int, float, bool, list, dict, tuple}


def takes_source(keys: Sequence[str]) -> bool:
    """Whether a source of data stands at `keys`: a text, or a mapping."""
    return any(isinstance(part, SourceMark) for part in _parts(_annotation_at(keys)))


def takes_texts(keys: Sequence[str]) -> bool:
    """Whether a text or a list of texts can stand at `keys`."""
    kinds = get_args(_annotation_at(keys))
    return str in kinds and list[str] in kinds


def keys_everywhere() -> dict[str, str]:
    """Every key of every section and every option of every method -> its full path, for a key that stands in the wrong place."""
    found: dict[str, str] = {}
    sections: list[tuple[str, type[Section]]] = [("", Recipe)]
    for prefix, section in sections:
        for key, field in section.model_fields.items():
            found.setdefault(key, f"{prefix}{key}")
            below = _section_in(field.annotation)
            if below is not None:
                sections.append((f"{prefix}{key}.", below))
    for key, kind in PLUGIN_KEYS.items():
        for name in names(kind):
            for option in describe(kind, name).options:
                found.setdefault(option.name, f"{key}.{option.name}")
    return found


def _annotation_at(keys: Sequence[str]) -> Any:
    annotation: Any = Recipe
    for key in keys:
        section = _section_in(annotation)
        mapping = next((part for part in _parts(annotation) if get_origin(part) is dict), None)
        if section is not None:
            field = section.model_fields.get(key)
            annotation = Annotated[field.annotation, *field.metadata] if field and field.metadata else field.annotation if field else None
        else:
            annotation = get_args(mapping)[1] if mapping is not None else None
    return annotation


def _section_in(annotation: Any) -> type[Section] | None:
    parts = list(_parts(annotation))
    if any(get_origin(part) is dict for part in parts):
        return None
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Section)), None)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)
