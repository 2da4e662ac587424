"""Where gradients lie: in one block that stays from step to step, where little trains.

Each is made in the middle of a backward pass, in the place of an activation that has just been freed, and stays there while the rest is freed around it: the next
step then finds no place for its activations, and takes new memory. Values, and which parameters have a gradient at all, are as without.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["side_by_side"]

_MOST_BYTES = 64 * 2**20
"""Above it the block would cost more than what lies in pieces: it is there while activations are, too."""


@contextlib.contextmanager
def side_by_side(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Inside the block a gradient moves to its own place as soon as it is made; on the CPU only."""
    sizes = [p.numel() * p.element_size() for p in parameters]
    if sum(sizes) > _MOST_BYTES or not all(p.is_cpu and p.requires_grad for p in parameters):
        yield
        return
    places = [torch.empty(0, dtype=p.dtype) for p in parameters]
    for kind in {p.dtype for p in parameters}:
        own = [index for index, p in enumerate(parameters) if p.dtype == kind]
        block = torch.zeros(sum(parameters[index].numel() for index in own), dtype=kind)
        for index, part in zip(own, torch.split(block, [parameters[index].numel() for index in own]), strict=True):
            places[index] = part.view(parameters[index].shape)
    hooks: list[Any] = []
    for p, place in zip(parameters, places, strict=True):
        hooks.append(p.register_post_accumulate_grad_hook(functools.partial(_move, place)))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _move(place: Tensor, parameter: Tensor) -> None:
    if parameter.grad is not None and not parameter.grad.is_sparse and parameter.grad.data_ptr() != place.data_ptr():
        place.copy_(parameter.grad)
        parameter.grad = place
