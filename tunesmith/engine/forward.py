"""The model as objectives see it: one module that owns the trunk and the heads, over a packed stream or over padded rows.

T tokens of the stream    S segments    N scored positions    A answers    H hidden size    V vocabulary
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tunesmith.core.allocator import keep_freed_memory
from tunesmith.core.batch import Batch, Stream
from tunesmith.core.errors import MethodError
from tunesmith.core.types import ModelFacts
from tunesmith.core.virtual import VirtualTokens, prefixes
from tunesmith.engine import likelihood
from tunesmith.engine.attention import PACKED
from tunesmith.engine.features import FrozenFeatures
from tunesmith.engine.kernels.dropout import use_fast_dropout
from tunesmith.engine.kernels.frozen import Int8Linear, RoundedWeights, quantize_frozen
from tunesmith.engine.kernels.gated import run_gates_again, use_fast_gates
from tunesmith.engine.kernels.linear import is_linear, use_fast_linear
from tunesmith.engine.kernels.linear_cross_entropy import linear_cross_entropy, positions_at_a_time
from tunesmith.engine.kernels.linear_log_probability import linear_log_probability
from tunesmith.engine.kernels.lora import fuse_lora
from tunesmith.engine.kernels.norm import use_fast_norms
from tunesmith.engine.kernels.quantized import QuantizedLayer
from tunesmith.engine.kernels.rotary import use_fast_rotations
from tunesmith.engine.laid_out import Ran, at_places, run_packed, run_padded
from tunesmith.engine.recomputing import checkpointed_layers, recomputed
from tunesmith.engine.reference import Reference
from tunesmith.engine.sampling import Sampling
from tunesmith.engine.virtual import cache_of, extended

__all__ = ["PackedForward", "Paths"]


@dataclass(frozen=True, slots=True)
class Paths:
    """How a model is run, as the probe found it, and why."""

    attention: Literal["packed", "padded"]
    attention_reason: str
    head: Literal["fused", "model", "none"]
    """fused: hidden states times the head's matrix equal the model's own logits; model: the model makes its logits itself."""
    head_reason: str


class UsedInTraining(Protocol):
    """Code that stands in for the trunk's own inside a block."""

    def used(self) -> contextlib.AbstractContextManager[None]:
        """The block."""


class StandsBelow(Protocol):
    """What the lowest layers of the trunk say of a batch, in their place inside a block."""

    def used(self, batch: Batch, run: Callable[[Batch], object]) -> contextlib.AbstractContextManager[None]:
        """The block.

        Args:
            run: runs the trunk over rows that are not known yet.
        """


