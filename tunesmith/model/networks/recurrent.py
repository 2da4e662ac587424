"""Recurrent language models: an embedding, layers of one kind of cell, and a vocabulary head, as a model of transformers.

With the dropouts and penalties of AWD-LSTM, each zero where it is not asked for. Cells are torch's own.

B rows    L tokens of a row    H width of a layer    V vocabulary    G gates of a cell

Source: Merity, Keskar, Socher (2018), "Regularizing and Optimizing LSTM Language Models", https://arxiv.org/abs/1708.02182, sections 3 and 4.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import ModelOutput

__all__ = [
    "RecurrentConfig",
    "RecurrentForCausalLM",
    "RecurrentLayer",
    "RecurrentModel",
    "State",
    "WritesByState",
    "begin_layer",
    "dropped_weight",
    "locked_dropout",
]

NUM_GATES = {"rnn": 1, "lstm": 4, "gru": 3}
_RUN = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}

State = list[tuple[Tensor, ...]]
"""What each layer remembers of its rows, (1, B, H): h, of an LSTM h and c."""


class RecurrentConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Sizes and dropouts of a recurrent network."""

    model_type = "tunesmith-recurrent"

    cell: str = "lstm"
    vocab_size: int = 8000
    embedding_size: int = 128
    inner_size: int = 256
    """Of every layer but the last."""
    hidden_size: int = 256
    """Of the last layer, which the vocabulary head and others read."""
    num_hidden_layers: int = 1
    locked: bool = False
    """Whether dropout draws one mask for all places of a row."""
    embedding_dropout: float = 0.0
    """Share of the words that are dropped, wherever they stand in the batch."""
    input_dropout: float = 0.0
    layer_dropout: float = 0.0
    output_dropout: float = 0.0
    weight_dropout: float = 0.0
    """Share of the hidden-to-hidden weights that are dropped."""
    activation_penalty: float = 0.0
    temporal_penalty: float = 0.0
    tie_word_embeddings: bool = False


@dataclass
class RecurrentOutput(ModelOutput):
    """What the network says of each token, and what it remembers after the last one."""

    last_hidden_state: Tensor | None = None
    logits: Tensor | None = None
    loss: Tensor | None = None
    state: State | None = None
    penalty: Tensor | None = None
    """Of each token, (B, L), what is added to the loss while it trains."""


def locked_dropout(x_BLH: Tensor, p: float) -> Tensor:
    """Dropout with one mask for all tokens of a row, scaled so that the mean stays. Source: section 4.2 (Gal and Ghahramani, 2016)."""
    keep_B1H = torch.full_like(x_BLH[:, :1], 1 - p).bernoulli() / (1 - p)
    return x_BLH * keep_B1H


def dropped_weight(weight_GH: Tensor, p: float) -> Tensor:
    """DropConnect: hidden-to-hidden weights, each gone for the whole pass with probability `p`, the others scaled. Source: section 2."""
    return F.dropout(weight_GH, p, training=True)


