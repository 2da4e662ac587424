"""Attention inside the segments of a packed stream, plugged into transformers' own attention interface.

A stream holds S segments end to end, without padding. A segment attends to itself and to the segments that it continues (its parent, its
parent's parent, ...), never to another one. transformers hands a model's mask to us as a function of two positions; it is evaluated inside a
segment, where positions start at zero, so that windows, chunks and bidirectional masks mean what they mean for a sequence alone.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

__all__ = ["PACKED", "PackedUnsupported", "SegmentMask", "attention_calls", "attention_implementation", "packed_attention"]

PACKED = "tunesmith_packed"

# Arguments that models pass along to every attention function and that change nothing for a packed stream.
_HARMLESS = frozenset(
    {"position_ids", "cache_position", "position_embeddings", "use_cache", "output_attentions", "output_hidden_states", "return_dict"}
)

_calls = itertools.count()
"""Drawn from at every call, so that the probe can see whether a model calls at all."""


class PackedUnsupported(RuntimeError):
    """A model asks its attention for something that the packed path does not do; the padded path does."""


class SegmentMask:
    """Which keys a query may see, by position inside a segment. Stands where transformers puts a mask tensor."""

    def __init__(self, mask_function: Callable[..., Any], use_vmap: bool, device: torch.device) -> None:
        self._mask_function, self._use_vmap, self._device = mask_function, use_vmap, device
        self._grid_LL: Tensor | None = None
        self._is_causal = False
        self._is_full = False

    def of(self, start: int, end: int) -> tuple[Tensor | None, bool]:
        """The mask of queries `start..end` over keys `0..end`.

        Returns: (mask of shape (end - start, end), True where visible, or None; whether the mask is plainly causal from 0).
        """
        if self._grid_LL is None or len(self._grid_LL) < end:
            length = end if self._grid_LL is None else max(end, 2 * len(self._grid_LL))
            grid = sdpa_mask(
                batch_size=1,
                q_length=length,
                kv_length=length,
                mask_function=self._mask_function,
                allow_is_causal_skip=False,
                allow_is_bidirectional_skip=False,
                use_vmap=self._use_vmap,
                device=self._device,
            )
            assert grid is not None  # no skip was allowed
            self._grid_LL = grid[0, 0]
            self._is_full = bool(self._grid_LL.all())
            self._is_causal = bool((self._grid_LL == torch.ones_like(self._grid_LL).tril()).all())
        if self._is_full:
            return None, False
        if self._is_causal and start == 0:
            return None, True
        return self._grid_LL[start:end, :end], False


def _segment_mask(*, mask_function: Callable[..., Any], device: torch.device, use_vmap: bool = False, **_: Any) -> SegmentMask:
    return SegmentMask(mask_function, use_vmap, device)


def _windowed(length: int, window: int | None, is_causal: bool, device: torch.device) -> SegmentMask:
    """The mask of a model that makes none itself and only names its attention's direction and window."""

    def visible(_batch: Any, _head: Any, query: Any, key: Any) -> Any:
        seen = key <= query if is_causal else key == key
        return seen if window is None else seen & (abs(query - key) < window)

    return SegmentMask(visible, False, device)


def _attend(
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
    """One segment: q (1, heads, queries, d), k and v (1, key heads, keys, d) -> (1, heads, queries, d)."""
    if softcap is None and sinks is None:
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.transpose(2, 3) * scale
    if softcap is not None:  # Gemma 2: a smooth bound on the scores
        scores = softcap * torch.tanh(scores / softcap)
    if is_causal:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril(k.shape[2] - q.shape[2])
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    if sinks is not None:  # gpt-oss: one learned score a head that takes probability and gives nothing
        sink = sinks.to(scores.dtype).reshape(1, -1, 1, 1).expand(1, -1, q.shape[2], 1)
        scores = torch.cat([scores, sink], -1)
    weights = torch.softmax(scores, -1, dtype=torch.float32 if scores.dtype in (torch.bfloat16, torch.float16) else None).to(q.dtype)
    if sinks is not None:
        weights = weights[..., :-1]
    return F.dropout(weights, dropout, training=dropout > 0) @ v


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: SegmentMask | Tensor | None,
    *,
    segment_bounds: Sequence[int] | None = None,
    segment_parents: Sequence[int] | None = None,
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
        attention_mask: what `_segment_mask` made, or None where the model makes no mask.
        segment_bounds: S + 1 offsets into T. `segment_parents`: S indices, -1 for none.
        s_aux: attention sinks, one a head.
    Returns: (1, T, heads, d), and no weights.
    Raises: PackedUnsupported, where any other argument is set.
    """
    next(_calls)
    strange = sorted(name for name, given in others.items() if given is not None and given is not False and name not in _HARMLESS)
    if segment_bounds is None or segment_parents is None:
        raise PackedUnsupported("the model does not hand forward arguments to its attention")
    if (
        strange
        or isinstance(attention_mask, Tensor)
        or query.shape[0] != 1
        or query.shape[2] != segment_bounds[-1]
        or key.shape[2] != query.shape[2]
    ):
        raise PackedUnsupported(f"attention with {', '.join(strange) or 'a mask or shape of its own'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = attention_mask
    if mask is None:
        causal = bool(getattr(module, "is_causal", True)) if is_causal is None else is_causal
        mask = _windowed(segment_bounds[-1], sliding_window, causal, query.device)
    # One split, not a slice a segment: the backward pass of a slice writes zeros as long as the whole stream.
    lengths = [end - start for start, end in itertools.pairwise(segment_bounds)]
    queries, keys, values = (torch.split(x, lengths, 2) for x in (query, key, value))
    outputs, chains = list[Tensor](), list[list[int]]()
    for segment, parent in enumerate(segment_parents):
        chain = [*chains[parent], segment] if parent >= 0 else [segment]
        chains.append(chain)
        k = keys[segment] if parent < 0 else torch.cat([keys[s] for s in chain], 2)
        v = values[segment] if parent < 0 else torch.cat([values[s] for s in chain], 2)
        seen, plainly_causal = mask.of(k.shape[2] - lengths[segment], k.shape[2])
        outputs.append(_attend(queries[segment], k, v, seen, plainly_causal, scale, dropout, softcap, s_aux))
    return torch.cat(outputs, 2).transpose(1, 2).contiguous(), None


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, _segment_mask)


def attention_calls() -> int:
    """A number that grows with every call of the packed attention: a model that never calls it attends some other way."""
    return next(_calls)


@contextlib.contextmanager
def attention_implementation(trunk: nn.Module, name: str) -> Iterator[None]:
    """Let every attention layer of `trunk` use the implementation `name` inside the block."""
    found: list[Any] = [getattr(module, "config", None) for module in trunk.modules()]
    configs = {id(config): config for config in found if hasattr(config, "_attn_implementation_internal")}
    before = {key: config._attn_implementation_internal for key, config in configs.items()}
    try:
        for config in configs.values():
            config._attn_implementation_internal = name
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation_internal = before[key]
