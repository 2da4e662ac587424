"""What a recipe says of a comparison: its arms, what is searched of each, how long it may take, and what is preferred where the test rows do not decide."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from tunesmith.recipe.messages import TEXT, shown

__all__ = ["Arms", "Budget", "MemoryBudget", "Prefer", "Search"]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([MGT]B)")
_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*([smh])")
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


def _named(value: Any) -> Any:
    """A list of names is a mapping of names that change what they are known for."""
    arms = dict.fromkeys(map(str, value)) if isinstance(value, list) else value
    if isinstance(value, list | Mapping) and not value:
        raise PydanticCustomError(TEXT, "{text}", {"text": "expected arms, found none. Leave it out for the usual ones."})
    if isinstance(value, list) and len(arms) < len(value):
        raise PydanticCustomError(TEXT, "{text}", {"text": "an arm is named twice. Leave one out."})
    strange = next((name for name in arms if not _NAME.fullmatch(str(name))), None) if isinstance(arms, Mapping) else None
    if strange is not None:
        raise PydanticCustomError(TEXT, "{text}", {"text": f"expected names that can be a folder's, found {shown(strange)}."})
    return arms


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _BUDGET.fullmatch(value.strip())
    if found is None:
        raise PydanticCustomError(TEXT, "{text}", {"text": f"expected a time such as 90s, 20m or 1.5h, found {shown(value)}."})
    return float(found[1]) * _UNITS[found[2]]


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _MEMORY.fullmatch(value.strip())
    if found is None:
        raise PydanticCustomError(TEXT, "{text}", {"text": f"expected a size such as 800MB or 4GB, found {shown(value)}."})
    return round(float(found[1]) * _BYTES[found[2]])


def _searched(value: Any) -> Any:
    """One value is a list of one."""
    if value is None:
        return "none"
    if not isinstance(value, Mapping):
        return value
    lists = {str(key): values if isinstance(values, list) else [values] for key, values in value.items()}
    empty = next((key for key, values in lists.items() if not values), None)
    if not lists or empty:
        raise PydanticCustomError(TEXT, "{text}", {"text": f"expected values to try, found none{f' of {empty}' if empty else ''}."})
    return lists


Arms = Annotated[dict[str, list[str] | None], BeforeValidator(_named)]
"""Name -> what it changes of the recipe; None: what the name is known for."""
Budget = Annotated[float, Field(gt=0), BeforeValidator(_seconds)]
"""Seconds, which may be written as 20m."""
MemoryBudget = Annotated[int, Field(gt=0), BeforeValidator(_bytes)]
"""Bytes, which may be written as 4GB."""
Search = Annotated[Literal["auto", "none"] | dict[str, list[Any]], BeforeValidator(_searched)]
"""Settings -> the values of each that are tried, as `{train.learning_rate: [1e-4, 1e-3]}`."""
Prefer = Literal["cost", "accuracy", "latency", "memory", "privacy", "freshness"]
