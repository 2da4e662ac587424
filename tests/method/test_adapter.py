"""Bottleneck adapters against layers worked by hand, as the `adapters` library computes them.

There, with h what a block makes, x what it is added to, and A the adapter's two layers: double_seq_bn (houlsby) gives norm(x + h + A(h)); seq_bn
(pfeiffer) gives norm(x + h + A(norm(x + h))), where a layer ends with a norm, and x + h + A(x + h) where it does not; par_bn (parallel) gives
norm(x + h + 4 A(x)).
"""

from typing import Any

import pytest
import torch
from families import CAUSAL, ENCODER_DECODERS, ENCODERS, facts_of, make, random_rows
from torch import Tensor, nn

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.errors import MethodError
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.method._blocks import blocks

PLACEMENTS = ["houlsby", "pfeiffer", "parallel"]


def _adapted(family: str, placement: str) -> Any:
    """A tiny model with adapters that do something."""
    model: Any = make(family)
    (group,) = registry.create("method", "adapter", placement=placement, bottleneck_size=5).apply(model)
    torch.manual_seed(4)
    with torch.no_grad():
        for p in group.params:
            p.normal_(std=0.5)
    return model.eval()


def _a(adapter: Any, x: Tensor) -> Tensor:
    return torch.relu(x @ adapter.down.weight.T + adapter.down.bias) @ adapter.up.weight.T + adapter.up.bias


def _plain(linear: Any, x: Tensor) -> Tensor:
    return nn.functional.linear(x, linear.weight, linear.bias)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_layer_of_bert_worked_by_hand(placement: str) -> None:
    model = _adapted("bert", placement)
    layer = model.encoder.layer[0]
    x = torch.randn(1, 6, 32)
    with torch.no_grad():
        found = layer(x)
        found = found[0] if isinstance(found, tuple) else found
        norm_1, norm_2 = (
            lambda s, norm=norm: nn.functional.layer_norm(s, (32,), norm.weight, norm.bias, norm.eps)
            for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm)
        )
        own = layer.attention.self(x)
        h = _plain(layer.attention.output.dense, own[0] if isinstance(own, tuple) else own)
        y = norm_1(x + h + (_a(layer.attention.output.dense.adapter, h) if placement == "houlsby" else 0))
        h = _plain(layer.output.dense, nn.functional.gelu(_plain(layer.intermediate.dense, y)))
        expected = {
            "houlsby": lambda: norm_2(y + h + _a(layer.output.dense.adapter, h)),
            "pfeiffer": lambda: norm_2(y + h + _a(layer.output.LayerNorm.adapter, norm_2(y + h))),
            "parallel": lambda: norm_2(y + h + 4 * _a(layer.output.dense.adapter, y)),
        }[placement]()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_layer_of_llama_worked_by_hand(placement: str) -> None:
    model = _adapted("llama", placement)
    layer = model.model.layers[0]
    seen = dict[str, Tensor]()
    layer.register_forward_hook(lambda module, args, output: seen.update(x=args[0], out=output))
    layer.self_attn.register_forward_hook(lambda module, args, output: seen.update(attended=output[0]))
    with torch.no_grad():
        model(torch.arange(6, 13)[None])
        y = seen["x"] + seen["attended"]  # with houlsby the attention's output holds its adapter's already: the second test sees to that
        normed = layer.post_attention_layernorm(y)
        mlp = layer.mlp
        h = _plain(mlp.down_proj, nn.functional.silu(_plain(mlp.gate_proj, normed)) * _plain(mlp.up_proj, normed))
        expected = {
            "houlsby": lambda: y + h + _a(mlp.down_proj.adapter, h),
            "pfeiffer": lambda: y + h + _a(layer.adapter, y + h),
            "parallel": lambda: y + h + 4 * _a(mlp.down_proj.adapter, normed),
        }[placement]()
    torch.testing.assert_close(seen["out"], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "roberta", "distilbert", "modernbert", "bloom", "opt", "deberta_v2", "albert"])
def test_packed_is_one_text_at_a_time_and_the_adapters_act(family: str, placement: str) -> None:
    model = _adapted(family, placement)
    facts = facts_of(family, model)
    base = make(family)
    forward = PackedForward(model, {}, facts, probe(base, facts))
    rows = random_rows((9, 14, 5), facts)
    with torch.no_grad():
        together = forward.hidden(collate(rows, facts))
        alone = torch.cat([forward.hidden(collate([row], facts)) for row in rows])
        plain = PackedForward(base, {}, facts, forward.paths).hidden(collate(rows, facts))
    torch.testing.assert_close(together, alone, atol=5e-5, rtol=5e-5)
    assert not torch.allclose(together, plain, atol=1e-2)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("family", sorted({*CAUSAL, *ENCODERS, *ENCODER_DECODERS} - {"attending", "gpt_oss", "lstm", "mamba", "xlnet"}))
def test_the_number_of_trained_parameters(family: str, placement: str) -> None:
    """2 m H + m + H an adapter; a layer has one, with houlsby one for each block."""
    model = make(family)
    found = blocks(model, "adapter")
    num = sum(len(block.attention_outs) + 1 if placement == "houlsby" else 1 for block in found)
    (group,) = registry.create("method", "adapter", placement=placement, bottleneck_size=5).apply(model)
    assert sum(p.numel() for p in group.params) == num * (2 * 5 * 32 + 5 + 32)
    assert len(found) == (1 if family == "albert" else 4 if family in ENCODER_DECODERS else 2)


@pytest.mark.parametrize(
    ("options", "family", "said"),
    [
        ({"bottleneck_size": 0}, "llama", "method.bottleneck_size: expected at least 1, found 0"),
        ({"bottleneck_size": 33}, "llama", r"method.bottleneck_size: 33 is more than the model is wide \(32\)"),
        ({"scaling": 0.0}, "llama", "method.scaling: expected more than 0, found 0.0"),
        ({}, "mamba", "method: adapter finds no attention and feed-forward blocks"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, Any], family: str, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        registry.create("method", "adapter", **options).apply(make(family))
