"""The JSON Schema of recipes, for editors, forms and the documentation: `python -m tunesmith.recipe.json_schema > tunesmith/recipe/schema.json`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.registry import names
from tunesmith.recipe.models import Recipe

__all__ = ["json_schema", "main", "write_json_schema"]

SHIPPED = Path(__file__).with_name("schema.json")


def json_schema() -> dict[str, Any]:
    """The schema, with every plug-in that is installed."""
    schema = Recipe.model_json_schema()
    schema["required"].remove("name")  # a file's name is its recipe's, where it has no other
    schema["properties"]["method"]["default"] = "lora"
    for section in ("DataSpec", "DomainSpec", "MixEntry", "RetentionSpec"):
        mapping = schema["$defs"][section]["anyOf"][1]
        mapping["properties"]["format"]["anyOf"][0] = {"enum": names("format")}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write_json_schema() -> str:
    """The schema as the text of a file."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print the schema, or with `--check` compare it with the file that is shipped."""
    text = write_json_schema()
    if list(arguments) != ["--check"]:
        sys.stdout.write(text)
        return 0
    if SHIPPED.is_file() and SHIPPED.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{SHIPPED}: out of step with the code. Run: python -m tunesmith.recipe.json_schema > {SHIPPED}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
