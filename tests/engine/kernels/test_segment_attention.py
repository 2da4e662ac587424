"""Attention inside segments against torch's own attention over the whole stream, with the mask written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.engine.kernels.native import kernels
from tunesmith.engine.kernels.segment_attention import Run, runs, segment_attention

BOUNDS = [0, 3, 6, 9, 13, 15, 17]
WINDOW = torch.ones(17, 17).tril().mul(torch.ones(17, 17).triu(-2)).bool()


def expected(q: Tensor, k: Tensor, v: Tensor, parents: list[int], grid: Tensor | None, is_causal: bool, scale: float) -> Tensor:
    """Every token's mask over the whole stream, by hand."""
    length, chains = q.shape[2], list[list[int]]()
    within = grid if grid is not None else torch.ones(length, length, dtype=torch.bool).tril(0 if is_causal else length)
    seen = torch.zeros(length, length, dtype=torch.bool)
    for segment, parent in enumerate(parents):
        chains.append([*(chains[parent] if parent >= 0 else []), segment])
        places = [place for s in chains[segment] for place in range(BOUNDS[s], BOUNDS[s + 1])]
        for row, place in enumerate(places):
            if BOUNDS[segment] <= place < BOUNDS[segment + 1]:
                seen[place, places] = within[row, : len(places)]
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    return F.scaled_dot_product_attention(q, k, v, seen, scale=scale).transpose(1, 2)


@pytest.mark.parametrize("is_compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("parents", [[-1] * 6, [-1, 0, -1, 1, 3, 3], [-1, 0, 0, 0, 0, 0]], ids=["alone", "continued", "of one root"])
@pytest.mark.parametrize(("grid", "is_causal"), [(None, True), (None, False), (WINDOW, False)], ids=["causal", "full", "window"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
def test_values_and_gradients_are_those_of_plain_attention_with_a_mask(
    dtype: torch.dtype, tolerance: float, grid: Tensor | None, is_causal: bool, parents: list[int], is_compiled: bool
) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 17, heads, 16, dtype=dtype).transpose(1, 2).requires_grad_() for heads in (6, 2, 2))
    attend = torch.compile(segment_attention, fullgraph=True) if is_compiled else segment_attention
    found = attend(q, k, v, torch.tensor(BOUNDS), torch.tensor(parents), grid, is_causal, 0.3)
    wanted = expected(q, k, v, parents, grid, is_causal, 0.3)
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=tolerance)
    direction = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, (q, k, v), direction), torch.autograd.grad(wanted, (q, k, v), direction), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


def _dropped(q: Tensor, k: Tensor, v: Tensor, seed: int) -> Tensor:
    """A root and what continues it, a fourth of the probabilities dropped."""
    torch.manual_seed(seed)
    return segment_attention(q, k, v, torch.tensor(BOUNDS), torch.tensor([-1, 0, 0, 0, 0, 0]), None, False, 0.3, 0.25)


@pytest.mark.skipif(kernels() is None, reason="no C compiler: nothing drops out here")
def test_dropout_under_a_shared_root_keeps_the_mean_and_has_its_own_gradient() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 17, heads, 16).transpose(1, 2).requires_grad_() for heads in (4, 2, 2))
    with torch.no_grad():
        mean = torch.stack([_dropped(q, k, v, seed) for seed in range(3000)]).mean(0)
        torch.testing.assert_close(mean, expected(q, k, v, [-1, 0, 0, 0, 0, 0], None, False, 0.3), atol=0.06, rtol=0)
    found = _dropped(q, k, v, 7)
    direction = torch.randn_like(found)
    for x, grad in zip((q, k, v), torch.autograd.grad(found, (q, k, v), direction), strict=True):
        step = 1e-2 * torch.randn_like(x)
        with torch.no_grad():
            ends = [_dropped(*(y + sign * step if y is x else y for y in (q, k, v)), 7) for sign in (1, -1)]
            slope = float(((ends[0] - ends[1]) * direction).sum())
        assert slope == pytest.approx(2 * float((grad * step).sum()), rel=2e-2, abs=1e-3)


def test_neighbours_of_equal_length_are_taken_together_and_what_continues_others_alone() -> None:
    assert list(runs(BOUNDS, [-1, -1, -1, -1, 0, -1])) == [
        Run(0, 9, 3, ()),
        Run(9, 13, 1, ()),
        Run(13, 15, 1, ((0, 3),)),
        Run(15, 17, 1, ()),
    ]
    assert list(runs([0, 2, 4, 6], [-1, 0, 1])) == [Run(0, 2, 1, ()), Run(2, 4, 1, ((0, 2),)), Run(4, 6, 1, ((0, 2), (2, 4)))]
