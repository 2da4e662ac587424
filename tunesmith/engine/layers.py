"""A model's layers: which of them train, and other code in their place for the length of a block."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

__all__ = ["num_frozen_layers", "standing_in"]


def num_frozen_layers(layers: Sequence[nn.Module]) -> int:
    """How many of `layers` stand below the first that holds something that trains."""
    trains = (index for index, layer in enumerate(layers) if any(p.requires_grad for p in layer.parameters()))
    return next(trains, len(layers))


@contextlib.contextmanager
def standing_in(calls: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Let what `calls` names answer in place of the layers inside the block.

    The modules stay as they are: torch asks `_compiled_call_impl` first, which is where compiled code stands too.
    """
    before = {layer: layer._compiled_call_impl for layer in calls}
    try:
        for layer, call in calls.items():
            layer._compiled_call_impl = call
        yield
    finally:
        for layer, former in before.items():
            layer._compiled_call_impl = former
