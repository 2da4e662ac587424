"""The head and its loss on numbers in bfloat16 against the same in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.engine.kernels import linear_cross_entropy as module
from tunesmith.engine.kernels.linear_cross_entropy import linear_cross_entropy, positions_at_a_time


def _apart(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("head_dtype", [torch.bfloat16, torch.float32])
def test_loss_and_gradients_in_bfloat16_are_near_those_in_float64(head_dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._CHUNK_BYTES, "cpu", 4 * 500 * 64)  # 64 positions a chunk
    draw = torch.Generator().manual_seed(0)
    hidden, weight, bias = (torch.randn(shape, generator=draw).bfloat16() for shape in ((300, 32), (500, 32), (500,)))
    labels, weights = torch.randint(0, 500, (300,), generator=draw), torch.rand(300, generator=draw)
    given = [hidden.requires_grad_(), *(x.to(head_dtype).requires_grad_() for x in (weight, bias))]
    loss = linear_cross_entropy(*given, labels, weights)
    found = torch.autograd.grad(loss / 300, given)
    exact = [x.detach().double().requires_grad_() for x in given]
    plain = (F.cross_entropy(F.linear(*exact), labels, reduction="none") * weights).sum()
    expected = torch.autograd.grad(plain / 300, exact)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(plain), rel=1e-5)  # logits rounded to bfloat16 would be 1e-3 off
    for ours, theirs, leaf in zip(found, expected, given, strict=True):
        assert ours.dtype == leaf.dtype
        assert _apart(ours, theirs) < 5e-3


def test_a_gpu_takes_more_positions_at_a_time() -> None:
    assert positions_at_a_time(128_256, torch.device("cpu")) == 49
    assert positions_at_a_time(128_256, torch.device("cuda")) == 1046
    assert positions_at_a_time(10**9, torch.device("cpu")) == 1
