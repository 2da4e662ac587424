"""Layers below the first that trains run once a row: what leaves the highest of them is kept, and stands in for all of them from then on.

The model's own forward still makes positions, rotary embeddings and masks. Rows are known by their tokens; where a weight below changed,
everything is forgotten. Nothing is kept between runs.

T tokens    H hidden size
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.batch import Batch, collate
from tunesmith.core.errors import Interrupted, one_line
from tunesmith.core.layers import repeated_layers
from tunesmith.core.types import Row
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.layers import num_frozen_layers, standing_in
from tunesmith.engine.probe import near
from tunesmith.engine.row_store import RowStore, tokens_of

__all__ = ["Keeping", "KeptActivations", "keep_activations"]


class KeptActivations:
    """The hidden states that enter the first layer that trains, in place of the layers below inside `used()`."""

    def __init__(self, trunk: nn.Module, store: RowStore) -> None:
        layers = repeated_layers(trunk)
        self.num_layers = num_frozen_layers(layers)
        self._below, self._above = layers[: self.num_layers], layers[self.num_layers :]
        above = {id(p) for layer in self._above for p in layer.parameters()}
        self._weights = [p for p in trunk.parameters() if not p.requires_grad and id(p) not in above]
        self._version = self._counted()
        self.store = store

    @contextlib.contextmanager
    def used(self, batch: Batch, run: Callable[[Batch], object]) -> Iterator[None]:
        """Let every layer below answer with the states of the batch inside the block; `run` runs the trunk over rows that are not known yet."""
        if self._version != self._counted():
            self.store.clear()
            self._version = self._counted()
        keys, lengths = [tokens_of(row) for row in batch.rows], [row.num_tokens for row in batch.rows]
        states_TH = self.store.of(batch, keys, lengths, lambda part: self.computed(part, run))
        with standing_in(dict.fromkeys(self._below, lambda *_, **__: states_TH[None])):
            yield

    def computed(self, batch: Batch, run: Callable[[Batch], object]) -> Tensor:
        """What leaves the highest layer below, (T, H). Layers above are passed over."""
        found = list[Tensor]()
        last: Any = self._below[-1]

        def recorded(*args: Any, **kwargs: Any) -> Any:
            found.append(last._call_impl(*args, **kwargs))
            return found[-1]

        with standing_in({**dict.fromkeys(self._above, _passed), last: recorded}):
            run(batch)
        return found[-1][0]

    def _counted(self) -> int:
        """A number that grows with every change of a weight in place."""
        return sum(p._version for p in self._weights)


def _passed(hidden: Tensor, *_: Any, **__: Any) -> Tensor:
    return hidden


@dataclass(frozen=True, slots=True)
class Keeping:
    """What came of it."""

    reason: str
    """Why every layer runs each time; empty where the lowest run once a row."""
    num_layers: int


def keep_activations(forward: PackedForward, rows: Sequence[Row], store: RowStore) -> Keeping:
    """Run the trunk's layers below the first that trains once a row from now on, where `rows`, on which it is tried, give the same as without."""
    kept, was_training = KeptActivations(forward.trunk, store), forward.training
    reason = _why_not(forward, kept)
    if not reason:
        try:
            reason = _difference(forward, kept, collate(rows, forward.facts).to(forward.device))
        except Interrupted:
            raise
        except Exception as error:  # whatever a model's own code raises: its layers are not a chain of hidden states
            reason = one_line(error, 160)
        forward.train(was_training)
        store.clear()
    forward.kept = None if reason else kept
    return Keeping(reason, 0 if reason else kept.num_layers)


def _why_not(forward: PackedForward, kept: KeptActivations) -> str:
    if forward.paths.attention != "packed":
        return "its attention is padded"
    if getattr(forward.trunk.config, "layerdrop", 0):
        return "it leaves out layers at random while it trains"
    return "" if kept.num_layers else "its lowest layer trains"


def _difference(forward: PackedForward, kept: KeptActivations, batch: Batch) -> str:
    """How a model that starts above differs from the whole; empty where it does not."""
    in_training = kept.computed(batch, forward.train().hidden)
    if in_training.requires_grad:
        return "what stands below its layers trains"
    with torch.no_grad():
        if not near(in_training, kept.computed(batch, forward.eval().hidden), is_rounded=forward.is_rounded):
            return "layers that do not train drop out at random"
        whole = forward.hidden(batch)
        forward.kept = kept
        for row in batch.rows:  # one at a time: nothing that a layer leaves behind for a later one is right for the batch
            forward.hidden(collate([row], batch.facts).to(forward.device))
        return (
            "" if near(forward.hidden(batch), whole, is_rounded=forward.is_rounded) else "without the layers below its hidden states differ"
        )
