"""Keys and values kept, so that sequences go on one token at a time.

Each sequence has a slot in the cache of every attention layer. Prompts are read packed, and their keys and values kept; after that a stream
holds one token for each slot in use, which attends to what its slot holds. Layers are told apart by the order in which they are called.

T tokens of a stream    R slots in use    h heads    k key heads    C capacity of a slot    K tokens of the fullest slot    d head size
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from tunesmith.core.batch import Stream, collate
from tunesmith.core.types import Origin, Row
from tunesmith.engine.attention import attend, packed_attention, segment_mask
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.native import kernels
from tunesmith.engine.tree import Tree
from tunesmith.engine.virtual import with_prefix

__all__ = ["Cache"]

_READING = "tunesmith_reading"
_CACHED = "tunesmith_cached"
_HERE = Origin("prompt", 1)

_current: ContextVar["Cache"] = ContextVar("current")


class Cache:
    """The keys and values of sequences, in slots of equal capacity. Slots in use are the first ones whenever `step` is called."""

    def __init__(self, forward: PackedForward) -> None:
        """A cache without slots; `resize` gives it some. `forward` runs packed."""
        self.num_slots = 0
        self._capacity = 0
        self._forward = forward
        self._lengths = list[int]()
        self._layers = list[tuple[Tensor, Tensor]]()
        """Keys and values, each (slots, k, C, d)."""
        self._calls = itertools.count()
        self._slots: Sequence[int] = ()
        """Of the prompts that are read."""
        self._read: Sequence[Tensor] = ()
        """Where in the stream each of these prompts stands."""
        self._rows_R = torch.empty(0, dtype=torch.long)
        self.places_R = torch.empty(0, dtype=torch.long)
        """Where in its slot each token of a step stands."""
        self.longest = 0
        """Tokens of the fullest slot that a step reads."""

    def resize(self, num_slots: int, capacity: int) -> None:
        """Make room for `num_slots` sequences of up to `capacity` tokens; what slots that remain hold is kept."""
        self._lengths = [*self._lengths, *[0] * num_slots][:num_slots]
        rows, width = min(self.num_slots, num_slots), min(self._capacity, capacity)
        self.num_slots, self._capacity = num_slots, capacity
        for index, layer in enumerate(self._layers):
            self._layers[index] = self._empty(layer[0]), self._empty(layer[1])
            for old, new in zip(layer, self._layers[index], strict=True):
                new[:rows, :, :width] = old[:rows, :, :width]

    def move(self, source: int, target: int) -> None:
        """Copy what a slot holds to another one."""
        length = self._lengths[target] = self._lengths[source]
        for part in itertools.chain.from_iterable(self._layers):
            part[target, :, :length] = part[source, :, :length]

    @torch.no_grad()
    def start(self, prompts: Sequence[tuple[int, ...]], slots: Sequence[int]) -> Tensor:
        """Read each prompt into its slot, what several begin with only once. Returns: logits of the token after each, (prompts, V)."""
        order = sorted(range(len(prompts)), key=lambda i: prompts[i][:-1])
        tree = Tree([prompts[i][:-1] for i in order], tails=[prompts[i][-1:] for i in order])
        self._slots, self._read = [slots[i] for i in order], [torch.tensor(places, device=self._forward.device) for places in tree.places]
        for prompt, slot in zip(prompts, slots, strict=True):
            self._lengths[slot] = len(prompt)
        batch = collate([Row(tuple(tree.segments), _HERE)], self._forward.facts).to(self._forward.device)
        leaves = [leaf for _, leaf in sorted(zip(order, tree.leaves, strict=True))]
        with self._used():
            return self._forward.next_logits(batch.stream, _READING)[leaves]

    @torch.no_grad()
    def step(self, tokens: Sequence[int]) -> Tensor:
        """Read one token more into each of the first slots. Returns: logits of the token after each, (R, V)."""
        device, num = self._forward.device, len(tokens)
        self._rows_R, self.places_R = torch.arange(num, device=device), torch.tensor(self._lengths[:num], device=device)
        self._lengths[:num] = [length + 1 for length in self._lengths[:num]]
        self.longest = max(self._lengths[:num])
        tokens_R = torch.tensor(tokens, device=device)
        positions_R = self.places_R + self._forward.facts.first_position
        stream = Stream(tokens_R, positions_R, torch.zeros_like(tokens_R), tuple(range(num + 1)), (-1,) * num)
        with self._used():
            return self._forward.next_logits(stream, _CACHED)

    @contextlib.contextmanager
    def _used(self) -> Iterator[None]:
        self._calls = itertools.count()
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def _empty(self, like: Tensor) -> Tensor:
        """Zeros: what is masked takes no part in attention, but NaN would."""
        return like.new_zeros(self.num_slots, like.shape[1], self._capacity, like.shape[3])

    def keep_prompts(self, key_1kTd: Tensor, value_1kTd: Tensor) -> None:
        """Keep what the next layer makes of the prompts that are read."""
        index = next(self._calls)
        if index == len(self._layers):
            self._layers.append((self._empty(key_1kTd), self._empty(value_1kTd)))
        for slot, places in zip(self._slots, self._read, strict=True):
            for part, new in zip(self._layers[index], (key_1kTd, value_1kTd), strict=True):
                part[slot, :, : len(places)] = new[0, :, places]

    def next_layer(self) -> tuple[Tensor, Tensor]:
        """What the slots hold of the layer that is called next, (slots, k, C, d) each."""
        return self._layers[next(self._calls)]

    def keep_step(self, key_1kRd: Tensor, value_1kRd: Tensor) -> tuple[Tensor, Tensor]:
        """Keep what the next layer makes of a step's tokens. Returns: all that the slots hold, (R, k, K, d)."""
        keys, values = self.next_layer()
        keys[self._rows_R, :, self.places_R] = key_1kRd[0].transpose(0, 1)
        values[self._rows_R, :, self.places_R] = value_1kRd[0].transpose(0, 1)
        num = len(self._rows_R)
        return keys[:num, :, : self.longest], values[:num, :, : self.longest]


