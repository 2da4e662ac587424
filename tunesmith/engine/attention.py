"""Attention inside the segments of a packed stream, plugged into transformers' own attention interface.

A stream holds S segments end to end, without padding. A segment attends to itself and to the segments that it continues (its parent, its
parent's parent, ...), never to another one. transformers hands a model's mask to us as a function of two positions; it is evaluated inside a
segment, where positions start at zero, so that windows, chunks and bidirectional masks mean what they mean for a sequence alone.
"""

import contextlib
import functools
import itertools
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from tunesmith.engine.kernels.dropout import dropout as drop
from tunesmith.engine.kernels.segment_attention import batched, can_drop, has_own_kernel, runs, seen, segment_attention, with_before
from tunesmith.engine.kernels.varlen_attention import NO_BOUND, fits_varlen, varlen_attention
from tunesmith.engine.virtual import with_prefix

__all__ = [
    "PACKED",
    "PackedUnsupported",
    "SegmentMask",
    "attend",
    "attention_calls",
    "attention_implementation",
    "packed_attention",
    "segment_mask",
]

PACKED = "tunesmith_packed"

# Arguments that models pass along to every attention function and that change nothing for a packed stream.
_HARMLESS = frozenset(
    {"position_ids", "cache_position", "position_embeddings", "use_cache", "output_attentions", "output_hidden_states", "return_dict"}
)

_calls = itertools.count()
"""Drawn from at every call, so that the probe can see whether a model calls at all."""

_configs: weakref.WeakKeyDictionary[nn.Module, list[Any]] = weakref.WeakKeyDictionary()
"""The settings that a model's attention layers read, found once: a model with adapters has thousands of modules."""

_longest: ContextVar[int] = ContextVar("longest")
"""Tokens of the stream's longest segment with those that it continues: how large a mask has to be."""


class PackedUnsupported(RuntimeError):
    """A model asks its attention for something that the packed path does not do; the padded path does."""


@dataclass(frozen=True, slots=True)
class SegmentMask:
    """Which keys a query may see, by position inside a segment. Stands where transformers puts a mask tensor."""

    grid_LL: Tensor | None
    """True where visible; None where `is_causal` says it all."""
    is_causal: bool
    window: tuple[int, int] | None
    """How many tokens before and after itself a query sees, NO_BOUND for all of them; None where the grid is no such band."""

    @classmethod
    def of(cls, grid_LL: Tensor) -> "SegmentMask":
        """The mask, told apart from the two plain ones, everything and everything before, and from bands."""
        if bool(grid_LL.all()):
            return cls(None, False, (NO_BOUND, NO_BOUND))
        if bool((grid_LL == torch.ones_like(grid_LL).tril()).all()):
            return cls(None, True, (NO_BOUND, 0))
        before, after = int(grid_LL[-1].sum()) - 1, int(grid_LL[0].sum()) - 1
        is_band = bool((grid_LL == torch.ones_like(grid_LL).tril(after).triu(-before)).all())
        return cls(grid_LL, False, (before, after) if is_band else None)

    @classmethod
    def named(cls, is_causal: bool, window: int | None, device: torch.device) -> "SegmentMask":
        """That of a model that makes no mask itself and only names its attention's direction and window, the query's own place counted."""
        if window is None:
            return cls(None, is_causal, (NO_BOUND, 0 if is_causal else NO_BOUND))
        grid_LL = torch.ones(_longest.get(), _longest.get(), dtype=torch.bool, device=device).tril(0 if is_causal else window - 1)
        return cls(grid_LL.triu(1 - window), False, (window - 1, 0 if is_causal else window - 1))