class PackedForward(nn.Module):
    """Implements `core.types.Forward`. DDP or FSDP may wrap it: every parameter lives in `trunk` or `heads`."""

    def __init__(
        self, trunk: nn.Module, heads: Mapping[str, nn.Module], facts: ModelFacts, paths: Paths, autocast: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleDict(heads)
        self.facts = facts
        self.paths = paths
        self.features: FrozenFeatures | None = None
        self.kept: StandsBelow | None = None
        self.compiled: UsedInTraining | None = None
        self.reference: Reference | None = None
        self.drops_out = True
        """Whether the trunk's dropout acts while it trains."""
        self._once: tuple[Batch, Tensor | None] | None = None
        self.recomputed: Sequence[nn.Module] = ()
        """Layers that keep what they read only, and run again in the backward pass."""
        self.caches_exactly: bool | None = None
        """Whether it can generate with cached keys and values; None: not tried yet."""
        self.decoding: Sampling | None = None
        """How answers are drawn where nobody says; None: always the most likely token."""
        self.penalties = list[Tensor]()
        """What the trunk would have added to the loss for what it read in training, each a sum over tokens; whoever makes the loss takes them out."""
        self.virtual: VirtualTokens | None = None
        self.prefixes: Sequence[nn.Module] = ()
        self._autocast = autocast

    @property
    def device(self) -> torch.device:
        """Where the trunk's weights are."""
        return next(self.trunk.parameters()).device

    @property
    def computes_in(self) -> torch.dtype:
        """What the products of the layers are made of."""
        return self._autocast or next(self.trunk.parameters()).dtype

    def use_fused_layers(self) -> int:
        """Let adapters, linear layers, norms, gates, rotations and dropout in the trunk run our way where that is exact; call it after a method was applied too.

        Returns: how many adapters do.
        """
        keep_freed_memory()
        use_fast_dropout(self.trunk)
        use_fast_linear(self.trunk)
        use_fast_norms(self.trunk)
        use_fast_gates(self.trunk)
        use_fast_rotations(self.trunk)
        return fuse_lora(self.trunk)

    def use_virtual_tokens(self, num: int) -> None:
        """Let so many learned tokens stand before every sequence; call it after a method put them on the trunk.

        A causal model's do not depend on what follows, nor does a prefix: they are computed once a stream.
        """
        self.prefixes = tuple(prefixes(self.trunk))
        if self.prefixes and self.paths.attention != "packed" and not self.facts.is_causal:
            raise MethodError(
                f"method: an encoder takes a prefix only where its attention is packed, and here it is padded ({self.paths.attention_reason}). Use prompt."
            )
        is_shared = self.facts.is_causal or bool(self.prefixes)
        self.virtual = VirtualTokens(num, is_shared) if num else None
        self.caches_exactly = None

    @property
    def virtual_ids(self) -> tuple[int, ...]:
        """The ids of its virtual tokens, in the order in which they stand before a sequence."""
        return self.virtual.ids if self.virtual else ()

    def use_int8_base(self, rounded: RoundedWeights | None = None) -> int:
        """Keep the frozen linear layers of the trunk in int8 only; call it after `use_fused_layers`. Arguments as `quantize_frozen` has them. Returns: how many there are."""
        return quantize_frozen(self.trunk, rounded)

    @property
    def is_rounded(self) -> bool:
        """Whether some of its products are made in int8."""
        return any(isinstance(module, Int8Linear) for module in self.trunk.modules())

    @property
    def quantized_layers(self) -> list[QuantizedLayer]:
        """The layers of the trunk whose weights are kept in few bits."""
        return [module for module in self.trunk.modules() if isinstance(module, QuantizedLayer)]

    def nll(self, batch: Batch) -> Tensor:
        """Weighted sum over the targets of -log p(label), nats, scalar."""
        head = self._plain_head()
        if head is not None:
            return linear_cross_entropy(self._read_by(head, batch), head.weight, head.bias, batch.labels_N, batch.weights_N)
        logprobs, _ = self.logprobs(batch, with_entropy=False)
        return -(logprobs * batch.weights_N).sum()

    def logprobs(self, batch: Batch, *, with_entropy: bool = True) -> tuple[Tensor, Tensor]:
        """Log-probability of each label and entropy of its distribution, nats, each (N,); zeros for the latter where it is not wanted.

        The gradient of the entropies is made if one comes back to them: one that is only reported takes none.
        """
        head = self._plain_head()
        if head is not None:
            return linear_log_probability(self._read_by(head, batch), head.weight, head.bias, batch.labels_N, with_entropy=with_entropy)
        return self.at_labels(batch, likelihood.with_entropy if with_entropy else likelihood.alone)

    def at_labels(self, batch: Batch, read: likelihood.Read) -> tuple[Tensor, Tensor]:
        """What `read` finds at the scored positions, from logits that are made a few at a time."""
        with self._precision():
            if self.paths.head != "fused":
                return read(self._own_logits(batch), batch.labels_N)
            hidden_NH = self.hidden(batch)[batch.predict_N]
            head, chunk = self._vocabulary_head(), positions_at_a_time(self.facts.vocab_size, hidden_NH.device)
            parts = []
            for start in range(0, max(1, len(hidden_NH)), chunk):
                part, labels = hidden_NH[start : start + chunk], batch.labels_N[start : start + chunk]
                if torch.is_grad_enabled():  # logits are made again in the backward pass rather than kept
                    parts.append(checkpoint(lambda h, y: read(head(h), y), part, labels, use_reentrant=False))
                else:
                    parts.append(read(head(part), labels))
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])

    def head(self, name: str, batch: Batch, at: Literal["answer", "target"] = "answer") -> Tensor:
        """Outputs of the head `name`: (A, outputs) read from whole segments, or (N, outputs) at the scored positions, float32."""
        if at == "target":
            return self.heads[name].at_positions(self._states(batch), batch.predict_N)  # type: ignore[operator,no-any-return]
        return self.read(name, self.pooled(name, batch))

    def pooled(self, name: str, batch: Batch) -> Tensor:
        """The vector of each answer that the head `name` reads, (A, H), in at least float32."""
        head: Any = self.heads[name]
        if self.features is None:
            return self._pooled(head, batch)
        return self.features.of(batch, head.pooling, lambda part: self._pooled(head, part))

    def read(self, name: str, vectors: Tensor) -> Tensor:
        """Outputs of the head `name` for vectors (n, H), (n, outputs), float32."""
        return self.heads[name].read(vectors)  # type: ignore[operator,no-any-return]

    def _pooled(self, head: Any, batch: Batch) -> Tensor:
        return head.pool(self._states(batch), batch.stream.bounds, batch.segments_A)  # type: ignore[no-any-return]

    def _states(self, batch: Batch) -> Tensor:
        """What heads read: hidden states, in at least float32."""
        with self._precision():
            hidden = self.hidden(batch)
        return hidden.float() if hidden.dtype in (torch.bfloat16, torch.float16) else hidden

    def keep_reference(self) -> None:
        """Remember the model as it is now: what trains is copied."""
        self.reference = Reference(self)

    @contextlib.contextmanager
    def as_reference(self) -> Iterator[None]:
        """Inside the block the model is what `keep_reference` found, without gradients and dropout."""
        assert self.reference is not None, "keep_reference was not called"
        with self.reference.used():
            yield

    def keep_features(self) -> None:
        """Where nothing in the trunk trains: run it without dropout, each row once, and keep what the heads read of it."""
        if not any(p.requires_grad for p in self.trunk.parameters()):
            self.features = FrozenFeatures()

    def recompute_layers(self) -> int:
        """Let the trunk's layers keep what they read only, and run again in the backward pass. Returns: how many do."""
        if self.paths.attention != "packed" and self.prefixes:  # a layer that runs again would write to its cache again
            return 0
        self.recomputed = checkpointed_layers(self.trunk, is_encoder_decoder=self.facts.is_encoder_decoder)
        return len(self.recomputed)

    def recompute_feed_forward(self, *, on: bool = True) -> int:
        """Let the gated feed-forward parts of the trunk, where they run fused, keep nothing of their width, and make it again in the backward pass. Returns: how many do."""
        return run_gates_again(self.trunk, on=on)

    def train(self, mode: bool = True) -> Self:
        """Training mode, in which a trunk whose features are kept, or that drops nothing out, stays as in evaluation."""
        super().train(mode)
        if self.features is not None or not self.drops_out:
            self.trunk.eval()
        return self

    @contextlib.contextmanager
    def once(self, batch: Batch) -> Iterator[None]:
        """Inside the block the trunk runs for `batch` once, whatever is read of its hidden states; a model that makes its logits itself runs for them beside."""
        self._once = batch, None
        try:
            yield
        finally:
            self._once = None

    def hidden(self, batch: Batch) -> Tensor:
        """Last hidden states of the stream, (T, H), in the order of its tokens."""
        if self._once is None or self._once[0] is not batch:
            return self._last(batch)
        if self._once[1] is None:
            self._once = batch, self._last(batch)
        states_TH = self._once[1]
        assert states_TH is not None
        return states_TH

    def _last(self, batch: Batch) -> Tensor:
        if not (self.facts.is_encoder_decoder and self.facts.has_lm_head):
            return self._run(self._body(), batch).last_hidden_state_TH
        with _told_by(self.trunk, self.trunk.get_decoder()):  # type: ignore[operator]
            return self._run(self.trunk, batch).last_hidden_state_TH

    def _body(self) -> nn.Module:
        """The model below its vocabulary head."""
        has_head = self.facts.has_lm_head and not self.facts.is_encoder_decoder
        return self.trunk.base_model if has_head else self.trunk  # type: ignore[return-value]

    def _vocabulary_head(self) -> nn.Module:
        return self.trunk.get_output_embeddings()  # type: ignore[operator,no-any-return]

    def _plain_head(self) -> nn.Linear | None:
        """The vocabulary head, where its matrix and bias are all that there is between hidden states and logits: no adapter, no few bits."""
        head = self._vocabulary_head() if self.paths.head == "fused" else None
        return head if isinstance(head, nn.Linear) and is_linear(head) else None

    def _read_by(self, head: nn.Linear, batch: Batch) -> Tensor:
        """Hidden states at the scored positions, (N, H), as the products with the head take them."""
        with self._precision():
            hidden_NH = self.hidden(batch)[batch.predict_N]
        return hidden_NH.to(self._autocast or head.weight.dtype)

    def _precision(self) -> Any:
        return torch.autocast(self.device.type, dtype=self._autocast, enabled=self._autocast is not None)

    def next_logits(self, stream: Stream, implementation: str = PACKED) -> Tensor:
        """Logits of the token after each segment, (S, V), of a language model that runs packed, by an attention implementation."""
        last_S = torch.tensor(stream.bounds[1:], device=self.device) - 1
        if self.paths.head != "fused":
            return run_packed(self.trunk, stream, self.facts, implementation, {"logits_to_keep": last_S} | self._places(stream)).logits_LV
        hidden_TH = run_packed(self._body(), stream, self.facts, implementation, self._places(stream)).last_hidden_state_TH
        return self._vocabulary_head()(hidden_TH[last_S])  # type: ignore[no-any-return]

    def _own_logits(self, batch: Batch) -> Tensor:
        """The model's own logits at the scored positions, (N, V)."""
        if self.paths.attention == "packed" and not self.facts.is_causal:
            with _only_at(self._body(), *self._scored(batch)):
                return self._run(self.trunk, batch).logits_LV
        if self.paths.attention == "packed":
            logits_to_keep = {"logits_to_keep": batch.predict_N}
            return self._run(self.trunk, batch, **logits_to_keep).logits_LV
        return self._run(self.trunk, batch).logits_LV[batch.predict_N]

    def _run(self, module: nn.Module, batch: Batch, **arguments: Any) -> Ran:
        is_packed = self.paths.attention == "packed"
        with contextlib.ExitStack() as stack:
            if self.kept is not None:
                stack.enter_context(self.kept.used(batch, lambda part: self._computed(self._body(), part, {})))
            if self.training and torch.is_grad_enabled():
                if self.compiled is not None:
                    stack.enter_context(self.compiled.used())
                if self.recomputed:
                    stack.enter_context(recomputed(self.recomputed, batch.stream.longest if is_packed else None))
            ran = self._computed(module, batch, arguments)
        if self.training and torch.is_grad_enabled() and len(ran.penalty_T):
            self.penalties.append(ran.penalty_T.sum())
        return ran

    def _scored(self, batch: Batch) -> tuple[int, Tensor]:
        """Tokens of the stream as it is computed, and where in it those stand that are scored."""
        if self.virtual is None:
            return batch.stream.num_tokens, batch.predict_N
        stream, places_T = extended(batch.stream, self.virtual)
        return stream.num_tokens, places_T[batch.predict_N]

    def _computed(self, module: nn.Module, batch: Batch, arguments: dict[str, Any]) -> Ran:
        if self.virtual is not None:
            return self._with_virtual(module, batch, arguments, self.virtual)
        if self.paths.attention != "packed":
            return run_padded(module, batch, arguments)
        return run_packed(module, batch.stream, batch.facts, PACKED, arguments)

    def _with_virtual(self, module: nn.Module, batch: Batch, arguments: dict[str, Any], virtual: VirtualTokens) -> Ran:
        is_packed = self.paths.attention == "packed"
        if not is_packed and self.prefixes:
            past = cache_of(self.prefixes, len(batch.stream.parents), self.computes_in)
            return run_padded(module, batch, {**arguments, "past_key_values": past})
        if batch.source is not None:
            return run_padded(module, replace(batch, source=extended(batch.source, virtual)[0]), arguments)
        stream, places_T = extended(batch.stream, virtual)
        if "logits_to_keep" in arguments:
            arguments["logits_to_keep"] = places_T[arguments["logits_to_keep"]]
        if is_packed:
            ran = run_packed(module, stream, batch.facts, PACKED, arguments | self._places(stream))
            return Ran(at_places(ran.last_hidden_state_TH, places_T), ran.logits_LV, ran.penalty_T)
        ran = run_padded(module, replace(batch, stream=stream), arguments)
        return Ran(at_places(ran.last_hidden_state_TH, places_T), at_places(ran.logits_LV, places_T), ran.penalty_T)

    def _places(self, stream: Stream) -> dict[str, Tensor]:
        """Where in a stream the learned prefix stands, as attention layers take it."""
        if not self.prefixes:
            return {}
        places = (stream.tokens_T < 0).nonzero()[:, 0]
        return {"virtual_places": places} if len(places) else {}


@contextlib.contextmanager
def _told_by(model: nn.Module, decoder: nn.Module) -> Iterator[None]:
    """Let what `model` returns, an encoder-decoder with its vocabulary head, have the last hidden states of its decoder."""
    said = list[Tensor]()
    handles = [
        decoder.register_forward_hook(lambda module, arguments, output: said.append(output.last_hidden_state)),
        model.register_forward_hook(lambda module, arguments, output: setattr(output, "last_hidden_state", said[-1])),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _only_at(body: nn.Module, num_tokens: int, places_N: Tensor) -> Iterator[None]:
    """Let what reads the hidden states of `body`, over a stream of so many tokens, see those places alone: an encoder's vocabulary head takes no
    `logits_to_keep`.
    """

    def keep(module: nn.Module, arguments: Any, output: Any) -> Any:
        if output.last_hidden_state.shape[1] == num_tokens:  # else it runs for what is kept below, over other rows
            output.last_hidden_state = output.last_hidden_state[:, places_N]
        return output

    handle = body.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