def _reading_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    virtual_places: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function for prompts: packed, and their keys and values kept."""
    key, value = with_prefix(module, key, value, virtual_places)
    _current.get().keep_prompts(key, value)
    return packed_attention(module, query, key, value, attention_mask, **others)


def _step_mask(*, mask_function: Callable[..., Any], device: torch.device, dtype: torch.dtype, use_vmap: bool = False, **_: Any) -> Tensor:
    """transformers' own mask function, evaluated where the tokens of a step stand: added to the scores, (R, 1, 1, K)."""
    cache = _current.get()
    num = len(cache.places_R)
    visible = sdpa_mask(
        batch_size=1,
        q_length=num,
        kv_length=cache.longest,
        q_offset=cache.places_R - torch.arange(num, device=device),  # type: ignore[arg-type]  # added to 0, 1, 2, ...
        mask_function=mask_function,
        allow_is_causal_skip=False,
        allow_is_bidirectional_skip=False,
        use_vmap=use_vmap,
        device=device,
    )
    assert visible is not None  # no skip was allowed
    return _added(visible[0, 0], dtype)


def _added(visible_RK: Tensor, dtype: torch.dtype) -> Tensor:
    zeros = torch.zeros(visible_RK.shape, dtype=dtype, device=visible_RK.device)
    return zeros.masked_fill_(~visible_RK, float("-inf"))[:, None, None]


def _own_mask(cache: Cache, sliding_window: int | None, dtype: torch.dtype) -> Tensor:
    """For a model that makes no mask itself and only names its attention's window."""
    distance_RK = cache.places_R[:, None] - torch.arange(cache.longest, device=cache.places_R.device)
    visible = distance_RK >= 0
    return _added(visible if sliding_window is None else visible & (distance_RK < sliding_window), dtype)


def _cached_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function for a step: query (1, h, R, d), key and value (1, k, R, d) -> (1, R, h, d).

    Other arguments are those that the packed attention took when the prompts were read.
    """
    cache, own = _current.get(), kernels()
    mask = _own_mask(cache, sliding_window, query.dtype) if attention_mask is None else attention_mask.to(query.dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    is_plain = softcap is None and s_aux is None and mask.shape[1:3] == (1, 1) and mask.is_contiguous()
    if own is not None and is_plain and own.can_attend(query, key, value):
        return own.attention_step(query, key, value, cache.places_R, mask[:, 0, 0], *cache.next_layer(), scale)[None], None
    keys, values = cache.keep_step(key, value)
    # The heads that share a key head stand as its queries: nothing is repeated.
    grouped = query[0].transpose(0, 1).reshape(query.shape[2], key.shape[1], -1, query.shape[3])
    attended = attend(grouped, keys, values, mask, False, scale, 0.0, softcap, s_aux)
    return attended.flatten(1, 2)[None], None


AttentionInterface.register(_READING, _reading_attention)
AttentionMaskInterface.register(_READING, segment_mask)
AttentionInterface.register(_CACHED, _cached_attention)
AttentionMaskInterface.register(_CACHED, _step_mask)
