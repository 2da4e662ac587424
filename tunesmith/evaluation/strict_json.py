"""JSON as its standard has it: NaN and Infinity, which Python reads, are none.

Source: RFC 8259, https://www.rfc-editor.org/rfc/rfc8259.
"""

import json
from typing import Any, NoReturn

__all__ = ["parse_json", "parse_json_at"]


def parse_json(text: str) -> Any:
    """The value that a text holds. Raises: ValueError, where it is no JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_json_at(text: str, begin: int) -> tuple[Any, int]:
    """The value that begins at a place of a text, and the place behind it. Raises: ValueError, as `parse_json`."""
    try:
        return json.JSONDecoder(parse_constant=_refuse).raw_decode(text, begin)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
