"""Activations that are made again in the backward pass rather than kept: what comes out of a normalization or a gate costs a pass over memory to make.

A tensor carries how it is made; the linear layers that read it keep that in its place. Where whole layers run again (`engine/recomputing.py`)
nothing is: what those hold until then would stay.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["Again", "NumMadeAgain", "kept_whole", "made_again_is_off", "made_by", "num_made_again", "remember"]

Made = TypeVar("Made")
_is_off = ContextVar("is_off", default=False)


class NumMadeAgain(NamedTuple):
    """Of all layers of a model, the numbers a token that plain layers would keep for the backward pass and these make again."""

    norms: int = 0
    gates: int = 0


class Again(Generic[Made]):
    """How a tensor, or several, are made. Their readers come for them one after the other: between the first and the last they are kept."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make: Callable[[], Made] | None = make
        self._made: Made | None = None

    def __call__(self) -> Made:
        """What is made. Raises: RuntimeError, after `release`."""
        if self._made is None:
            if self._make is None:
                raise RuntimeError("this graph was gone through already, and what it kept is released")
            self._made = self._make()
        return self._made

    def release(self) -> None:
        """Let go of it, and of all that it is made of: no reader is left."""
        self._make = self._made = None


def remember(x: Tensor, again: Again[Tensor]) -> Tensor:
    """`x`, which from now on says how it is made."""
    x.made_by = again, x._version  # type: ignore[attr-defined]
    return x


def made_again_is_off() -> bool:
    """Whether tensors are kept as they are: code is being compiled, whose compiler decides what is kept, or whole layers run again."""
    return torch.compiler.is_compiling() or _is_off.get()


def made_by(x: Tensor) -> Again[Tensor] | None:
    """How `x` is made, where it says so, was not changed in place since, and need not be kept."""
    if made_again_is_off():
        return None
    again, version = getattr(x, "made_by", (None, None))
    return again if again is not None and x._version == version else None


@contextlib.contextmanager
def kept_whole() -> Iterator[None]:
    """Inside the block no tensor says how it is made."""
    token = _is_off.set(True)
    try:
        yield
    finally:
        _is_off.reset(token)


def num_made_again(trunk: nn.Module) -> NumMadeAgain:
    """How much the layers of `trunk` make again: those that say so by a `num_made_again` of their own."""
    each = [getattr(layer, "num_made_again", NumMadeAgain()) for layer in trunk.modules()]
    return NumMadeAgain(sum(one.norms for one in each), sum(one.gates for one in each))
