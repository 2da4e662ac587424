"""Recurrent encoder-decoders with attention, as a model of transformers: one layer stack reads a source in both directions, another writes and looks back at it.

    e_ti = h_t^T W s_i                     multiplicative        (Luong et al. 2015, eq. 8, "general")
    e_ti = v^T tanh(W h_t + U s_i)         additive              (Bahdanau et al. 2015, appendix A.1.2)
    a_t  = tanh(C [sum_i softmax(e_t)_i s_i ; h_t])              (Luong et al. 2015, eq. 5), which the vocabulary head reads

h_t is the decoder's state at a target token, s_i the encoder's at a source token. Scores of either kind are of the decoder's own state, so that all
tokens of a target are computed at once.

B rows    L tokens of a target    S tokens of a source    H width

Sources: Bahdanau, Cho, Bengio (2015), https://arxiv.org/abs/1409.0473; Luong, Pham, Manning (2015), https://arxiv.org/abs/1508.04025.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import ModelOutput

from tunesmith.model.networks.recurrent import RecurrentLayer, State, WritesByState, begin_layer

__all__ = ["AttendingConfig", "AttendingForConditionalGeneration", "AttendingModel", "Attention"]


class AttendingConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Sizes of an encoder-decoder."""

    model_type = "tunesmith-attending"

    cell: str = "lstm"
    attention: str = "multiplicative"
    vocab_size: int = 8000
    embedding_size: int = 128
    hidden_size: int = 256
    num_hidden_layers: int = 1
    """Of the encoder, each in both directions, and of the decoder."""
    dropout: float = 0.0
    is_encoder_decoder: bool = True
    decoder_start_token_id: int | None = None


@dataclass
class AttendingOutput(ModelOutput):
    """What either half, or the whole, says."""

    last_hidden_state: Tensor | None = None
    logits: Tensor | None = None
    loss: Tensor | None = None
    state: State | None = None
    """What the layers remember after the last token."""


class Attention(nn.Module):
    """What a decoder's state takes from a source."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False) if kind == "additive" else None
        self.score = nn.Linear(width, 1, bias=False) if kind == "additive" else None
        self.combine = nn.Linear(2 * width, width, bias=False)

    def forward(self, states_BLH: Tensor, source_BSH: Tensor, mask_BS: Tensor) -> Tensor:
        """Attentional states, (B, L, H).

        Args:
            mask_BS: true where the source has a token.
        """
        query_BLH = self.query(states_BLH)
        if self.key is None or self.score is None:
            scores_BLS = query_BLH @ source_BSH.transpose(1, 2)
        else:
            scores_BLS = self.score(torch.tanh(query_BLH[:, :, None] + self.key(source_BSH)[:, None])).squeeze(-1)
        weights_BLS = scores_BLS.masked_fill(~mask_BS[:, None], float("-inf")).softmax(-1)
        return torch.tanh(self.combine(torch.cat([weights_BLS @ source_BSH, states_BLH], -1)))


class AttendingPreTrainedModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """What all classes have in common."""

    config_class = AttendingConfig
    base_model_prefix = "model"

    def _init_weights(self, module: nn.Module) -> None:
        """Embeddings begin uniform up to 0.1, cells and linear layers uniform up to 1 / sqrt(width), biases of the latter zero."""
        if isinstance(module, nn.Embedding):
            init.uniform_(module.weight, -0.1, 0.1)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, RecurrentLayer):
            begin_layer(module)

    def get_input_embeddings(self) -> nn.Module:
        """The embedding that sources and targets share."""
        holder: Any = self.get_submodule(self.base_model_prefix) if hasattr(self, self.base_model_prefix) else self
        found: nn.Module = holder.embedding
        return found

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another embedding."""
        holder: Any = self.get_submodule(self.base_model_prefix) if hasattr(self, self.base_model_prefix) else self
        holder.embedding = value


