"""Learned tokens that stand before every sequence: what a method leaves on a trunk, and the engine finds there.

Virtual token i, 0 <= i < k, has the id -1 - i. Two ways to give it a meaning:

- the trunk's embedding answers an id below zero with a learned vector (a soft prompt);
- an attention layer has a submodule of the name `PREFIX`, which gives the keys and the values that stand at those places: two tensors of shape
  (key heads, k, head size) (a prefix). Nothing that the layers make of these tokens themselves is read.
"""

from dataclasses import dataclass

from torch import nn

__all__ = ["PREFIX", "VirtualTokens", "prefixes"]

PREFIX = "learned_prefix"


@dataclass(frozen=True, slots=True)
class VirtualTokens:
    """How many there are, and whether all sequences of a stream share them: where they say the same whatever follows them."""

    num: int
    is_shared: bool

    @property
    def ids(self) -> tuple[int, ...]:
        """In the order in which they stand."""
        return tuple(range(-1, -1 - self.num, -1))


def prefixes(trunk: nn.Module) -> list[nn.Module]:
    """The learned prefixes of the attention layers, the lowest first; empty where there are none."""
    return [module for name, module in trunk.named_modules() if name.rpartition(".")[2] == PREFIX]
