"""Classes that differ from a model's own in one function: what is asked of a module's class, its name and its attributes is answered as before."""

import functools
from types import FunctionType
from typing import Any

import torch

__all__ = ["calling", "preceded"]


_made: dict[tuple[Any, Any], type] = {}


def preceded(kind: type, by: type) -> type:
    """`kind` with what `by` defines in front of its own; the same class each time."""
    if (kind, by) not in _made:
        _made[kind, by] = type(kind.__name__, (by, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    return _made[kind, by]


def calling(kind: type, name: str, function: Any) -> type:
    """`kind` whose `forward`, a plain function, finds `function` where it calls `name`, and else all that it finds now; compiled, it is `kind`'s own."""
    theirs: Any = kind.forward  # type: ignore[attr-defined]
    own = FunctionType(theirs.__code__, {**theirs.__globals__, name: function}, theirs.__name__, theirs.__defaults__, theirs.__closure__)
    own.__kwdefaults__ = theirs.__kwdefaults__

    @functools.wraps(theirs)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (theirs if torch.compiler.is_compiling() else own)(self, *args, **kwargs)

    return type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": kind.__doc__, "forward": forward})
