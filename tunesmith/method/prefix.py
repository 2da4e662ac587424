"""Prefix tuning: every attention layer sees learned keys and values before those of the text.

    attention(q, [K_l; K], [V_l; V])        K_l, V_l: V x (key heads x head size) of layer l, trained

Every token of a text attends to the prefix, in every layer; the prefix attends to nothing. 2 x layers x V x key heads x head size trained
parameters, or with `prefix_projection` those of a network of two layers that makes them while they train.

Source: Li and Liang (2021), "Prefix-Tuning: Optimizing Continuous Prompts for Generation", https://arxiv.org/abs/2101.00190; without the network
Liu et al. (2022), "P-Tuning v2", https://arxiv.org/abs/2110.07602.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from peft import PrefixEncoder, PrefixTuningConfig
from torch import Tensor, nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.core.virtual import PREFIX
from tunesmith.method._blocks import attention_layers
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._virtual import (
    LearnedTokens,
    check_counts,
    embedding_of,
    load_vectors,
    save_vectors,
    shape_options,
    text_ids,
    writes_text,
)

__all__ = ["Prefix"]


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """Train keys and values that every attention layer sees before those of the text."""

    num_virtual_tokens: int = 20
    """Keys and values of each layer."""
    prefix_projection: bool = False
    """Whether a network of two layers makes them while they train: many more parameters, steadier with few rows."""
    encoder_hidden_size: int | None = None
    """Width of that network; none: that of a layer's keys."""
    init_text: str | None = None
    """A text that the prefix begins as: the keys and values that the model itself makes of it, repeated or cut to their number; of models that write
    text, without the projection. None: small numbers, drawn at random."""

    mergeable: ClassVar[bool] = False
    starts_at_base: ClassVar[bool] = False
    base_precision: ClassVar[BasePrecision] = "exact"
    learning_rate: ClassVar[float] = 1e-2

    def __post_init__(self) -> None:
        """Raises: MethodError, for an option out of its range."""
        check_counts(num_virtual_tokens=self.num_virtual_tokens, encoder_hidden_size=self.encoder_hidden_size)
        if self.init_text is not None and self.prefix_projection:
            raise MethodError("method.init_text: goes without method.prefix_projection, which makes the prefix itself. Drop one of them.")

    @property
    def virtual_tokens(self) -> int:
        """How many stand before every text."""
        return self.num_virtual_tokens

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk` and give every attention layer a learned prefix.

        Returns: one group with what makes the prefixes.
        Raises: MethodError, where tokens were added to the model, its attention takes no prefix, or `init_text` cannot be read.
        """
        refuse_new_tokens(trunk, "prefix")
        trunk.requires_grad_(False)
        config = self._config(trunk)
        layers = attention_layers(trunk, config.num_layers)
        device = embedding_of(trunk).weight.device
        encoder = PrefixEncoder(config).to(device)  # type: ignore[no-untyped-call]
        if not self.prefix_projection:
            with torch.no_grad():
                encoder.embedding.weight.normal_(std=_INITIAL_STD)
                if self.init_text is not None and device.type != "meta":
                    encoder.embedding.weight.copy_(self._of_text(trunk, self.init_text))
        learned = LearnedTokens.put_on(trunk, encoder, self.num_virtual_tokens, answers=False)
        for index, layer in enumerate(layers):
            setattr(layer, PREFIX, _OfLayer(learned, index, config.num_layers, config.num_attention_heads))
        return [ParamGroup("prefix", list(encoder.parameters()), weight_decay=None if self.prefix_projection else 0.0)]

    def _of_text(self, trunk: Any, text: str) -> Tensor:
        """The keys and values that the model makes of a text, (V, 2 x layers x keys of a layer)."""
        if not writes_text(trunk):
            raise MethodError("method.init_text: begins a prefix of a model that writes text, and this one does not. Leave it out.")
        ids = text_ids(trunk, text, "init_text")
        ids = (ids * -(-self.num_virtual_tokens // len(ids)))[: self.num_virtual_tokens]
        cache = trunk(input_ids=torch.tensor([ids], device=embedding_of(trunk).weight.device), use_cache=True).past_key_values
        parts = [x[0].transpose(0, 1).flatten(1) for layer in cache.layers for x in (layer.keys, layer.values)]
        return torch.cat(parts, 1)

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the prefixes in peft's format: what the network made, not the network."""
        save_vectors(trunk, LearnedTokens.of(trunk).vectors(), self._config(trunk), folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load prefixes that `save`, or peft, wrote. Raises: MethodError, where they do not fit."""
        config = self._config(trunk)
        shape = (self.num_virtual_tokens, 2 * config.num_layers * config.token_dim)
        LearnedTokens.of(trunk).fix(load_vectors(trunk, folder, config, shape).to(embedding_of(trunk).weight.device))

    def _config(self, trunk: Any) -> Any:
        """Raises: MethodError, where the model's keys are of no shape that peft's format can say."""
        config = trunk.config.get_text_config()
        if trunk.config.is_encoder_decoder or getattr(config, "kv_lora_rank", None):
            what = "encoder-decoders" if trunk.config.is_encoder_decoder else "compressed keys and values"
            raise MethodError(f"method: prefix does not fit models with {what} ({config.model_type}). Use prompt or lora.")
        options = shape_options(trunk, self.num_virtual_tokens)
        heads = options["num_attention_heads"]
        shares_one = getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", False)
        key_heads = 1 if shares_one else int(getattr(config, "num_key_value_heads", None) or heads)
        width = key_heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads)
        options |= {"num_attention_heads": key_heads, "token_dim": width}
        return PrefixTuningConfig(
            **options, encoder_hidden_size=self.encoder_hidden_size or width, prefix_projection=self.prefix_projection
        )


_INITIAL_STD = 0.02


class _OfLayer(nn.Module):
    """The part of the prefixes that one layer sees: two of the 2 x layers parts, side by side, that a row of them has."""

    def __init__(self, learned: LearnedTokens, index: int, num_parts: int, num_heads: int) -> None:
        super().__init__()
        self._learned = (learned,)  # in a tuple: the trunk holds it already
        self._index = index
        self._num_parts = num_parts
        self._num_heads = num_heads

    def forward(self) -> tuple[Tensor, Tensor]:
        """Keys and values, each (key heads, V, head size)."""
        encoder: Any = self._learned[0].encoder
        if getattr(encoder, "prefix_projection", False):
            first, activation, last = encoder.transform
            here = self._columns(last.out_features)
            both_VW = F.linear(activation(first(encoder.embedding.weight)), last.weight[here], last.bias[here])
        else:
            weight = encoder.weight if isinstance(encoder, nn.Embedding) else encoder.embedding.weight
            both_VW = weight[:, self._columns(weight.shape[1])]
        keys_hVd, values_hVd = both_VW.view(len(both_VW), 2, self._num_heads, -1).permute(1, 2, 0, 3)
        return keys_hVd, values_hVd

    def _columns(self, num: int) -> slice:
        width = num // self._num_parts
        return slice(self._index * width, (self._index + 1) * width)
