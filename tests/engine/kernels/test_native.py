"""The C kernels against the formulas in float64, how they come to be, and what happens where they do not."""

import itertools
import subprocess
import threading
from pathlib import Path

import pytest
import torch
from native_formulas import attention, needs_kernels, relative
from torch import Tensor

from tunesmith.app.machine import resident_bytes
from tunesmith.engine.kernels import frozen, lora, native, segment_attention
from tunesmith.engine.kernels.compiled import Kernels

CPU = torch.device("cpu")
LENGTHS = [1, 40, 7, 7, 130, 16, 33]


@needs_kernels
@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize(("heads", "key_heads", "size"), [(9, 3, 64), (4, 4, 32), (2, 1, 16), (8, 2, 80)])
def test_attention_and_its_gradients_are_the_formulas(own: Kernels, heads: int, key_heads: int, size: int, is_causal: bool) -> None:
    torch.manual_seed(0)
    bounds, total = [0, *itertools.accumulate(LENGTHS)], sum(LENGTHS)
    q, k, v = (torch.randn(1, total, n, size).transpose(1, 2) * 2 for n in (heads, key_heads, key_heads))
    grad = torch.randn(1, total, heads, size)
    exact = [x.double().requires_grad_() for x in (q, k, v)]
    expected = attention(exact[0], exact[1], exact[2], bounds, is_causal, size**-0.5)
    expected.backward(grad.double())
    out, norms = own.attention_forward(q, k, v, torch.tensor(bounds), is_causal, size**-0.5)
    grads = own.attention_backward(grad, q, k, v, out, norms, torch.tensor(bounds), is_causal, size**-0.5)
    assert relative(out, expected.detach()) < 1e-6
    for found, leaf in zip(grads, exact, strict=True):
        assert leaf.grad is not None
        assert relative(found.transpose(1, 2), leaf.grad) < 3e-6


@needs_kernels
def test_heads_whose_values_have_a_size_of_their_own_are_left_to_torch(own: Kernels) -> None:
    q, k, v = (torch.randn(1, 2, 9, size) for size in (64, 64, 32))
    assert own.can_attend(q, k, k)
    assert not own.can_attend(q, k, v)
    assert not own.can_attend(q.double(), k.double(), k.double())
    assert not own.can_attend(q[..., :3], k[..., :3], k[..., :3])


@needs_kernels
def test_scores_of_any_size_give_finite_numbers_and_what_is_not_a_number_stays_one(own: Kernels) -> None:
    q, k, v = (torch.randn(1, 2, 30, own.lanes) * 1e4 for _ in range(3))
    bounds = torch.tensor([0, 30])
    out, norms = own.attention_forward(q, k, v, bounds, True, 1.0)
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(g).all() for g in own.attention_backward(torch.randn_like(out), q, k, v, out, norms, bounds, True, 1.0))
    q[0, 0, 3, 2] = float("nan")
    assert torch.isnan(own.attention_forward(q, k, v, bounds, True, 1.0)[0][0, 3, 0]).all()


@needs_kernels
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_numbers_are_dropped_as_often_as_asked_and_without_regard_to_their_neighbours(own: Kernels, p: float) -> None:
    x = torch.ones(1000, 1024)
    dropped = (own.drop(x, p, 11) == 0).double()
    p = round(p * 2**16) / 2**16
    both = 5 * (p * p * (1 - p * p) / dropped.numel()) ** 0.5
    assert abs(float(dropped.mean()) - p) < 5 * (p * (1 - p) / dropped.numel()) ** 0.5
    for distance in (1, 4, own.lanes, 1024):
        a, b = dropped.flatten()[:-distance], dropped.flatten()[distance:]
        assert abs(float((a * b).mean()) - p * p) < both
    other = (own.drop(x, p, 12) == 0).double()
    assert abs(float((dropped * other).mean()) - p * p) < both


