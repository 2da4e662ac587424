"""Gradients in one block: the same numbers, in places that stay."""

import torch
from torch import Tensor, nn

from tunesmith.engine import gradients
from tunesmith.engine.gradients import side_by_side


def _parameters() -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
    torch.manual_seed(0)
    return nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(4, dtype=torch.float64)), nn.Parameter(torch.randn(5))


def _backward(a: Tensor, b: Tensor) -> None:
    (a.square().sum() + b.sum().float() * 2).backward()  # type: ignore[no-untyped-call]


def test_gradients_add_up_in_their_own_places_and_what_has_none_has_none() -> None:
    a, b, unused = _parameters()
    with side_by_side([a, b, unused]):
        for _ in range(2):
            _backward(a, b)
            _backward(a, b)
            assert a.grad is not None
            assert b.grad is not None
            torch.testing.assert_close(a.grad, 4 * a.detach())
            torch.testing.assert_close(b.grad, torch.full((4,), 4.0, dtype=torch.float64))
            assert unused.grad is None
            places = a.grad.data_ptr(), b.grad.data_ptr()
            a.grad = b.grad = None
        _backward(a, b)
        assert a.grad is not None
        assert b.grad is not None
        assert (a.grad.data_ptr(), b.grad.data_ptr()) == places
    held = a.grad  # or the allocator may give its memory to the next one
    a.grad = None
    _backward(a, b)
    assert a.grad is not None
    assert a.grad.data_ptr() != held.data_ptr() == places[0]


def test_large_gradients_lie_where_they_are_made(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(gradients, "_MOST_BYTES", 10)
    a, b, _ = _parameters()
    with side_by_side([a, b]):
        assert not a._post_accumulate_grad_hooks
