"""From a name, a file or a mapping, and overrides from the command line, to a checked Recipe; and back to YAML."""

import copy
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunesmith.core.errors import RecipeError, TunesmithError, did_you_mean
from tunesmith.recipe.messages import AT_KEY, UNKNOWN_OPTION, explain, nearest
from tunesmith.recipe.models import Recipe
from tunesmith.recipe.overlays import stand_in
from tunesmith.recipe.overrides import apply, split
from tunesmith.recipe.places import keys_everywhere, section_at
from tunesmith.recipe.text import MOST_CHARACTERS, parse_yaml, write_yaml

__all__ = ["dump", "from_mapping", "load", "parse", "read_mapping", "shipped_chains", "shipped_recipes"]


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with tunesmith."""
    return sorted(file.name.removesuffix(".yaml") for file in _shipped().iterdir() if file.name.endswith(".yaml"))


def shipped_chains() -> list[str]:
    """Names of the recipes of several stages that come with tunesmith."""
    return sorted(file.name.removesuffix(".yaml") for file in (_shipped() / "chains").iterdir() if file.name.endswith(".yaml"))


_OF_DATA = frozenset((".csv", ".tsv", ".jsonl", ".parquet", ".xlsx", ".txt", ".gz", ".zip"))
_OF_A_UNION = re.compile(r"constrained-\w+|function-\w+.*|(list|dict|tuple)\[.*\]")
"""How pydantic names, among the keys of a mistake, the type that it tried."""


def load(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by its name, or a recipe file.

    Args:
        name_or_path: `reviews`, or `path/to/recipe.yaml`.
        overrides: `a.b=value`, each value read as YAML; `method.name=head` drops the options that the file gives to its own method.
    Raises: RecipeError, in one line, for anything wrong with the file, the overrides, or what they say.
    """
    return parse(_text_of(name_or_path), name=Path(name_or_path).stem, where=str(name_or_path), overrides=overrides)


def read_mapping(name_or_path: str | Path) -> Mapping[str, Any]:
    """What a shipped recipe, or a recipe file, says, unchecked. Raises: RecipeError, where it cannot be read or is no mapping."""
    where = str(name_or_path)
    found = parse_yaml(_text_of(name_or_path), where)
    if not isinstance(found, Mapping):
        raise _no_mapping(where, found)
    return found


def _no_mapping(where: str, found: Any) -> RecipeError:
    kind = "nothing" if found is None else type(found).__name__
    return RecipeError(f"{where}: expected a mapping with the keys {', '.join(Recipe.model_fields)}; found {kind}.")


def _text_of(name_or_path: str | Path) -> str:
    """The text of a shipped recipe, or of a file. Raises: RecipeError."""
    text = str(name_or_path)
    for names, folder in ((shipped_recipes(), _shipped()), (shipped_chains(), _shipped() / "chains")):
        if text in names:
            return (folder / f"{text}.yaml").read_text(encoding="utf-8")  # type: ignore[no-any-return]
    path = Path(name_or_path)
    try:
        return _content(path, text)
    except FileNotFoundError:
        raise RecipeError(
            f"{text}: no such recipe file, and no shipped recipe of that name.{did_you_mean(text, [*shipped_recipes(), *shipped_chains()])}"
        ) from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{text}: not UTF-8 (byte {error.start + 1}). Save the file as UTF-8.") from None
    except OSError as error:
        raise RecipeError(
            f"{text}: cannot be read ({error.strerror}). A recipe is a YAML file or one of: {', '.join(shipped_recipes())}."
        ) from None


def _content(path: Path, name: str) -> str:
    """The text of a recipe file. Raises: RecipeError, OSError, UnicodeDecodeError."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise RecipeError(f"{name}: is a pipe or a device, not a file. Write the recipe into a file first.")
    if path.suffix.lower() in _OF_DATA and path.is_file():
        raise RecipeError(
            f"{name}: is a file of data, expected a recipe. Name one, and the data with it, as in `reviews data.train={name}`."
        )
    with path.open("rb") as file:
        content = file.read(4 * MOST_CHARACTERS + 1)
    if len(content) > 4 * MOST_CHARACTERS:
        raise RecipeError(f"{name}: more than {4 * MOST_CHARACTERS:,} bytes, expected a recipe: a page of keys and values.")
    return content.decode("utf-8-sig")


def parse(text: str, *, name: str, where: str = "", overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from YAML text. `where` stands at the beginning of an error's line."""
    return from_mapping(parse_yaml(text, where or name), name=name, where=where, overrides=overrides)


def from_mapping(mapping: Mapping[str, Any], *, name: str, where: str = "", overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from nested mappings with the keys of its YAML.

    Args:
        mapping: not changed.
        name: the recipe's name, where the mapping has none.
        where: stands at the beginning of an error's line; default `name`.
        overrides: as for `load`.
    Raises: RecipeError.
    """
    where = where or name
    if not isinstance(mapping, Mapping):
        raise _no_mapping(where, mapping)
    if "stages" in mapping:
        raise RecipeError(
            f"{where}: stages: is a recipe of several stages, and this takes one recipe. Tune it whole: tunesmith tune {where}"
        )
    values = {"name": name, **copy.deepcopy(dict(mapping))}
    changes = [split(override) for override in overrides]
    apply(values, changes)
    stand_in(values)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_line(error, where, [keys for keys, _ in changes])) from None
    except TunesmithError as error:
        raise RecipeError(f"{where}: {error}") from None


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML, every default written out: `parse(dump(recipe), name=...) == recipe`."""
    return write_yaml(recipe.model_dump())


def _shipped() -> Any:
    return resources.files("tunesmith") / "recipes"


def _line(error: ValidationError, where: str, overridden: Sequence[tuple[str, ...]]) -> str:
    """The first mistake that pydantic found, as one line."""
    errors = error.errors(include_url=False)
    # a mistyped key is the cause where a key is missing too
    first = next((found for found in errors if found["type"] in ("extra_forbidden", UNKNOWN_OPTION)), errors[0])
    keys = tuple(str(part) for part in first["loc"] if not _OF_A_UNION.fullmatch(str(part)))
    context = first.get("ctx", {})
    if first["type"] in (AT_KEY, UNKNOWN_OPTION):
        keys = (*keys, context["key"])
    if first["type"] == UNKNOWN_OPTION:
        text = f"unknown option.{nearest(keys[-1], context['known'], keys_everywhere())}"
    elif first["type"] == "extra_forbidden":
        section = section_at(keys[:-1])
        text = f"unknown key.{nearest(keys[-1], section.model_fields if section else (), keys_everywhere())}"
    else:
        text = explain(first)
    on_command_line = any(keys[: len(path)] == path or path[: len(keys)] == keys for path in overridden)
    return f"{'command line' if on_command_line else where}: {'.'.join(keys)}: {text}"
