"""Activation checkpointing: a layer keeps what it reads only, and runs a second time when its gradient is made. The result is the same.

Source: Chen et al. (2016), "Training Deep Nets with Sublinear Memory Cost", https://arxiv.org/abs/1604.06174.
"""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from tunesmith.core.layers import repeated_layers
from tunesmith.engine.attention import PACKED, attention_implementation
from tunesmith.engine.kernels.again import kept_whole
from tunesmith.engine.layers import standing_in

__all__ = ["checkpointed_layers", "recomputed"]


def checkpointed_layers(trunk: nn.Module, *, is_encoder_decoder: bool) -> list[nn.Module]:
    """The layers that can run a second time: those of both halves of an encoder-decoder; empty where the model has no list of like layers."""
    halves = [trunk.get_encoder(), trunk.get_decoder()] if is_encoder_decoder else [trunk]  # type: ignore[operator]
    return [layer for half in halves for layer in repeated_layers(half)]


def recomputed(layers: Sequence[nn.Module], longest: int | None) -> contextlib.AbstractContextManager[None]:
    """Let every layer that is called inside the block run again in the backward pass, with the same dropout, compiled where it is.

    Args:
        longest: tokens of a packed stream's longest segment; None where rows are padded.
    """
    return standing_in({layer: partial(checkpoint, _again(layer, longest), use_reentrant=False) for layer in layers})


def _again(layer: nn.Module, longest: int | None) -> Callable[..., Any]:
    """The call of `layer` as it is now, for a time when the blocks around it have ended."""
    call = layer._compiled_call_impl or layer._call_impl

    def again(*args: Any, **kwargs: Any) -> Any:
        packed = contextlib.nullcontext() if longest is None else attention_implementation(layer, PACKED, longest)
        with kept_whole(), packed:
            return call(*args, **kwargs)

    return again
