"""Linear layers that multiply by our own kernel against torch's, in every mode that a layer is used in."""

import pytest
import torch
from torch import nn

from tunesmith.engine.kernels import linear
from tunesmith.engine.kernels.linear import Linear, is_linear, use_fast_linear, weight_gradient
from tunesmith.engine.kernels.native import kernels, why_none


@pytest.fixture(autouse=True)
def _on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    own = kernels()
    if own is None:
        pytest.skip(f"no kernels on this machine: {why_none()}")
    monkeypatch.setattr(linear, "_fast", lambda: own)


def _pair(*, bias: bool = True) -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    plain = nn.Linear(48, 20, bias=bias)
    fast = nn.Linear(48, 20, bias=bias)
    fast.load_state_dict(plain.state_dict())
    assert use_fast_linear(nn.ModuleList([fast])) == 1
    return plain, fast


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("trains", ["everything", "weight", "bias", "nothing"])
def test_values_and_gradients_are_torchs(bias: bool, trains: str) -> None:
    plain, fast = _pair(bias=bias)
    found = {}
    for layer in (plain, fast):
        layer.weight.requires_grad_(trains in ("everything", "weight"))
        if layer.bias is not None:
            layer.bias.requires_grad_(trains in ("everything", "bias"))
        x = torch.linspace(-1, 1, 3 * 7 * 48).view(3, 7, 48).requires_grad_()
        y = layer(x)
        y.backward(torch.linspace(0, 1, y.numel()).view_as(y))
        found[layer] = [y.detach(), x.grad, *(p.grad for p in layer.parameters())]
    for ours, theirs in zip(found[fast], found[plain], strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.slow  # a C++ compiler runs
@pytest.mark.parametrize("bias", [True, False])
def test_compiled_code_gives_the_same_gradients(bias: bool) -> None:
    plain, fast = _pair(bias=bias)
    x = torch.randn(9, 48)
    compiled = torch.compile(lambda x: torch.tanh(fast(x)).sum(), fullgraph=True, dynamic=True)
    compiled(x).backward()
    torch.tanh(plain(x)).sum().backward()
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5)


def test_other_numbers_and_empty_batches_are_left_to_torch() -> None:
    plain, fast = _pair()
    assert fast(torch.empty(0, 48)).shape == (0, 20)
    x = torch.randn(5, 48)
    with torch.autocast("cpu", torch.bfloat16):
        assert fast(x).dtype == torch.bfloat16
    assert torch.equal(fast.double()(x.double()), plain.double()(x.double()))


def test_a_layer_stays_torchs_for_all_who_look() -> None:
    _, fast = _pair()
    assert type(fast) is Linear
    assert isinstance(fast, nn.Linear)
    assert type(fast).__name__ == "Linear"
    assert is_linear(fast)
    assert not is_linear(nn.Bilinear(2, 2, 2))


def test_a_gradient_of_a_weight_is_added_to_what_there_is() -> None:
    grad, x, there = torch.randn(5, 20), torch.randn(5, 48), torch.randn(20, 48)
    expected = there + grad.t() @ x
    found = weight_gradient(grad, x, into=there)
    assert found is there
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_machine_whose_torch_is_the_faster_one_keeps_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_fast", lambda: None)
    layer = nn.Linear(4, 4)
    assert use_fast_linear(nn.ModuleList([layer])) == 0
    assert type(layer) is nn.Linear
