"""From a file to the program that it is for."""

import json
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.importing import axolotl, llamafactory
from tunesmith.recipe.importing.draft import Draft, Imported
from tunesmith.recipe.loading import parse
from tunesmith.recipe.text import parse_yaml

__all__ = ["import_recipe"]

_MOST_BYTES = 2**20
_LLAMAFACTORY = ("model_name_or_path", "finetuning_type", "stage", "dataset_dir")
_AXOLOTL = ("base_model", "sequence_len", "datasets", "pretraining_dataset")
_OURS = ("model", "data")


def import_recipe(path: str | Path) -> Imported:
    """Read a file of LLaMA-Factory (with the `dataset_info.json` that describes its data) or of axolotl.

    Returns: a recipe that `parse` takes, as text, and every key that is not in it, with the reason.
    Raises: RecipeError, in one line, where the file is neither, is broken, or trains in a way that is not there yet.
    """
    where = str(path)
    text = _text_of(Path(path), where)
    given = _mapping(text, where)
    draft = Draft(where, given, text)
    if any(key in given for key in _LLAMAFACTORY):
        program, carry = "LLaMA-Factory", llamafactory.carry
    elif any(key in given for key in _AXOLOTL):
        program, carry = "axolotl", axolotl.carry
    else:
        ours = " It looks like one of tunesmith's own: `tunesmith tune` takes it as it is." if set(_OURS) <= set(given) else ""
        raise RecipeError(f"{where}: neither LLaMA-Factory's (no model_name_or_path) nor axolotl's (no base_model).{ours}")
    carry(draft)
    draft.leave_rest()
    imported = draft.finished(program)
    parse(imported.text, name=Path(path).stem.strip(" .") or "imported", where=where)
    return imported


def _text_of(path: Path, where: str) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RecipeError(f"{where}: {path.stat().st_size} bytes; a file of options is smaller. Is it the data?")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{where}: not UTF-8 (byte {error.start + 1}). Save the file as UTF-8.") from None
    except FileNotFoundError:
        raise RecipeError(f"{where}: no such file. Check the path (relative paths start at {Path.cwd()}).") from None
    except OSError as error:
        raise RecipeError(f"{where}: cannot be read ({error.strerror}). Name a YAML or JSON file.") from None


def _mapping(text: str, where: str) -> dict[str, Any]:
    """The file's keys and values. Raises: RecipeError, where it is neither YAML nor JSON, or no mapping."""
    if where.lower().endswith(".json"):
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise RecipeError(f"{where}:{error.lineno}: not valid JSON: {error.msg}.") from None
        except RecursionError:
            raise RecipeError(f"{where}: not valid JSON: nested too deeply.") from None
    else:
        value = parse_yaml(text, where)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise RecipeError(f"{where}: expected keys and values, such as `base_model: ...`, found {type(value).__name__}.")
    return value
