"""A small network of layers, one after the other, as a model of transformers: what a Keras file holds, and what `model.architecture: dense` makes.

It reads tokens (its first layer is an embedding) or a row of numbers (`inputs_embeds` of one position), and says one vector a row, which stands at every position of
`last_hidden_state`: however a head pools, it reads that vector. The layer that names classes is no part of it, but a head.

B rows    T positions    C numbers a position
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from tunesmith.model.networks._layers import Layer, Sequences, _Norm, _Recurrent, without_weights

__all__ = ["WITHOUT_WEIGHTS", "WITH_WEIGHTS", "LayeredConfig", "LayeredModel", "keeps_sequence", "length_after"]

WITH_WEIGHTS = ("Embedding", "Dense", "LayerNormalization", "Conv1D", "SimpleRNN", "LSTM", "GRU", "Bidirectional")
WITHOUT_WEIGHTS = ("Normalization", "Dropout", "Activation", "Flatten", "GlobalAveragePooling1D", "GlobalMaxPooling1D")
_EMBEDDING_RANGE = 0.05


class LayeredConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """The layers and what they read.

    layers: a mapping for each, `class` and settings by Keras's names, those of a standardization (`Normalization`) with its `mean` and `variance`.
    num_columns: numbers of a row; 0: it reads tokens. columns: their names, where they are known.
    input_length: tokens that every row is filled up to with token 0, where the network was made for one length; padding_side: where they stand.
    drops_padding: whether token 0, which unknown words are where the tokenizer has none for them, is left out of a row.
    """

    model_type = "tunesmith-layered"

    layers: list[dict[str, Any]] | None = None
    num_columns: int = 0
    columns: list[str] | None = None
    input_length: int | None = None
    max_position_embeddings: int | None = None
    padding_side: str = "left"
    drops_padding: bool = False
    vocab_size: int = 1
    hidden_size: int = 1
    num_hidden_layers: int = 1
    pad_token_id: int | None = 0

    @classmethod
    def of(cls, layers: Sequence[Mapping[str, Any]], **settings: Any) -> "LayeredConfig":
        """Of these layers, with the sizes that follow from them. Raises: ValueError, where the last of them says no vector a row."""
        embedding = layers[0] if layers and layers[0]["class"] == "Embedding" else None
        config = cls(
            layers=[dict(layer) for layer in layers],
            vocab_size=1 if embedding is None else embedding["input_dim"],
            max_position_embeddings=settings.get("input_length"),
            **settings,
        )
        with torch.device("meta"):
            network = LayeredModel(config)
        config.hidden_size, config.num_hidden_layers = network.width, max(1, len(network.layers))
        return config


class LayeredModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Layers with weights stand in `layers`, the lowest first, but for the embedding."""

    config_class = LayeredConfig
    base_model_prefix = "network"
    main_input_name = "input_ids"
    _supports_sdpa = True

    def __init__(self, config: LayeredConfig) -> None:
        super().__init__(config)
        specs = config.layers or []
        self.embedding: nn.Embedding | None = None
        self.layers = nn.ModuleList()
        width, is_sequence, length = config.num_columns, False, config.input_length
        for spec in specs:
            kind = spec["class"]
            if kind == "Embedding":
                self.embedding = nn.Embedding(spec["input_dim"], spec["output_dim"])
                width, is_sequence = spec["output_dim"], True
            elif kind in WITHOUT_WEIGHTS:
                if kind == "Flatten" and is_sequence:
                    if length is None:
                        raise ValueError("Flatten needs texts of one length, and its input has none")
                    width = width * length
                is_sequence = is_sequence and kind in ("Normalization", "Dropout", "Activation")
            else:
                layer = Layer(spec, width)
                self.layers.append(layer)
                if kind not in ("Dense", "LayerNormalization") and not is_sequence:
                    raise ValueError(f"{kind} reads sequences, and what stands before it says one vector")
                length = length_after(spec, length)
                width, is_sequence = layer.width, is_sequence and keeps_sequence(spec)
        if is_sequence:
            raise ValueError("the layer before the last one says a vector a word, and not one a text")
        self.width, self.shortest = width, _shortest(specs)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module | None:  # type: ignore[override]
        """Of tokens; None where it reads numbers."""
        return self.embedding

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, inputs_embeds: Tensor | None = None, **_: Any
    ) -> BaseModelOutput:
        """The vector of each row at all of its positions.

        Args:
            input_ids: (B, T), rows filled up on the right.
            attention_mask: (B, T), 1 where a row has a token; None: everywhere.
            inputs_embeds: (B, 1, C), the numbers of each row, where it reads numbers.
        """
        if self.embedding is None:
            if inputs_embeds is None:
                raise ValueError("this network reads numbers, and was given tokens")
            given, num_positions = Sequences(inputs_embeds[:, 0]), inputs_embeds.shape[1]
        else:
            assert input_ids is not None, "this network reads tokens"
            given, num_positions = self._embedded(input_ids, attention_mask), input_ids.shape[1]
        layers = iter(self.layers)
        for spec in self.config.layers:
            if spec["class"] in WITHOUT_WEIGHTS:
                given = without_weights(spec, given, is_training=self.training)
            elif spec["class"] != "Embedding":
                given = next(layers)(given)
        return BaseModelOutput(last_hidden_state=given.x[:, None].expand(-1, num_positions, -1))

    def _embedded(self, tokens_BT: Tensor, mask_BT: Tensor | None) -> Sequences:
        assert self.embedding is not None
        alive = torch.ones_like(tokens_BT, dtype=torch.bool) if mask_BT is None else mask_BT.bool()
        tokens, config = tokens_BT.masked_fill(~alive, 0), self.config
        if config.drops_padding:
            order = (tokens == 0).to(torch.int8).argsort(dim=1, stable=True)
            tokens = tokens.gather(1, order)
            alive = tokens != 0
        if config.input_length is not None:
            tokens, alive = _of_length(tokens, alive, config.input_length, on_left=config.padding_side == "left")
        elif tokens.shape[1] < self.shortest or not bool(alive[:, : self.shortest].all()):
            tokens = nn.functional.pad(tokens, (0, max(self.shortest - tokens.shape[1], 0)))
            alive = nn.functional.pad(alive, (0, tokens.shape[1] - alive.shape[1]))
            alive = alive | (torch.arange(tokens.shape[1], device=tokens.device) < self.shortest)
        mask = tokens != 0 if config.layers[0]["mask_zero"] else None
        return Sequences(self.embedding(tokens), alive, mask)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As Keras begins: Glorot's uniform matrices, orthogonal recurrent ones, biases of zero, and of one where an LSTM forgets."""
        if isinstance(module, nn.Embedding):
            nn.init.uniform_(module.weight, -_EMBEDDING_RANGE, _EMBEDDING_RANGE)
        elif isinstance(module, nn.Linear | nn.Conv1d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, _Norm):
            for vector, value in ((module.weight, 1.0), (module.bias, 0.0)):
                if vector is not None:
                    nn.init.constant_(vector, value)
        elif isinstance(module, _Recurrent):
            nn.init.xavier_uniform_(module.kernel)
            nn.init.orthogonal_(module.recurrent_kernel)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
                if module.kind == "LSTM":
                    module.bias[module.units : 2 * module.units] = 1.0


