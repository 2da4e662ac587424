"""The C kernels of what lies between products, and of attention with a root or a step at a time, against the formulas in float64."""

import itertools

import pytest
import torch
from native_formulas import attention, needs_kernels, relative
from torch import Tensor

from tunesmith.engine.kernels.compiled import Kernels


@needs_kernels
@pytest.mark.parametrize(
    ("lengths", "heads", "key_heads", "is_causal"), [([38, 31, 1, 64], 9, 3, True), ([5, 7, 7], 4, 4, False), ([70, 2], 8, 2, True)]
)
def test_segments_that_continue_one_root_attend_to_it_too(
    own: Kernels, lengths: list[int], heads: int, key_heads: int, is_causal: bool
) -> None:
    torch.manual_seed(0)
    bounds, total, size = [0, *itertools.accumulate(lengths)], sum(lengths), 32
    q, k, v = (torch.randn(1, total, n, size).transpose(1, 2) for n in (heads, key_heads, key_heads))
    grad = torch.randn(1, total, heads, size)
    exact = [x.double().requires_grad_() for x in (q, k, v)]
    parts = list[Tensor]()
    for start, end in itertools.pairwise(bounds):
        places = torch.tensor([*range(lengths[0] if start else 0), *range(start, end)])
        seen = attention(exact[0][:, :, places], exact[1][:, :, places], exact[2][:, :, places], [0, len(places)], is_causal, size**-0.5)
        parts.append(seen[:, len(places) - (end - start) :])
    expected = torch.cat(parts, 1)
    expected.backward(grad.double())
    out, norms = own.attention_forward(q, k, v, torch.tensor(bounds), is_causal, size**-0.5, is_rooted=True)
    grads = own.attention_backward(grad, q, k, v, out, norms, torch.tensor(bounds), is_causal, size**-0.5, is_rooted=True)
    assert relative(out, expected.detach()) < 1e-6
    for found, leaf in zip(grads, exact, strict=True):
        assert leaf.grad is not None
        assert relative(found.transpose(1, 2), leaf.grad) < 3e-6


@needs_kernels
def test_a_step_of_attention_keeps_its_token_and_sees_what_its_mask_lets_it(own: Kernels) -> None:
    torch.manual_seed(0)
    rows, heads, key_heads, size, longest, capacity = 5, 6, 2, 32, 21, 30
    places = torch.tensor([20, 3, 0, 11, 7])
    q, k, v = (torch.randn(1, n, rows, size) for n in (heads, key_heads, key_heads))
    keys, values = torch.randn(rows + 1, key_heads, capacity, size), torch.randn(rows + 1, key_heads, capacity, size)
    mask = torch.zeros(rows, longest).masked_fill(torch.arange(longest) > places[:, None], float("-inf"))
    mask[0, :9] = float("-inf")
    expected_keys, expected_values = keys.clone(), values.clone()
    for row, place in enumerate(places.tolist()):
        expected_keys[row, :, place], expected_values[row, :, place] = k[0, :, row], v[0, :, row]
    shown = [x[:rows, :, :longest].double().repeat_interleave(heads // key_heads, 1) for x in (expected_keys, expected_values)]
    scores = torch.einsum("hrd,rhkd->rhk", q[0].double(), shown[0]) * size**-0.5 + mask[:, None].double()
    expected = torch.einsum("rhk,rhkd->rhd", scores.softmax(-1), shown[1])
    out = own.attention_step(q, k, v, places, mask, keys, values, size**-0.5)
    assert relative(out, expected) < 1e-6
    assert torch.equal(keys, expected_keys)
    assert torch.equal(values, expected_values)


@needs_kernels
def test_a_gate_and_its_gradients_are_the_formula_for_large_numbers_too(own: Kernels) -> None:
    torch.manual_seed(0)
    gate, up, grad = torch.randn(40, 96) * 6, torch.randn(40, 96), torch.randn(40, 96)
    gate[0, :4] = torch.tensor([120.0, -120.0, 0.0, -3e38])
    exact = [x.double().requires_grad_() for x in (gate, up)]
    expected = torch.nn.functional.silu(exact[0]) * exact[1]
    expected.backward(grad.double())
    torch.testing.assert_close(own.gated(gate, up), expected.detach().float(), rtol=1e-6, atol=1e-30)
    for found, leaf in zip(own.gated_backward(grad, gate, up), exact, strict=True):
        assert leaf.grad is not None
        torch.testing.assert_close(found, leaf.grad.float(), rtol=1e-5, atol=1e-6)


@needs_kernels
def test_a_norm_and_its_gradient_are_the_formula(own: Kernels) -> None:
    torch.manual_seed(0)
    x, weight, grad, inverse = torch.randn(70, 64) * 3, torch.randn(64), torch.randn(70, 64), torch.empty(70)
    x[3] = 0
    exact = x.double().requires_grad_()
    expected = weight.double() * exact * torch.rsqrt(exact.square().mean(-1, keepdim=True) + 1e-5)
    expected.backward(grad.double())
    found = own.rms_norm(x, weight, 1e-5, inverse)
    assert exact.grad is not None
    torch.testing.assert_close(found, expected.detach().float(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(own.rms_norm_backward(grad, x, weight, inverse), exact.grad.float(), rtol=1e-5, atol=1e-5)
    assert torch.equal(own.rms_norm(x, weight, 1e-5, inverse, is_known=True), found)


@needs_kernels
def test_rotating_back_is_the_gradient_of_rotating(own: Kernels) -> None:
    torch.manual_seed(0)
    x, grad = torch.randn(1, 9, 3, 64).transpose(1, 2), torch.randn(1, 3, 9, 64)
    cos, sin = torch.randn(1, 9, 64), torch.randn(1, 9, 64)
    exact = x.double().requires_grad_()
    halves = torch.cat([-exact[..., 32:], exact[..., :32]], -1)
    expected = exact * cos.double() + halves * sin.double()
    expected.backward(grad.double())
    assert exact.grad is not None
    torch.testing.assert_close(own.rotate(x, cos, sin), expected.detach().float(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(own.rotate(grad, cos, sin, is_backward=True), exact.grad.float(), rtol=1e-6, atol=1e-6)
