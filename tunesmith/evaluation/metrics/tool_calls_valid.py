"""Valid tool calls: where a tool is to be called, the share of answers whose calls could be carried out.

Between 0 and 1. Such an answer calls one tool at least, names tools that the conversation offers, and gives each arguments that fit its parameters' schema;
whether they are the right ones it does not ask. Calls are JSON objects with a name and arguments (or parameters), as the templates of Hermes, Qwen, Llama and
Mistral write them; what stands around them is not looked at, but an object that breaks off is no call. Left out, and counted, are rows whose own answer calls
no tool, or writes calls in another way, and rows with a schema of which a keyword is not checked.
Source: the form of tools is that of https://platform.openai.com/docs/guides/function-calling.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Chat, Example, Output
from tunesmith.evaluation.metrics._json_schema import fits, schema_problem
from tunesmith.evaluation.strict_json import parse_json, parse_json_at

__all__ = ["ToolCallsValid"]


@dataclass(frozen=True, kw_only=True)
class ToolCallsValid:
    """Share of answers whose calls could be carried out."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True
    on_request: ClassVar[bool] = True

    def applies(self, example: Example, reference: str) -> bool:
        """Whether a tool is to be called, in a way that can be read, and what may be called can be checked."""
        if not isinstance(example, Chat) or not example.tools or not _calls(reference):
            return False
        return not any(map(schema_problem, _parameters(example.tools).values()))

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where every call could be carried out, else 0."""
        assert isinstance(example, Chat)
        calls, tools = _calls(output.text or ""), _parameters(example.tools)
        return (float(bool(calls) and all(name in tools and fits(arguments, tools[name]) for name, arguments in calls)),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())


@lru_cache(maxsize=4096)
def _parameters(tools: tuple[str, ...]) -> Mapping[str, Any]:
    """The schema of each tool's arguments."""
    found = [json.loads(tool) for tool in tools]
    functions = [tool.get("function", tool) for tool in found]
    return {function["name"]: function.get("parameters") or True for function in functions}


def _calls(text: str) -> list[tuple[str, Any]]:
    """(name, arguments) of every call in a text; none where an object in it is broken or calls nothing."""
    found, begin = list[tuple[str, Any]](), text.find("{")
    while begin >= 0:
        try:
            value, end = parse_json_at(text, begin)
            function = value.get("function", value)
            arguments = function["arguments"] if "arguments" in function else function["parameters"]
            found.append((str(function["name"]), parse_json(arguments) if isinstance(arguments, str) else arguments))
        except (ValueError, KeyError, TypeError, AttributeError):
            return []
        begin = text.find("{", end)
    return found