def _of_length(tokens_BT: Tensor, alive_BT: Tensor, length: int, *, on_left: bool) -> tuple[Tensor, Tensor]:
    """Rows of one length: filled up with token 0 on that side, a longer one cut at its end."""
    made = tokens_BT.new_zeros(len(tokens_BT), length)
    num_tokens_B = alive_BT.sum(1).clamp(max=length)
    places = torch.arange(length, device=tokens_BT.device)[None]
    source = places - (length - num_tokens_B)[:, None] if on_left else places.expand(len(made), -1)
    is_token = (source >= 0) & (source < num_tokens_B[:, None])
    found = tokens_BT.gather(1, source.clamp(0, tokens_BT.shape[1] - 1))
    return torch.where(is_token, found, made), torch.ones_like(is_token)


def keeps_sequence(spec: Mapping[str, Any]) -> bool:
    """Whether it says a vector a position of what has several."""
    inner = spec["layer"] if spec["class"] == "Bidirectional" else spec
    return spec["class"] in ("Dense", "LayerNormalization", "Conv1D") or bool(inner["return_sequences"])


def length_after(spec: Mapping[str, Any], length: int | None) -> int | None:
    """Positions behind a layer, where their number is fixed."""
    if spec["class"] != "Conv1D" or length is None:
        return length
    reach = (spec["kernel_size"] - 1) * spec["dilation_rate"] if spec["padding"] == "valid" else 0
    return (length - reach - 1) // int(spec["strides"]) + 1


def _shortest(specs: Sequence[Mapping[str, Any]]) -> int:
    """The fewest positions of which every convolution makes something."""
    needed = 1
    for spec in reversed(specs):
        if spec["class"] == "Conv1D":
            reach = (spec["kernel_size"] - 1) * spec["dilation_rate"] if spec["padding"] == "valid" else 0
            needed = (needed - 1) * int(spec["strides"]) + reach + 1
    return needed


AutoConfig.register(LayeredConfig.model_type, LayeredConfig, exist_ok=True)
AutoModel.register(LayeredConfig, LayeredModel, exist_ok=True)
