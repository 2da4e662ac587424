"""Run a model whose exact weights are never in memory all at once."""

import contextlib
from collections.abc import Iterator

from torch import nn

from tunesmith.core.allocator import let_go_of_pages
from tunesmith.core.layers import repeated_layers

__all__ = ["read_in_turn"]


@contextlib.contextmanager
def read_in_turn(trunk: nn.Module) -> Iterator[None]:
    """Inside the block, what was read of a mapped file for a layer is let go once the layer has run, and read again the next time: for the few tokens of a probe, before the layers are rounded."""

    def let_go(layer: nn.Module, _given: object, _said: object) -> None:
        for p in layer.parameters():
            let_go_of_pages(p)

    hooks = [layer.register_forward_hook(let_go) for layer in repeated_layers(trunk)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
