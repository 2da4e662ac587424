"""transformers and autograd alone, as their users would call them: what the engine is held against."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tunesmith.core.batch import Batch, chains
from tunesmith.core.types import ModelFacts, Row
from tunesmith.model.heads import Head

__all__ = ["Float64Kept", "PlainForward", "plain_loss", "without_dropout"]


class Float64Kept(TorchFunctionMode):
    """Whoever asks for float32 is given float64: the casts that models' own code makes in norms, rotations, softmaxes and losses."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func = torch.Tensor.double if func is torch.Tensor.float else func
        wide = [torch.float64 if given is torch.float32 else given for given in args]
        return func(*wide, **{name: torch.float64 if given is torch.float32 else given for name, given in (kwargs or {}).items()})


def without_dropout(model: nn.Module) -> nn.Module:
    """The model with every dropout at zero, so that it may be set to training."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


def plain_loss(model: nn.Module, rows: Sequence[Row], facts: ModelFacts, head: Head | None = None) -> Tensor:
    """The mean loss over one padded batch: transformers' own for language models, cross-entropy of a linear layer for classifiers."""
    lengths = [row.num_tokens // (2 if facts.is_encoder_decoder else 1) for row in rows]
    tokens = torch.full((len(rows), max(lengths)), facts.pad_token_id)
    mask, labels = torch.zeros_like(tokens), torch.full_like(tokens, -100)
    for row, length, own_tokens, own_mask, own_labels in zip(rows, lengths, tokens, mask, labels, strict=True):
        own_tokens[:length] = torch.tensor(row.segments[0].tokens)
        own_mask[:length] = 1
        # a causal model shifts its labels itself, a decoder is given them in place
        own_labels[torch.tensor(row.targets.positions) + (0 if facts.is_encoder_decoder else 1)] = torch.tensor(row.targets.labels)
    if head is not None:
        return _classifier_loss(model(input_ids=tokens, attention_mask=mask).last_hidden_state, mask, rows, head)
    if facts.is_encoder_decoder:
        return model(input_ids=tokens, attention_mask=mask, decoder_input_ids=tokens, labels=labels).loss  # type: ignore[no-any-return]
    # What stands on the right of a causal model's row is never seen by it. Masked, a query in a window would have nothing to see.
    return model(input_ids=tokens, attention_mask=torch.ones_like(mask), labels=labels, use_cache=False).loss  # type: ignore[no-any-return]


def _classifier_loss(hidden: Tensor, mask: Tensor, rows: Sequence[Row], head: Head) -> Tensor:
    shown = mask[:, :, None].to(hidden.dtype)
    vectors = hidden[:, 0] if head.pooling == "first" else (hidden * shown).sum(1) / shown.sum(1)
    layer: Any = head.layers[0]
    return F.cross_entropy(F.linear(vectors, layer.weight, layer.bias), torch.tensor([row.values["label"][0] for row in rows]))


class PlainForward:
    """What objectives see of a model, from transformers and autograd alone: every segment, behind those that it continues, is read by itself. No encoder-decoders."""

    def __init__(self, model: nn.Module, heads: Mapping[str, Head], facts: ModelFacts) -> None:
        self._model, self._heads, self._facts = model, heads, facts

    def nll(self, batch: Batch) -> Tensor:
        return -(self.logprobs(batch)[0] * batch.weights_N).sum()

    def logprobs(self, batch: Batch, *, with_entropy: bool = True) -> tuple[Tensor, Tensor]:
        logprobs_NV = F.log_softmax(self._read(batch)[1][batch.predict_N], dim=-1)
        return logprobs_NV.gather(1, batch.labels_N[:, None])[:, 0], -(logprobs_NV.exp() * logprobs_NV).sum(-1)

    def head(self, name: str, batch: Batch, at: str = "answer") -> Tensor:
        return self.read(name, self._read(batch)[0][batch.predict_N] if at == "target" else self.pooled(name, batch))

    def pooled(self, name: str, batch: Batch) -> Tensor:
        own, pooling = torch.split(self._read(batch)[0], torch.tensor(batch.stream.bounds).diff().tolist()), self._heads[name].pooling
        return torch.stack([{"first": own[s][0], "last": own[s][-1], "mean": own[s].mean(0)}[pooling] for s in batch.segments_A.tolist()])

    def read(self, name: str, vectors: Tensor) -> Tensor:
        head, layer = self._heads[name], self._heads[name].layers[0]
        assert head.num_layers == 1
        said = F.linear(vectors, layer.weight, layer.bias)  # type: ignore[arg-type]
        return said * torch.tensor(head.scale, dtype=said.dtype) + torch.tensor(head.shift, dtype=said.dtype)

    def once(self, batch: Batch) -> AbstractContextManager[None]:
        return nullcontext()

    def as_reference(self) -> AbstractContextManager[None]:
        raise NotImplementedError("what it was before training is measured by the engine")

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Hidden states and logits of the stream, (T, H) and (T, V); of a model without logits its hidden states twice."""
        hidden, logits = list[Tensor](), list[Tensor]()
        segments = [segment for row in batch.rows for segment in row.segments]
        for own, chain in zip(segments, chains(batch.stream.parents), strict=True):
            tokens = [token for s in chain for token in segments[s].tokens]
            types = [kind for s in chain for kind in segments[s].token_types or (0,) * len(segments[s].tokens)]
            more = {"token_type_ids": torch.tensor([types])} if self._facts.has_token_types else {}
            said = self._model(input_ids=torch.tensor([tokens]), output_hidden_states=True, **more)
            hidden.append(said.hidden_states[-1][0, -len(own.tokens) :])
            logits.append(said.logits[0, -len(own.tokens) :] if "logits" in said else hidden[-1])
        return torch.cat(hidden), torch.cat(logits)