class RecurrentLayer(nn.Module):
    """One layer of torch's own cell."""

    def __init__(self, cell: str, num_inputs: int, width: int, weight_dropout: float) -> None:
        super().__init__()
        self.cell, self.width, self.weight_dropout = cell, width, weight_dropout
        gates = NUM_GATES[cell] * width
        self.weight_ih = nn.Parameter(torch.empty(gates, num_inputs))
        self.weight_hh = nn.Parameter(torch.empty(gates, width))
        self.bias_ih = nn.Parameter(torch.empty(gates))
        self.bias_hh = nn.Parameter(torch.empty(gates))

    def forward(
        self, x: Tensor, lengths_B: Tensor | None = None, memory: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read rows from left to right.

        Args:
            x: (B, L, inputs).
            lengths_B: how many tokens of each row count; None: all.
            memory: what the layer remembers of the rows' tokens before; None: nothing.
        Returns: (B, L, width), and what it remembers after each row's last token.
        """
        if memory is None:
            zeros = x.new_zeros(1, len(x), self.width)
            memory = (zeros, zeros) if self.cell == "lstm" else (zeros,)
        drops = self.training and self.weight_dropout > 0
        weight_hh = dropped_weight(self.weight_hh, self.weight_dropout) if drops else self.weight_hh
        weights = [self.weight_ih, weight_hh, self.bias_ih, self.bias_hh]
        before: Any = memory if self.cell == "lstm" else memory[0]
        run: Any = _RUN[self.cell]
        if lengths_B is None:
            output, *after = run(x, before, weights, True, 1, 0.0, self.training, False, True)
            return output, tuple(after)
        packed = pack_padded_sequence(x, lengths_B.cpu(), batch_first=True, enforce_sorted=False)
        order, back = packed.sorted_indices, packed.unsorted_indices
        sorted_before: Any = tuple(part[:, order] for part in memory) if self.cell == "lstm" else memory[0][:, order]
        data, *after = run(packed.data, packed.batch_sizes, sorted_before, weights, True, 1, 0.0, self.training, False)
        output, _ = pad_packed_sequence(PackedSequence(data, packed.batch_sizes, order, back), batch_first=True, total_length=x.shape[1])
        return output, tuple(part[:, back] for part in after)


def begin_layer(layer: RecurrentLayer) -> None:
    """Draw a layer's first weights as torch draws those of its cells."""
    bound = layer.width**-0.5
    for p in layer.parameters(recurse=False):
        init.uniform_(p, -bound, bound)


class RecurrentPreTrainedModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """What both classes have in common."""

    config_class = RecurrentConfig
    base_model_prefix = "model"
    _no_split_modules = ["RecurrentLayer"]  # noqa: RUF012  (as transformers reads it)

    @property
    def adds_penalties(self) -> bool:
        """Whether its outputs hold a `penalty` while it trains."""
        return bool(self.config.activation_penalty or self.config.temporal_penalty)

    def _init_weights(self, module: nn.Module) -> None:
        """Embeddings begin uniform up to 0.1, as in the paper, cells as torch begins them, uniform up to 1 / sqrt(width)."""
        if isinstance(module, nn.Embedding):
            init.uniform_(module.weight, -0.1, 0.1)
        elif isinstance(module, nn.Linear):
            init.uniform_(module.weight, -0.1, 0.1)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, RecurrentLayer):
            begin_layer(module)


class RecurrentModel(RecurrentPreTrainedModel):  # type: ignore[no-untyped-call]
    """The network below its vocabulary head."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        widths = [config.inner_size] * (config.num_hidden_layers - 1) + [config.hidden_size]
        inputs = [config.embedding_size, *widths]
        self.layers = nn.ModuleList(
            RecurrentLayer(config.cell, num_inputs, width, config.weight_dropout) for num_inputs, width in zip(inputs, widths, strict=False)
        )
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module:
        """The embedding."""
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another embedding."""
        self.embedding = value  # type: ignore[assignment]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        state: State | None = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> RecurrentOutput:
        """Hidden states of rows of tokens.

        Args:
            attention_mask: (B, L or more), ones where a row has its tokens, side by side; None: everywhere. Its last L columns are read.
            state: what the layers remember of the tokens before.
            use_cache: whether to say what they remember after these.
        """
        x = self._embedded(input_ids) if inputs_embeds is None else inputs_embeds
        shifted, lengths_B, places_BL = _to_the_left(x, attention_mask)
        x = self._dropped(shifted, self.config.input_dropout)
        after: State = []
        raw = x
        for number, layer in enumerate(self.layers):
            raw, memory = layer(x, lengths_B, None if state is None else state[number])
            after.append(memory)
            is_last = number == len(self.layers) - 1
            x = self._dropped(raw, self.config.output_dropout if is_last else self.config.layer_dropout)
        penalty_BL = self._penalty(raw, x) if self.training else None
        if places_BL is not None:
            x = x.gather(1, places_BL[:, :, None].expand_as(x))
            penalty_BL = None if penalty_BL is None else penalty_BL.gather(1, places_BL)
        return RecurrentOutput(last_hidden_state=x, state=after if use_cache else None, penalty=penalty_BL)

    def _embedded(self, ids_BL: Tensor | None) -> Tensor:
        """Vectors of tokens; in training, words are dropped wherever they stand. Source: section 4.3 (Gal and Ghahramani, 2016)."""
        assert ids_BL is not None, "a network reads tokens or their vectors"
        x: Tensor = self.embedding(ids_BL)
        p = self.config.embedding_dropout
        if not self.training or not p:
            return x
        keep_V = torch.full((self.embedding.num_embeddings,), 1 - p, dtype=x.dtype, device=x.device).bernoulli() / (1 - p)
        return x * torch.where(ids_BL < 0, 1.0, keep_V[ids_BL.clamp(min=0)])[:, :, None]  # ids below zero are learned tokens

    def _dropped(self, x_BLH: Tensor, p: float) -> Tensor:
        if not self.training or not p:
            return x_BLH
        return locked_dropout(x_BLH, p) if self.config.locked else F.dropout(x_BLH, p)

    def _penalty(self, raw_BLH: Tensor, dropped_BLH: Tensor) -> Tensor | None:
        """Activation and temporal activation regularization of each token: alpha mean((m h_t)^2) + beta mean((h_t - h_t-1)^2). Source: section 4.6."""
        if not self.adds_penalties:
            return None
        alpha, beta = self.config.activation_penalty, self.config.temporal_penalty
        steps_BL: Tensor = F.pad((raw_BLH[:, 1:] - raw_BLH[:, :-1]).square().mean(-1), (1, 0))
        penalty_BL: Tensor = alpha * dropped_BLH.square().mean(-1) + beta * steps_BL
        return penalty_BL


