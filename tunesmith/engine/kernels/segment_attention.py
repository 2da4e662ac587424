"""Attention inside the segments of a packed stream as one operator, for eager and for compiled code, on the CPU.

Where the C kernels can, they do it: segments alone, or all after a root that they share, plainly causal or not, in float32. Else torch's flash attention does, run by run, without dropout.

T tokens of the stream    S segments    h heads    k key heads    d head size    L tokens of a segment    n segments of one length in a row
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tunesmith.core.batch import chains
from tunesmith.engine.kernels.compiled import Kernels
from tunesmith.engine.kernels.native import kernels

__all__ = ["Run", "batched", "can_drop", "has_own_kernel", "runs", "seen", "segment_attention", "with_before"]

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def has_own_kernel(q: Tensor) -> bool:
    """Whether the operator below can be used."""
    return q.device.type == "cpu"


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring segments of equal length, which attend in one batched call; or one segment that continues others."""

    start: int
    end: int
    num_segments: int
    before: tuple[tuple[int, int], ...]
    """Bounds of the segments that it continues, the first of them first."""

    @property
    def num_before(self) -> int:
        """Tokens that come before it."""
        return sum(end - start for start, end in self.before)

    @property
    def length(self) -> int:
        """Tokens of a segment."""
        return (self.end - self.start) // self.num_segments


def runs(bounds: Sequence[int], parents: Sequence[int]) -> Iterator[Run]:
    """The segments of a stream in their order, those of equal length side by side taken together."""
    start, count = 0, 0
    for parent, chain, (begin, end) in zip(parents, chains(parents), itertools.pairwise(bounds), strict=True):
        if count and (parent >= 0 or (end - begin) * count != begin - start):
            yield Run(start, begin, count, ())
            count = 0
        if parent >= 0:
            yield Run(begin, end, 1, tuple((bounds[s], bounds[s + 1]) for s in chain[:-1]))
        else:
            start, count = (start, count + 1) if count else (begin, 1)
    if count:
        yield Run(start, bounds[-1], count, ())


def batched(own_1hTd: Tensor, run: Run) -> Tensor:
    """What a run has of a stream, (1, h, n L, d), as (n, h, L, d), without a copy."""
    _, heads, _, size = own_1hTd.shape
    return own_1hTd.reshape(heads, run.num_segments, run.length, size).transpose(0, 1)


def with_before(x_1hTd: Tensor, own_1hTd: Tensor, run: Run) -> Tensor:
    """The keys or values that a run sees: its own, after those in the stream `x_1hTd` that it continues; (n, h, all of them, d)."""
    if not run.before:
        return batched(own_1hTd, run)
    return torch.cat([*(x_1hTd[:, :, start:end] for start, end in run.before), own_1hTd], 2)


def _part(x_1hTd: Tensor, run: Run) -> Tensor:
    return batched(x_1hTd[:, :, run.start : run.end], run)


def _seen_part(x_1hTd: Tensor, run: Run) -> Tensor:
    return with_before(x_1hTd, x_1hTd[:, :, run.start : run.end], run)


def seen(
    run: Run, grid_LL: Tensor | None, is_causal: bool, dtype: torch.dtype, device: torch.device | None = None
) -> tuple[Tensor | None, bool]:
    """What a run may see: (a mask that is added to the scores, or None; whether it is plainly causal from 0)."""
    before, end = run.num_before, run.num_before + run.length
    if grid_LL is not None:
        visible = grid_LL[before:end, :end]
    elif is_causal and before:
        visible = torch.ones(run.length, end, dtype=torch.bool, device=device).tril(before)
    else:
        return None, is_causal
    return torch.zeros(visible.shape, dtype=dtype, device=device).masked_fill_(~visible, float("-inf")), False


def _has_shared_root(parents_S: Tensor) -> bool:
    """Whether every segment but the first continues the first, and there are some."""
    return len(parents_S) > 1 and int(parents_S[0]) < 0 and bool((parents_S[1:] == 0).all())


def _own(q: Tensor, k: Tensor, v: Tensor, bounds_S1: Tensor, parents_S: Tensor, grid_LL: Tensor | None) -> Kernels | None:
    """The C kernels, where they can, and there is work for every thread: one of theirs takes a key head of a segment."""
    own = kernels()
    if own is None or grid_LL is not None or not own.can_attend(q, k, v):
        return None
    if int(parents_S.max()) >= 0 and not _has_shared_root(parents_S):
        return None
    return own if (len(bounds_S1) - 1) * k.shape[1] >= torch.get_num_threads() else None


def can_drop(q: Tensor, k: Tensor, v: Tensor, bounds_S1: Tensor, parents_S: Tensor, grid_LL: Tensor | None) -> bool:
    """Whether `segment_attention` can drop probabilities out here."""
    return _own(q, k, v, bounds_S1, parents_S, grid_LL) is not None