@needs_kernels
@pytest.mark.parametrize("is_causal", [True, False])
def test_dropped_probabilities_are_the_same_in_both_passes_and_as_many_as_asked_for(own: Kernels, is_causal: bool) -> None:
    torch.manual_seed(0)
    length, size, p = 16 * own.lanes, 16 * own.lanes, 0.3
    bounds = torch.tensor([0, length])
    q, k, v = torch.randn(1, 2, length, size) * 0.1, torch.randn(1, 2, length, size) * 0.1, torch.randn(1, 2, length, size)
    identity = torch.eye(length)[None, None].expand(1, 2, -1, -1).contiguous()  # as values, they let the probabilities through

    def probabilities(dropout: float, seed: int) -> Tensor:
        return own.attention_forward(q, k, identity, bounds, is_causal, size**-0.5, dropout, seed)[0].transpose(1, 2)

    plain, dropped = probabilities(0.0, 0), probabilities(p, 5)
    kept = (dropped > 0) / (1 - round(p * 2**16) / 2**16)
    torch.testing.assert_close(dropped, plain * kept, rtol=1e-5, atol=1e-8)
    seen = int((plain > 0).sum())
    assert int((dropped > 0).sum()) == pytest.approx((1 - p) * seen, abs=5 * (p * (1 - p) * seen) ** 0.5)
    for other in (dropped.flip(1), probabilities(p, 6), probabilities(p, 5 + 2**40)):  # another head's, and other seeds'
        agree = int(((dropped > 0) == (other > 0))[plain > 0].sum())
        chance = p * p + (1 - p) * (1 - p)
        assert agree == pytest.approx(chance * seen, abs=7 * (chance * (1 - chance) * seen) ** 0.5)

    exact = [x.double().requires_grad_() for x in (q, k, v)]
    scores = exact[0] @ exact[1].mT * size**-0.5
    if is_causal:
        scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), float("-inf"))
    grad = torch.randn(1, length, 2, size)
    ((scores.softmax(-1) * kept.double()) @ exact[2]).transpose(1, 2).backward(grad.double())
    out, norms = own.attention_forward(q, k, v, bounds, is_causal, size**-0.5, p, 5)
    grads = own.attention_backward(grad, q, k, v, out, norms, bounds, is_causal, size**-0.5, p, 5)
    for found, leaf in zip(grads, exact, strict=True):
        assert leaf.grad is not None
        assert relative(found.transpose(1, 2), leaf.grad) < 5e-6


@needs_kernels
@pytest.mark.parametrize(
    ("num_tokens", "inputs", "outputs", "rank"), [(101, 96, 64, 16), (1, 32, 32, 4), (60, 64, 208, 33), (49, 16, 16, 1)]
)
def test_an_adapter_and_its_gradients_are_the_formulas(own: Kernels, num_tokens: int, inputs: int, outputs: int, rank: int) -> None:
    torch.manual_seed(0)
    y, x, a, b = torch.randn(num_tokens, outputs), torch.randn(num_tokens, inputs), torch.randn(rank, inputs), torch.randn(outputs, rank)
    assert own.can_adapt(x, a, b)
    grad, grad_x = torch.randn(num_tokens, outputs), torch.randn(num_tokens, inputs)
    exact = [z.double() for z in (y, x, a, b, grad, grad_x)]
    found_y, xa = own.adapter_forward(y, x, a, b, 0.5)
    assert relative(found_y, exact[0] + 0.5 * exact[1] @ exact[2].mT @ exact[3].mT) < 1e-6
    assert relative(xa, exact[1] @ exact[2].mT) < 1e-6
    found_x, found_a, found_b = own.adapter_backward(grad, x, a, b, xa, grad_x, 0.5)
    assert found_x is not None
    assert relative(found_x, exact[5] + 0.5 * exact[4] @ exact[3] @ exact[2]) < 1e-6
    assert relative(found_a, 0.5 * (exact[4] @ exact[3]).mT @ exact[1]) < 1e-6
    assert relative(found_b, 0.5 * exact[4].mT @ (exact[1] @ exact[2].mT)) < 1e-6
    without = own.adapter_backward(grad, x, a, b, xa, None, 0.5)
    assert without[0] is None
    assert torch.equal(without[1], found_a)


