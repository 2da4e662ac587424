"""Streams with virtual tokens before their sequences, and keys and values that are learned in place of computed ones.

T tokens of a stream    S segments    k key heads    d head size    V virtual tokens
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from tunesmith.core.batch import Stream
from tunesmith.core.virtual import PREFIX, VirtualTokens

__all__ = ["cache_of", "extended", "with_prefix"]


def extended(stream: Stream, virtual: VirtualTokens) -> tuple[Stream, Tensor]:
    """The stream with virtual tokens before every sequence, and where its own tokens stand in it, (T,).

    Shared ones are one segment, which every sequence continues; others begin each segment that continues none.
    """
    return _shared(stream, virtual) if virtual.is_shared else _in_each(stream, virtual)


def _shared(stream: Stream, virtual: VirtualTokens) -> tuple[Stream, Tensor]:
    num, device = virtual.num, stream.tokens_T.device
    first = int(stream.positions_T[0])
    return (
        Stream(
            torch.cat([torch.tensor(virtual.ids, device=device), stream.tokens_T]),
            torch.cat([torch.arange(first, first + num, device=device), stream.positions_T + num]),
            torch.cat([stream.token_types_T.new_zeros(num), stream.token_types_T]),
            (0, *(bound + num for bound in stream.bounds)),
            (-1, *(parent + 1 for parent in stream.parents)),
        ),
        torch.arange(num, num + stream.num_tokens, device=device),
    )


def _in_each(stream: Stream, virtual: VirtualTokens) -> tuple[Stream, Tensor]:
    num, device = virtual.num, stream.tokens_T.device
    added, bounds = 0, [0]
    shifts, starts = list[int](), list[int]()
    for start, end, parent in zip(stream.bounds, stream.bounds[1:], stream.parents, strict=False):
        if parent < 0:
            starts.append(start + added)
            added += num
        shifts.append(added)
        bounds.append(end + added)
    lengths = torch.tensor(stream.bounds).diff()
    places_T = torch.arange(stream.num_tokens) + torch.repeat_interleave(torch.tensor(shifts), lengths)
    new = torch.tensor([place for start in starts for place in range(start, start + num)])
    own, places_T = places_T.to(device), places_T.to(device)
    first = int(stream.positions_T[0])

    def laid(of_tokens: Tensor, of_virtual: Tensor) -> Tensor:
        whole = of_tokens.new_empty(bounds[-1])
        whole[own] = of_tokens
        whole[new.to(device)] = of_virtual.repeat(len(starts)).to(of_tokens)
        return whole

    longer = replace(
        stream,
        tokens_T=laid(stream.tokens_T, torch.tensor(virtual.ids)),
        positions_T=laid(stream.positions_T + num, torch.arange(first, first + num)),
        token_types_T=laid(stream.token_types_T, torch.zeros(num)),
        bounds=tuple(bounds),
    )
    return longer, places_T


def with_prefix(module: nn.Module, key_1kTd: Tensor, value_1kTd: Tensor, places: Tensor | None) -> tuple[Tensor, Tensor]:
    """Keys and values with the learned ones of an attention layer at `places`, once or several times V; as they are where it has none."""
    learned = getattr(module, PREFIX, None)
    if learned is None or places is None:
        return key_1kTd, value_1kTd
    keys_kVd, values_kVd = learned()
    times = places.shape[0] // keys_kVd.shape[1]
    return (
        key_1kTd.index_copy(2, places, keys_kVd.to(key_1kTd.dtype).repeat(1, times, 1)[None]),
        value_1kTd.index_copy(2, places, values_kVd.to(value_1kTd.dtype).repeat(1, times, 1)[None]),
    )


def cache_of(prefixes: Sequence[nn.Module], num_rows: int, dtype: torch.dtype) -> DynamicCache:
    """The learned keys and values of the layers as transformers takes them, for so many rows."""
    cache = DynamicCache()
    for index, learned in enumerate(prefixes):
        keys, values = (x.to(dtype)[None].expand(num_rows, -1, -1, -1) for x in learned())
        cache.update(keys, values, index)
    return cache
