"""Dropout by sixteen bits: the right share, the right mean, the same mask in the backward pass, the same numbers from the same seed."""

import pytest
import torch
from families import facts_of, make, random_rows
from torch import nn

from tunesmith.core.batch import collate
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.dropout import Dropout, draw_kept, dropout, use_fast_dropout
from tunesmith.engine.probe import probe


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_each_number_is_dropped_as_often_as_asked_and_without_regard_to_its_neighbours(p: float) -> None:
    torch.manual_seed(0)
    dropped = 1 - draw_kept(torch.Size((1000, 1001)), p).double()
    spread = (p * (1 - p) / dropped.numel()) ** 0.5
    assert abs(float(dropped.mean()) - p) < 5 * spread
    for distance in (1, 4, 1001):  # neighbours of one word of bits, of the next one, and of the next row
        a, b = dropped.flatten()[:-distance], dropped.flatten()[distance:]
        assert abs(float((a * b).mean()) - p * p) < 5 * (p * p * (1 - p * p) / len(a)) ** 0.5


def test_what_is_left_is_scaled_and_the_gradient_goes_through_the_same_mask() -> None:
    x = torch.randn(33, 7, dtype=torch.float64, requires_grad=True)
    y = dropout(x, 0.25)
    kept = y != 0
    assert 0 < int(kept.sum()) < kept.numel()
    torch.testing.assert_close(y[kept], x[kept] / 0.75)
    grad = torch.randn_like(x)
    y.backward(grad)
    torch.testing.assert_close(x.grad, torch.where(kept, grad / 0.75, 0.0))


def test_a_seed_gives_the_same_mask_and_the_next_call_another() -> None:
    x = torch.ones(64, 64)
    torch.manual_seed(3)
    first, second = dropout(x, 0.5), dropout(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, 0.5), first)
    assert not torch.equal(first, second)


def test_nothing_is_dropped_in_evaluation_and_everything_at_one() -> None:
    layer, x = nn.Sequential(nn.Dropout(0.5)), torch.randn(8, 8)
    assert use_fast_dropout(layer) == 1
    assert type(layer[0]) is Dropout
    assert torch.equal(layer.eval()(x), x)
    assert not torch.equal(layer.train()(x), x)
    layer[0].p = 1.0
    assert not layer(x).any()
    layer[0].p = 0.0
    assert torch.equal(layer(x), x)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_model_s_mean_over_many_draws_is_near_what_it_says_without(name: str) -> None:
    model = make(name, torch.float64)
    facts = facts_of(name, model)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    batch = collate(random_rows((9, 14, 5), facts), facts)
    forward.use_fused_layers()
    with torch.no_grad():
        plain = forward.eval().hidden(batch)
        torch.manual_seed(0)
        drawn = torch.stack([forward.train().hidden(batch) for _ in range(300)])
    assert float(drawn.std(0).mean()) > 0.05 * float(plain.std())  # it does drop out, in the attention too
    assert float((drawn.mean(0) - plain).abs().mean()) < 0.2 * float(plain.std())