@needs_kernels
@pytest.mark.parametrize("b_in_rows", [True, False])
@pytest.mark.parametrize("a_in_rows", [True, False])
@pytest.mark.parametrize(
    ("rows", "depth", "columns"),
    [(2, 16, 16), (13, 48, 96), (100, 1296, 80), (37, 704, 401), (25, 32, 1024), (64, 1024, 50), (130, 640, 33)],
)
def test_products_are_the_formula(own: Kernels, rows: int, depth: int, columns: int, a_in_rows: bool, b_in_rows: bool) -> None:
    torch.manual_seed(0)
    a = torch.randn(rows, depth) if a_in_rows else torch.randn(depth, rows).t()
    b = torch.randn(depth, columns) if b_in_rows else torch.randn(columns, depth).t()
    bias, there = torch.randn(columns), torch.randn(rows, columns)
    exact = a.double() @ b.double()
    assert own.can_multiply(a, b)
    assert relative(own.matmul(a, b), exact) < 2e-6
    assert relative(own.matmul(a, b, bias), exact + bias) < 2e-6
    assert own.matmul(a, b, None, into=there.clone()).sub(there).sub(exact).abs().max() < 1e-3


@needs_kernels
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("tokens", [2, 16, 33, 100])
def test_a_layer_with_its_adapter_in_one_call_is_the_same_to_the_bit(own: Kernels, tokens: int, with_bias: bool) -> None:
    torch.manual_seed(0)
    x, weight, a, b = torch.randn(tokens, 96), torch.randn(64, 96), torch.randn(5, 96), torch.randn(64, 5)
    bias = torch.randn(64) if with_bias else None
    expected, _ = own.adapter_forward(own.matmul(x, weight.t(), bias), x, a, b, 0.7)
    assert torch.equal(own.adapted(x, weight, bias, a, b, 0.7), expected)


@needs_kernels
@pytest.mark.parametrize("depth", [1, 7, 655, 1279, 1281])
def test_products_over_any_number_of_tokens_are_the_formula(own: Kernels, depth: int) -> None:
    torch.manual_seed(0)
    grad, x = torch.randn(depth, 40), torch.randn(depth, 64)
    assert own.can_multiply(grad.t(), x)
    assert relative(own.matmul(grad.t(), x), grad.double().t() @ x.double()) < 2e-6
    assert depth == 1 or not own.can_multiply(grad.t(), x.t().contiguous().t())  # columns are turned a square at a time
    assert depth > 1 or torch.equal(own.matmul(grad.t(), x.t().contiguous().t()), grad.t() @ x)


@needs_kernels
def test_a_rows_product_does_not_depend_on_the_others_nor_on_the_number_of_threads(own: Kernels) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(301, 1296), torch.randn(208, 1296)
    threads, whole = torch.get_num_threads(), own.matmul(x, weight.t())
    bias, there = torch.randn(208), torch.randn(301, 208)
    added, onto = own.matmul(x, weight.t(), bias), own.matmul(x, weight.t(), None, there.clone())
    for start, end in ((0, 2), (0, 13), (3, 19), (0, 33), (7, 71), (150, 301)):
        assert torch.equal(own.matmul(x[start:end], weight.t()), whole[start:end])
        assert torch.equal(own.matmul(x[start:end].t().contiguous().t(), weight.t(), bias), added[start:end])
        assert torch.equal(own.matmul(x[start:end], weight.t(), None, there[start:end].clone()), onto[start:end])
    try:
        for count in (1, 3, 8):
            torch.set_num_threads(count)
            assert torch.equal(own.matmul(x, weight.t()), whole)
            assert torch.equal(own.matmul(x[:16], weight.t()), whole[:16])
    finally:
        torch.set_num_threads(threads)


@needs_kernels
def test_what_a_thread_kept_goes_with_it(own: Kernels) -> None:
    x, weight = torch.randn(32, 30_000), torch.randn(8, 30_000)  # a turned left matrix of 3.8 MB

    def held_by_threads(number: int) -> int:
        before = resident_bytes(CPU)
        for _ in range(number):
            thread = threading.Thread(target=own.matmul, args=(x, weight.t()))
            thread.start()
            thread.join()
        return resident_bytes(CPU) - before

    held_by_threads(20)  # the allocator takes what one thread gave back for some other, but not for any
    assert held_by_threads(60) < 20 * 3.8e6  # in place of 60


@needs_kernels
def test_what_is_not_a_number_reaches_only_its_own_row(own: Kernels) -> None:
    x, weight = torch.randn(30, 64), torch.randn(64, 80)
    x[7, 3] = float("nan")
    assert torch.isnan(own.matmul(x, weight)).any(1).nonzero().flatten().tolist() == [7]