def segment_mask(*, mask_function: Callable[..., Any], device: torch.device, use_vmap: bool = False, **_: Any) -> SegmentMask:
    """transformers' own mask function, evaluated inside a segment."""
    length = _longest.get()
    grid = sdpa_mask(
        batch_size=1,
        q_length=length,
        kv_length=length,
        mask_function=mask_function,
        allow_is_causal_skip=False,
        allow_is_bidirectional_skip=False,
        use_vmap=use_vmap,
        device=device,
    )
    assert grid is not None  # no skip was allowed
    return SegmentMask.of(grid[0, 0])


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    is_causal: bool,
    scale: float,
    dropout: float,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """Sequences of one length: q (n, heads, queries, d), k and v (n, key heads, keys, d), an added mask -> (n, heads, queries, d).

    `sinks` holds one number a head, or one a head and query.
    """
    draws_fast = dropout > 0 and q.device.type == "cpu"
    if softcap is None and sinks is None and not draws_fast:
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.transpose(2, 3) * scale
    if softcap is not None:  # Gemma 2: a smooth bound on the scores
        scores = softcap * torch.tanh(scores / softcap)
    if is_causal:
        future = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
    if mask is not None:
        scores = scores + mask
    if sinks is not None:  # gpt-oss: one learned score a head that takes probability and gives nothing
        sink = sinks.to(scores.dtype).reshape(1, q.shape[1], -1, 1).expand(len(q), -1, q.shape[2], 1)
        scores = torch.cat([scores, sink], -1)
    weights = torch.softmax(scores, -1, dtype=torch.float32 if scores.dtype in (torch.bfloat16, torch.float16) else None).to(q.dtype)
    if sinks is not None:
        weights = weights[..., :-1]
    return (drop(weights, dropout) if dropout > 0 else weights) @ v


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: SegmentMask | Tensor | None,
    *,
    segment_bounds: Tensor | None = None,
    segment_parents: Tensor | None = None,
    segment_offsets: Tensor | None = None,
    longest_segment: int | None = None,
    virtual_places: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function for a packed stream.

    Args:
        query: (1, heads, T, d); `key` and `value`: (1, key heads, T, d).
        attention_mask: what `segment_mask` made, or None where the model makes no mask.
        segment_bounds: S + 1 offsets into T, int64, on the CPU. `segment_parents`: S indices, -1 for none.
        segment_offsets: the bounds once more, int32, where the stream is; None where torch's kernel for a GPU cannot be used on it.
        longest_segment: tokens of the longest one, beside `segment_offsets`.
        virtual_places: where in T the keys and values stand that a layer with a learned prefix has itself.
        s_aux: attention sinks, one a head.
    Returns: (1, T, heads, d), and no weights.
    Raises: PackedUnsupported, where any other argument is set.
    """
    if not torch.compiler.is_compiling():
        next(_calls)
    if segment_bounds is None or segment_parents is None:
        raise PackedUnsupported("the model does not hand forward arguments to its attention")
    _refuse_strange(query, key, attention_mask, segment_bounds, others)
    key, value = with_prefix(module, key, value, virtual_places)
    assert not isinstance(attention_mask, Tensor)
    if torch.is_autocast_enabled(query.device.type):  # as torch's own attention does: a rotation may have made float32 of queries and keys
        query, key, value = (x.to(torch.get_autocast_dtype(query.device.type)) for x in (query, key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = attention_mask or SegmentMask.named(
        getattr(module, "is_causal", True) if is_causal is None else is_causal, sliding_window, query.device
    )
    if softcap is None and s_aux is None:
        places = segment_bounds, segment_parents, mask.grid_LL
        if has_own_kernel(query) and (dropout == 0 or can_drop(query, key, value, *places)):
            return segment_attention(query, key, value, *places, mask.is_causal, scale, dropout), None
        if dropout == 0 and segment_offsets is not None and longest_segment is not None and mask.window and fits_varlen(query, value):
            return varlen_attention(query, key, value, segment_offsets, longest_segment, mask.window, scale), None
    attends = functools.partial(attend, scale=scale, dropout=dropout, softcap=softcap, sinks=s_aux)
    return _each_run(query, key, value, segment_bounds, segment_parents, mask, attends), None


def _refuse_strange(query: Tensor, key: Tensor, mask: SegmentMask | Tensor | None, bounds_S1: Tensor, others: Mapping[str, Any]) -> None:
    """Raises: PackedUnsupported, for a mask, a shape or an argument that the packed path does not know."""
    strange = sorted(name for name, given in others.items() if given is not None and given is not False and name not in _HARMLESS)
    has_own_shape = query.shape[0] != 1 or key.shape[2] != query.shape[2]
    if not torch.compiler.is_compiling():  # a number of a tensor, which compiled code cannot ask for
        has_own_shape |= query.shape[2] != int(bounds_S1[-1])
    if strange or has_own_shape or isinstance(mask, Tensor):
        raise PackedUnsupported(f"attention with {', '.join(strange) or 'a mask or shape of its own'}")


def _each_run(
    query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, parents: Tensor, mask: SegmentMask, attends: Callable[..., Tensor]
) -> Tensor:
    """One call of `attends` for each run of segments."""
    found, outputs = list(runs(bounds.tolist(), parents.tolist())), list[Tensor]()
    # One split, not a slice a run: the backward pass of a slice writes zeros as long as the whole stream.
    parts = [torch.split(x, [run.end - run.start for run in found], 2) for x in (query, key, value)]
    for run, own_q, own_k, own_v in zip(found, *parts, strict=True):
        added, is_lower = seen(run, mask.grid_LL, mask.is_causal, query.dtype, query.device)
        q, k, v = batched(own_q, run), with_before(key, own_k, run), with_before(value, own_v, run)
        outputs.append(attends(q, k, v, added, is_lower).transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs)[None]


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, segment_mask)


def attention_calls() -> int:
    """A number that grows with every call of the packed attention: a model that never calls it attends some other way."""
    return next(_calls)


@contextlib.contextmanager
def attention_implementation(trunk: nn.Module, name: str, longest: int) -> Iterator[None]:
    """Let every attention layer of `trunk` use the implementation `name` inside the block.

    Args:
        longest: tokens of the longest segment, with those that it continues.
    """
    if trunk not in _configs:
        found: list[Any] = [getattr(module, "config", None) for module in trunk.modules()]
        _configs[trunk] = list({id(config): config for config in found if hasattr(config, "_attn_implementation_internal")}.values())
    configs = _configs[trunk]
    before = [config._attn_implementation_internal for config in configs]
    token = _longest.set(longest)
    try:
        for config in configs:
            config._attn_implementation_internal = name
        yield
    finally:
        _longest.reset(token)
        for config, own in zip(configs, before, strict=True):
            config._attn_implementation_internal = own
