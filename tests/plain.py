"""transformers and autograd alone, as their users would call them: what the engine is held against."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tunesmith.core.types import ModelFacts, Row
from tunesmith.model.heads import Head

__all__ = ["Float64Kept", "plain_loss", "without_dropout"]


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