@needs_kernels
def test_other_products_are_left_to_torch(own: Kernels) -> None:
    x, weight = torch.randn(4, 64), torch.randn(64, 80)
    assert own.can_multiply(x, weight)
    assert not own.can_multiply(x.double(), weight.double())
    assert not own.can_multiply(x[:1], weight)
    assert not own.can_multiply(x[:0], weight)
    assert not own.can_multiply(x, weight[:, :2])
    assert not own.can_multiply(torch.randn(4, 32), weight[::2, ::2])


@needs_kernels
@pytest.mark.parametrize("with_scale", [True, False])
def test_rows_are_rounded_as_torch_rounds_them(own: Kernels, with_scale: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, scale = torch.randn(33, 48) * torch.logspace(-30, 30, 33)[:, None], torch.rand(48) if with_scale else None
    x[4] = 0.0
    rounded, steps = own.quantize_rows(x, scale)
    monkeypatch.setattr(frozen, "kernels", lambda: None)
    expected, expected_steps = frozen.quantized_rows(x, scale)
    assert torch.equal(rounded, expected)
    assert torch.equal(steps, expected_steps)


@needs_kernels
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_with_a_number_that_is_not_finite_has_no_finite_step(own: Kernels, value: float) -> None:
    x = torch.randn(3, 32)
    x[1, 5] = value
    assert torch.isfinite(own.quantize_rows(x, None)[1]).tolist() == [True, False, True]


@needs_kernels
def test_without_kernels_operators_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 50, n, 16).transpose(1, 2) for n in (4, 2, 2))
    bounds, parents = torch.tensor([0, 20, 50]), torch.tensor([-1, -1])
    x, weight, a, b = torch.randn(50, 32), torch.randn(48, 32), torch.randn(4, 32), torch.randn(48, 4)
    int8, scale = frozen.quantized_rows(weight)

    def all_of_them() -> list[Tensor]:
        lora_forward = [lora._forward(x, w, s, None, a, b, 2.0) for w, s in ((weight, None), (int8, scale))]
        lora_backward = [
            lora._backward(y, x, w, s, a, b, xa, 2.0, True)
            for (y, xa), w, s in zip(lora_forward, (weight, int8), (None, scale), strict=True)
        ]
        attended = segment_attention.segment_attention(q, k, v, bounds, parents, None, True, 0.25)
        return [attended, *itertools.chain(*lora_forward, *lora_backward)]

    ours = all_of_them()
    for module in (frozen, lora, segment_attention):
        monkeypatch.setattr(module, "kernels", lambda: None)
    for found, expected in zip(ours, all_of_them(), strict=True):
        assert relative(found, expected.double()) < 2e-3  # the last bit before int8 can fall to the other side


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache."""
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path))
    monkeypatch.setattr(native.sys, "platform", "linux")
    return tmp_path / "kernels"


def test_a_machine_without_a_compiler_has_none_and_says_why(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.shutil, "which", lambda _name: None)
    with pytest.raises(native._Missing, match="no C compiler was found"):
        native._built()


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho 'unknown option' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(native._Missing, match="unknown option"):
        native._built()
    assert list(fresh.iterdir()) == []


@needs_kernels
def test_code_that_computes_something_else_is_not_kept(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Kernels.adapter_forward
    monkeypatch.setattr(Kernels, "adapter_forward", lambda self, y, *others: right(self, y + 1, *others))
    with pytest.raises(native._Missing, match=r"adapter\.c does not compute what torch does"):
        native._built()
    assert list(fresh.iterdir()) == []


@needs_kernels
def test_the_code_is_compiled_once_a_machine(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = native._built()
    assert set(first.rates) == {"own", "torch"}
    assert min(first.rates.values()) > 0
    monkeypatch.setattr(subprocess, "run", lambda *_: pytest.fail("compiled a second time"))
    assert native._built().rates == first.rates


@needs_kernels
@pytest.mark.parametrize("lost", [".so", ".json"])
def test_half_of_what_was_kept_is_made_anew(fresh: Path, lost: str) -> None:
    native._built()
    next(fresh.glob(f"*{lost}")).unlink()
    assert native._built().rates
    assert sorted(path.suffix for path in fresh.iterdir()) == [".json", ".so"]
