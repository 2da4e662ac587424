"""Changes to a recipe from the command line: `train.epochs=3`, `data.columns.text=review`."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.overlays import true_method
from tunesmith.recipe.places import PLUGIN_KEYS, section_at, takes_only_text, takes_source, takes_texts
from tunesmith.recipe.text import parse_yaml

__all__ = ["apply", "source_of", "split"]

Keys = tuple[str, ...]


def split(override: str) -> tuple[Keys, str]:
    """Keys and text of `a.b=text`. Raises: RecipeError, where it is not of that form."""
    path, equals, text = override.partition("=")
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        raise RecipeError(f'command line: "{override}": expected key=value, such as train.epochs=3.')
    return keys, text


def apply(values: dict[str, Any], overrides: Sequence[tuple[Keys, str]]) -> None:
    """Change `values` in place. Another `method.name` drops the options that were given to the method before, and the learning rate.

    Raises: RecipeError, where a value is not YAML, or keys are given to a value that has none.
    """
    # the name of a plug-in goes first: it decides which options there are
    for keys, text in sorted(overrides, key=lambda override: not _names_plugin(override[0])):
        if _names_plugin(keys):
            _choose(values, keys, text)
            continue
        here = values
        for depth in range(1, len(keys)):
            here[keys[depth - 1]] = here = _mapping(here.get(keys[depth - 1]), keys[:depth])
        plugin = str(true_method(values[keys[0]].get("name"))) if keys[0] in PLUGIN_KEYS else ""
        if takes_source(keys):
            here[keys[-1]] = source_of(keys, text)
        elif takes_texts(keys):
            here[keys[-1]] = _texts(keys, text)
        else:
            here[keys[-1]] = _value(keys, text, is_text=takes_only_text(keys, plugin))


def _names_plugin(keys: Keys) -> bool:
    return keys[0] in PLUGIN_KEYS and keys[1:] in ((), ("name",))


def _choose(values: dict[str, Any], keys: Keys, text: str) -> None:
    current = values.get(keys[0])
    chosen = current.get("name") if isinstance(current, Mapping) else current
    value = _value(keys, text, is_text=len(keys) == 2)
    if value == chosen:
        return
    if isinstance(current, Mapping) and isinstance(value, str) and true_method(value) == true_method(chosen):
        values[keys[0]] = {**current, "name": value}  # the same method, whose options stay
        return
    values[keys[0]] = value
    train = values.get("train")
    named = value.get("name") if isinstance(value, Mapping) else value
    if (
        keys[0] == "method" and isinstance(train, Mapping) and true_method(named) != true_method(chosen)
    ):  # the recipe's rate is its own method's
        values["train"] = {key: rate for key, rate in train.items() if key != "learning_rate"}


def _mapping(value: Any, keys: Keys) -> dict[str, Any]:
    """What stands at `keys` as a mapping: a shorthand is spelled out."""
    if isinstance(value, Mapping):
        return dict(value)
    if keys[0] in PLUGIN_KEYS and len(keys) == 1:
        return {"name": value or "lora"} if keys[0] == "method" or value else {}
    if value is None:
        return {}
    section = section_at(keys)
    if section is None or section.shorthand is None:
        raise RecipeError(f"command line: {'.'.join(keys)}: {value!r} has no keys of its own.")
    return {section.shorthand: value}


def source_of(keys: Keys, text: str) -> Any:
    """A text as it is written (`*.jsonl` is no YAML), or what `{url: ..., sha256: ...}` holds; `null` is none."""
    return _value(keys, text, is_text=not text.lstrip().startswith("{"))


def _texts(keys: Keys, text: str) -> Any:
    """A list where the text is one in YAML, else the text."""
    with contextlib.suppress(RecipeError):
        value = _value(keys, text, is_text=False)
        if isinstance(value, list):
            return value
    return _value(keys, text, is_text=True)


def _value(keys: Keys, text: str, *, is_text: bool) -> Any:
    try:
        value = parse_yaml(text, f"command line: {'.'.join(keys)}")
    except RecipeError:
        if is_text:
            return text
        raise
    if isinstance(value, Mapping) and (glued := next((str(k) for k, v in value.items() if v is None and ":" in str(k)), None)):
        spaced = glued.replace(":", ": ", 1)
        raise RecipeError(f"command line: {'.'.join(keys)}: {{{glued}}}: expected a space after the colon: {{{spaced}}}.")
    return text if is_text and not isinstance(value, str | None) else value
