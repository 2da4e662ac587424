"""Layers of a model that trains whole, each with its own rate and its own beginning."""

import pytest
import transformers
from families import CAUSAL, ENCODER_DECODERS, ENCODERS, make
from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.layers import parameters_by_depth, repeated_layers
from tunesmith.method.full import Full
from tunesmith.method.layers import Layers
from tunesmith.model.networks.layered import LayeredConfig, LayeredModel
from tunesmith.model.networks.recurrent import RecurrentConfig, RecurrentForCausalLM


@pytest.mark.parametrize("name", [*CAUSAL, *ENCODERS, *ENCODER_DECODERS])
def test_every_parameter_has_one_place_from_the_output_to_the_input(name: str) -> None:
    model = make(name)
    halves = [model.get_encoder(), model.get_decoder()] if name in ENCODER_DECODERS else [model]  # type: ignore[operator]
    layers, groups = [layer for half in halves for layer in repeated_layers(half)], parameters_by_depth(model)
    if not layers:  # ALBERT's are one and the same
        assert groups == []
        return
    found = [id(p) for group in groups for p in group]
    assert sorted(found) == sorted({id(p) for p in model.parameters()})
    assert len(groups) == len(layers) + 1
    for group, layer in zip(groups, reversed(layers), strict=False):
        assert {id(p) for p in layer.parameters()} <= {id(p) for p in group}
    ends = {
        id(p)
        for name, p in model.named_parameters()
        if "embedding" in name.lower() or "embed_tokens" in name or "relative_attention" in name
    }
    assert ends & set(found[: len(groups[0])]) == set()
    assert id(model.get_input_embeddings().weight) in {id(p) for p in groups[-1]}  # type: ignore[operator,union-attr]


NETWORKS_OF_ONE = {
    "lstm": lambda: RecurrentForCausalLM(RecurrentConfig(vocab_size=30, embedding_size=8, hidden_size=8, num_hidden_layers=1)),
    "dense": lambda: LayeredModel(
        LayeredConfig.of([{"class": "Dense", "units": 4, "activation": "tanh", "use_bias": True}], num_columns=3)
    ),
    "llama": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(vocab_size=30, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS_OF_ONE)
def test_a_network_of_one_layer_has_a_last_layer_and_what_lies_below_it(name: str) -> None:
    model = NETWORKS_OF_ONE[name]()
    (layer,) = repeated_layers(model)
    groups = parameters_by_depth(model)
    assert len(groups) == (1 if name == "dense" else 2)
    assert {id(p) for p in layer.parameters()} <= {id(p) for p in groups[0]}
    assert sum(len(group) for group in groups) == len({id(p) for p in model.parameters()})
    assert [group.lr_scale for group in Full(layer_decay=0.5).apply(model)] == [1.0, 0.5][: len(groups)]
    (trained,) = Layers(last=1).apply(model)
    assert {id(p) for p in trained.params} == {id(p) for p in layer.parameters()}
    with pytest.raises(MethodError, match=r"method\.last: 2; this model has 1 layer\. Choose fewer"):
        Layers(last=2).apply(model)


def test_a_layers_rate_is_a_part_of_the_one_above_and_its_turn_comes_later() -> None:
    groups = Full(layer_decay=1 / 2.6, unfreeze_every=1.0).apply(make("llama"))
    assert [group.lr_scale for group in groups] == pytest.approx([1.0, 0.384615, 0.147929], abs=1e-6)
    assert [group.from_epoch for group in groups] == [0.0, 1.0, 2.0]
    assert len(Full().apply(make("llama"))) == 1


@pytest.mark.parametrize(
    ("name", "parameter", "depth"),
    [
        ("llama", "model.norm.weight", 0),
        ("llama", "lm_head.weight", 0),
        ("gpt2", "transformer.ln_f.weight", 0),
        ("opt", "model.decoder.final_layer_norm.weight", 0),
        ("bert", "pooler.dense.weight", 0),
        ("t5", "decoder.final_layer_norm.weight", 0),
        ("t5", "encoder.final_layer_norm.weight", 2),
        ("bart", "model.decoder.layernorm_embedding.weight", 4),
    ],
)
def test_what_is_in_no_layer_belongs_to_the_one_that_it_reads(name: str, parameter: str, depth: int) -> None:
    model = make(name)
    places = {id(p): place for place, group in enumerate(parameters_by_depth(model)) for p in group}
    assert places[id(model.get_parameter(parameter))] == depth


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer_decay": 0.0}, "method.layer_decay"),
        ({"layer_decay": 1.1}, "method.layer_decay"),
        ({"unfreeze_every": -1.0}, "method.unfreeze_every"),
    ],
)
def test_options_out_of_their_range_are_named(options: dict[str, float], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        Full(**options)


def test_a_model_without_a_list_of_layers_is_refused_by_name() -> None:
    with pytest.raises(MethodError, match="Linear has no list of like layers"):
        Full(layer_decay=0.5).apply(nn.Linear(2, 2))