def _to_the_left(x_BLH: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Rows whose tokens begin at the left, how many each has, and where its tokens went; None for both where every place holds a token."""
    if mask is None or bool(mask[:, -x_BLH.shape[1] :].all()):
        return x_BLH, None, None
    held_BL = mask[:, -x_BLH.shape[1] :].bool()
    order_BL = (~held_BL).int().argsort(dim=1, stable=True)
    x_BLH = x_BLH.gather(1, order_BL[:, :, None].expand_as(x_BLH))
    return x_BLH, held_BL.sum(1).clamp(min=1), order_BL.argsort(dim=1)


class WritesByState:
    """What networks share that write by what they remember, through a vocabulary head; comes before a class of transformers."""

    _is_stateful = True
    lm_head: nn.Module

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # what is remembered is no keys and values

    def get_output_embeddings(self) -> nn.Module:
        """The vocabulary head."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Another head."""
        self.lm_head = new_embeddings


class RecurrentForCausalLM(WritesByState, RecurrentPreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """The network with a vocabulary head, whose matrix can be the embedding's."""

    _tied_weights_keys = {"lm_head.weight": "model.embedding.weight"}  # noqa: RUF012  (as transformers reads it)

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.model = RecurrentModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        state: State | None = None,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **_: Any,
    ) -> RecurrentOutput:
        """Logits of the token after each, (B, L, V), or of those places that `logits_to_keep` names; arguments as the network has them."""
        output = self.model(input_ids, attention_mask, inputs_embeds, state, use_cache)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        output.logits = self.lm_head(output.last_hidden_state[:, kept])
        if labels is not None:
            output.loss = F.cross_entropy(output.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return output  # type: ignore[no-any-return]

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: Tensor, state: State | None = None, attention_mask: Tensor | None = None, use_cache: bool | None = None, **_: Any
    ) -> dict[str, Any]:
        """Of rows that were read before, the last token alone."""
        tokens = input_ids if state is None else input_ids[:, -1:]
        return {"input_ids": tokens, "attention_mask": attention_mask, "state": state, "use_cache": use_cache}


AutoConfig.register(RecurrentConfig.model_type, RecurrentConfig)
AutoModel.register(RecurrentConfig, RecurrentModel)
AutoModelForCausalLM.register(RecurrentConfig, RecurrentForCausalLM)