class _TwoWays(nn.Module):
    """A layer that reads rows in both directions."""

    def __init__(self, cell: str, num_inputs: int, width: int) -> None:
        super().__init__()
        self.onward = RecurrentLayer(cell, num_inputs, width // 2, 0.0)
        self.back = RecurrentLayer(cell, num_inputs, width // 2, 0.0)

    def forward(self, x: Tensor, lengths_B: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(B, S, width), and what both directions remember when they have read a row."""
        onward, after = self.onward(x, lengths_B)
        mirror_BS = _mirrored(lengths_B, x.shape[1])
        back, before = self.back(_take(x, mirror_BS), lengths_B)
        memory = tuple(torch.cat(pair, -1) for pair in zip(after, before, strict=True))
        return torch.cat([onward, _take(back, mirror_BS)], -1), memory


def _mirrored(lengths_B: Tensor, num_places: int) -> Tensor:
    """For each place of a row the one that it has when the row's tokens are read from the end; padding stays."""
    places = torch.arange(num_places, device=lengths_B.device)[None]
    return torch.where(places < lengths_B[:, None], lengths_B[:, None] - 1 - places, places)


def _take(x_BSH: Tensor, places_BS: Tensor) -> Tensor:
    return x_BSH.gather(1, places_BS[:, :, None].expand_as(x_BSH))


class AttendingEncoder(AttendingPreTrainedModel):  # type: ignore[no-untyped-call]
    """Reads a source."""

    def __init__(self, config: AttendingConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        inputs = [config.embedding_size, *[config.hidden_size] * (config.num_hidden_layers - 1)]
        self.layers = nn.ModuleList(_TwoWays(config.cell, num, config.hidden_size) for num in inputs)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, inputs_embeds: Tensor | None = None, **_: Any
    ) -> AttendingOutput:
        """States of the source's tokens. `attention_mask`: ones where a row has its tokens, from the left on; None: everywhere."""
        x = self.embedding(input_ids) if inputs_embeds is None else inputs_embeds
        lengths_B = x.new_full((len(x),), x.shape[1], dtype=torch.long) if attention_mask is None else attention_mask.sum(1).clamp(min=1)
        state: State = []
        for layer in self.layers:
            x, memory = layer(F.dropout(x, self.config.dropout, self.training), lengths_B)
            state.append(memory)
        return AttendingOutput(last_hidden_state=x, state=state)


class AttendingDecoder(AttendingPreTrainedModel):  # type: ignore[no-untyped-call]
    """Goes on with a target, and looks back at the source."""

    def __init__(self, config: AttendingConfig, embedding: nn.Embedding) -> None:
        super().__init__(config)
        self.embedding = embedding
        inputs = [config.embedding_size, *[config.hidden_size] * (config.num_hidden_layers - 1)]
        self.layers = nn.ModuleList(RecurrentLayer(config.cell, num, config.hidden_size, 0.0) for num in inputs)
        self.attention = Attention(config.hidden_size, config.attention)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self, input_ids: Tensor, source_BSH: Tensor, mask_BS: Tensor, state: State, inputs_embeds: Tensor | None = None
    ) -> AttendingOutput:
        """Attentional states of the target's tokens. `state`: what the encoder remembers of the source, or this of the tokens before."""
        x = self.embedding(input_ids) if inputs_embeds is None else inputs_embeds
        after: State = []
        for layer, memory in zip(self.layers, state, strict=True):
            x, remembered = layer(F.dropout(x, self.config.dropout, self.training), None, memory)
            after.append(remembered)
        attended = self.attention(x, source_BSH, mask_BS)
        return AttendingOutput(last_hidden_state=F.dropout(attended, self.config.dropout, self.training), state=after)


class AttendingModel(AttendingPreTrainedModel):  # type: ignore[no-untyped-call]
    """Both halves, below the vocabulary head."""

    _tied_weights_keys = {"decoder.embedding.weight": "encoder.embedding.weight"}  # noqa: RUF012  (as transformers reads it)

    def __init__(self, config: AttendingConfig) -> None:
        super().__init__(config)
        self.encoder = AttendingEncoder(config)
        self.decoder = AttendingDecoder(config, self.encoder.embedding)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module:
        """The embedding that sources and targets share."""
        return self.encoder.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another embedding, of both halves."""
        self.encoder.embedding = self.decoder.embedding = value  # type: ignore[assignment]

    def get_encoder(self, *_: Any, **__: Any) -> nn.Module:
        """The half that reads."""
        return self.encoder

    def get_decoder(self, *_: Any, **__: Any) -> nn.Module:
        """The half that writes."""
        return self.decoder

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: Any = None,
        inputs_embeds: Tensor | None = None,
        state: State | None = None,
        **_: Any,
    ) -> AttendingOutput:
        """States of the target's tokens.

        Args:
            input_ids, attention_mask: the source's tokens, from the left on, and ones where a row has them.
            encoder_outputs: what the encoder said of them, where it was asked before.
            state: what the decoder remembers of the tokens before `decoder_input_ids`.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask, inputs_embeds)
        source_BSH = encoder_outputs.last_hidden_state
        mask_BS = source_BSH.new_ones(source_BSH.shape[:2]) if attention_mask is None else attention_mask
        assert decoder_input_ids is not None, "a decoder goes on from a token"
        return self.decoder(decoder_input_ids, source_BSH, mask_BS.bool(), encoder_outputs.state if state is None else state)  # type: ignore[no-any-return]


class AttendingForConditionalGeneration(WritesByState, AttendingPreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """Both halves with a vocabulary head."""

    _tied_weights_keys = {"model.decoder.embedding.weight": "model.encoder.embedding.weight"}  # noqa: RUF012  (as transformers reads it)

    def __init__(self, config: AttendingConfig) -> None:
        super().__init__(config)
        self.model = AttendingModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module:
        """The embedding that sources and targets share."""
        found: nn.Module = self.model.get_input_embeddings()
        return found

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another embedding, of both halves."""
        self.model.set_input_embeddings(value)

    def get_encoder(self, *_: Any, **__: Any) -> nn.Module:
        """The half that reads."""
        half: nn.Module = self.model.encoder
        return half

    def get_decoder(self, *_: Any, **__: Any) -> nn.Module:
        """The half that writes."""
        half: nn.Module = self.model.decoder
        return half

    def forward(self, *args: Any, labels: Tensor | None = None, **kwargs: Any) -> AttendingOutput:
        """Logits of the token after each of the target's, (B, L, V); arguments as the network has them."""
        output: AttendingOutput = self.model(*args, **kwargs)
        assert output.last_hidden_state is not None
        output.logits = self.lm_head(output.last_hidden_state)
        if labels is not None:
            output.loss = F.cross_entropy(output.logits.flatten(0, 1), labels.flatten())
        return output

    def prepare_inputs_for_generation(  # type: ignore[override]
        self,
        decoder_input_ids: Tensor,
        state: State | None = None,
        attention_mask: Tensor | None = None,
        encoder_outputs: Any = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Of a target that was written before, the last token alone; all of it where nothing may be remembered."""
        known = state if use_cache else None
        tokens = decoder_input_ids if known is None else decoder_input_ids[:, -1:]
        return {"decoder_input_ids": tokens, "state": known, "attention_mask": attention_mask, "encoder_outputs": encoder_outputs}


AutoConfig.register(AttendingConfig.model_type, AttendingConfig)
AutoModel.register(AttendingConfig, AttendingModel)
AutoModelForSeq2SeqLM.register(AttendingConfig, AttendingForConditionalGeneration)