@torch.library.custom_op("tunesmith::segment_attention", mutates_args=(), device_types="cpu")
def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bounds_S1: Tensor,
    parents_S: Tensor,
    grid_LL: Tensor | None,
    is_causal: bool,
    scale: float,
    dropout: float,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Returns: (1, T, h, d), and the logarithms of the softmax's denominators, (1, T, h)."""
    own = _own(q, k, v, bounds_S1, parents_S, grid_LL)
    if own is not None:
        return own.attention_forward(q, k, v, bounds_S1, is_causal, scale, dropout, seed, is_rooted=_has_shared_root(parents_S))
    assert dropout == 0, "only the C kernels drop out: ask can_drop"
    _, heads, num_tokens, size = q.shape
    out = q.new_empty(1, num_tokens, heads, size)
    norms = torch.empty(1, num_tokens, heads, dtype=torch.float64 if q.dtype == torch.float64 else torch.float32)
    for run in runs(bounds_S1.tolist(), parents_S.tolist()):
        mask, causal = seen(run, grid_LL, is_causal, q.dtype)
        part, norm = _forward(_part(q, run), _seen_part(k, run), _seen_part(v, run), 0.0, causal, attn_mask=mask, scale=scale)
        out[0, run.start : run.end].view(*part.transpose(1, 2).shape).copy_(part.transpose(1, 2))
        norms[0, run.start : run.end].view(*norm.transpose(1, 2).shape).copy_(norm.transpose(1, 2))
    return out, norms


@_attend.register_fake
def _(q: Tensor, *_others: object) -> tuple[Tensor, Tensor]:
    _, heads, num_tokens, size = q.shape
    norms = q.new_empty(1, num_tokens, heads, dtype=torch.float64 if q.dtype == torch.float64 else torch.float32)
    return q.new_empty(1, num_tokens, heads, size), norms


@torch.library.custom_op("tunesmith::segment_attention_backward", mutates_args=(), device_types="cpu")
def _gradients(
    grad_1Thd: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    norms: Tensor,
    bounds_S1: Tensor,
    parents_S: Tensor,
    grid_LL: Tensor | None,
    is_causal: bool,
    scale: float,
    dropout: float,
    seed: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns: the gradients of q, (1, T, h, d), and of k and v, (1, T, k, d)."""
    own = _own(q, k, v, bounds_S1, parents_S, grid_LL)
    if own is not None:
        is_rooted = _has_shared_root(parents_S)
        return own.attention_backward(grad_1Thd, q, k, v, out, norms, bounds_S1, is_causal, scale, dropout, seed, is_rooted=is_rooted)
    found = list(runs(bounds_S1.tolist(), parents_S.tolist()))
    has_parents = any(run.before for run in found)  # their gradients are sums over all that continue them
    parted = [(torch.zeros if has_parents else torch.empty)(1, x.shape[2], x.shape[1], x.shape[3], dtype=x.dtype) for x in (q, k, v)]
    for run in found:
        mask, causal = seen(run, grid_LL, is_causal, q.dtype)
        places = [_part(x.transpose(1, 2), run) for x in (grad_1Thd, out, norms[..., None])]
        parts = _backward(
            places[0], _part(q, run), _seen_part(k, run), _seen_part(v, run), places[1], places[2][..., 0], 0.0, causal,
            attn_mask=mask, scale=scale,
        )  # fmt: skip
        for grad, part in zip(parted, parts, strict=True):
            _give(grad, part.transpose(1, 2).flatten(0, 1), run, has_parents)
    return parted[0], parted[1], parted[2]


def _give(grad_1Thd: Tensor, part_Lhd: Tensor, run: Run, adds: bool) -> None:
    """Write or add what a run says of its own tokens, and of those before it where the part is as long."""
    own = run.end - run.start
    places = [(run.start, run.end)] if len(part_Lhd) == own else [*run.before, (run.start, run.end)]
    at = 0
    for start, end in places:
        place = grad_1Thd[0, start:end]
        piece = part_Lhd[at : at + end - start]
        place.add_(piece) if adds else place.copy_(piece)
        at += end - start


@_gradients.register_fake
def _(_grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_others: object) -> tuple[Tensor, Tensor, Tensor]:
    grads = [x.new_empty(1, x.shape[2], x.shape[1], x.shape[3]) for x in (q, k, v)]
    return grads[0], grads[1], grads[2]


def _setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    q, k, v, bounds, parents, grid, *ctx.how = inputs
    ctx.save_for_backward(q, k, v, *output, bounds, parents, grid)


def _differentiate(ctx, grad, _grad_norms):  # type: ignore[no-untyped-def]
    q, k, v, out, norms, bounds, parents, grid = ctx.saved_tensors
    grads = torch.ops.tunesmith.segment_attention_backward(grad.contiguous(), q, k, v, out, norms, bounds, parents, grid, *ctx.how)
    return *(x.transpose(1, 2) for x in grads), None, None, None, None, None, None, None


_attend.register_autograd(_differentiate, setup_context=_setup)


def segment_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bounds_S1: Tensor,
    parents_S: Tensor,
    grid_LL: Tensor | None,
    is_causal: bool,
    scale: float,
    dropout: float = 0.0,
) -> Tensor:
    """Each token attends inside its segment, and to the segments that it continues.

    Args:
        q: (1, h, T, d), on the CPU. `k`, `v`: (1, k, T, d), h a multiple of k.
        bounds_S1: offsets of the segments into T, int64. `parents_S`: the segment that each continues, or -1.
        grid_LL: True where a query (row) may see a key (column), by position in a segment with what it continues; None where `is_causal`
            says it all.
        scale: of the scores.
        dropout: probability with which an attention probability is dropped, in steps of 2^-16; more than 0 only where `can_drop`. What is dropped is
            a function of torch's generator, which takes one step.
    Returns: (1, T, h, d).
    """
    seed = int(torch.randint(2**62, ())) if dropout else 0
    out: Tensor = torch.ops.tunesmith.segment_attention(q, k, v, bounds_S1, parents_S, grid_LL, is_causal, scale, dropout, seed)[0]
    return out
