"""Quantized layers: against plain products with the rounded weight, the QLoRA paper's table, torchao's and bitsandbytes' own, and the bytes that they hold."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from families import make
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from tunesmith.core.errors import MethodError
from tunesmith.engine.kernels.lora import fuse_lora
from tunesmith.engine.kernels.quantized import (
    FORMS,
    QuantizedConv1D,
    QuantizedLayer,
    QuantizedLinear,
    linear_layers,
    matrix_of,
    packed_weight,
    quantize_weights,
    weight_error,
)
from tunesmith.method._peft import merge_adapter

NF4 = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
]  # fmt: skip
"""Dettmers et al. (2023), appendix E."""


def _quantized(layer: nn.Linear, form: str) -> QuantizedLinear:
    return QuantizedLinear(layer, packed_weight(layer.weight, form))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_product_and_gradient_are_those_of_the_rounded_weight(form: str, kind: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    plain: nn.Module = (nn.Linear(50, 30) if kind == "linear" else Conv1D(30, 50)).to(dtype).requires_grad_(False)
    packed = packed_weight(matrix_of(plain), form)
    made = QuantizedLinear(plain, packed) if isinstance(plain, nn.Linear) else QuantizedConv1D(plain, packed)
    weight = made.weight if kind == "linear" else made.weight.t()
    x = torch.randn(2, 7, 50, dtype=dtype, requires_grad=True)
    y, expected = made(x), F.linear(x, weight, plain.bias)  # type: ignore[arg-type]
    grad = torch.randn_like(y)
    (found_x,), (expected_x,) = torch.autograd.grad(y, x, grad), torch.autograd.grad(expected, x, grad)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-14
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found_x, expected_x, rtol=tolerance, atol=tolerance)


def test_nf4_codes_stand_for_the_papers_numbers() -> None:
    """A block that holds the 16 numbers themselves, largest 1, comes back as it was, to the rounding of its step."""
    block = torch.tensor(NF4 * 4)[None]
    found = packed_weight(block, "nf4").unpacked(torch.float32)
    torch.testing.assert_close(found, block, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("form", "bits"), [("int8", 8 + 32 / 512), ("int4", 4.5), ("nf4", 4.127), ("fp4", 4.127), ("bf16", 16), ("fp16", 16)]
)
def test_what_is_held_is_the_formulas_bits(form: str, bits: float) -> None:
    layer = _quantized(nn.Linear(512, 512, bias=False), form)
    held = sum(b.numel() * b.element_size() for b in layer.buffers()) + sum(p.numel() for p in layer.parameters())
    assert held * 8 / 512**2 == pytest.approx(bits, abs=1e-3)


@pytest.mark.parametrize("form", ["int8", "int4"])
def test_integers_are_torchaos(form: str) -> None:
    """torchao.safetensors holds a matrix and what torchao 0.18 makes of it.

    By choose_qparams_affine, quantize_affine and dequantize_affine with SYMMETRIC_NO_CLIPPING_ERR: int8 from -127 to 127 by rows, int4 from -8 to 7 in
    groups of 32 with scales in float16.
    """
    golden = load_file(Path(__file__).parent / "torchao.safetensors")
    torch.testing.assert_close(packed_weight(golden["weight"], form).unpacked(torch.float32), golden[form], rtol=1e-6, atol=1e-6)


def test_int4_is_written_as_compressed_tensors_packs_it() -> None:
    """compressed_tensors.safetensors holds what compressed-tensors 0.20.1 saves of torchao.safetensors' matrix, and of its first 40 columns.

    By PackedQuantizationCompressor.compress with the steps that this form has: 4 bits, symmetric, groups of 32; and pack_to_int32.
    """
    weight = load_file(Path(__file__).parent / "torchao.safetensors")["weight"]
    golden = load_file(Path(__file__).parent / "compressed_tensors.safetensors")
    parts = packed_weight(weight, "int4").as_compressed_tensors()
    assert torch.equal(parts["weight_packed"], golden["weight_packed"])
    assert torch.equal(parts["weight_shape"], golden["weight_shape"])
    assert torch.equal(packed_weight(weight[:, :40], "int4").as_compressed_tensors()["weight_packed"], golden["weight_packed_of_40"])


@pytest.mark.parametrize("form", ["nf4", "fp4"])
def test_four_bits_are_bitsandbytes(form: str) -> None:
    bnb = pytest.importorskip("bitsandbytes")
    torch.manual_seed(0)
    weight = torch.randn(40, 70)
    theirs = bnb.nn.Params4bit(weight.clone(), requires_grad=False, quant_type=form, compress_statistics=True).to("cpu")
    expected = bnb.functional.dequantize_4bit(theirs.data, theirs.quant_state)
    assert torch.equal(packed_weight(weight, form).unpacked(torch.float32), expected)


def _off_by(form: str) -> float:
    torch.manual_seed(0)
    before = nn.Sequential(nn.Linear(1024, 512))
    nn.init.normal_(before[0].weight)
    after = copy.deepcopy(before)
    quantize_weights(after, form)
    return weight_error(before, after)


def test_weights_are_off_by_what_the_form_rounds() -> None:
    """By hand, int8: a step of max / 127 rounds by step / sqrt(12), and the largest of 1,024 standard normal numbers is about 3.2."""
    assert _off_by("int8") == pytest.approx(3.2 / 127 / 12**0.5, rel=0.1)
    assert 0.091 < _off_by("nf4") < 0.093
    assert 0 < _off_by("bf16") < 2**-8


def test_the_weight_is_no_parameter_and_the_vocabulary_head_stays() -> None:
    model = make("llama")
    named = set(linear_layers(model))
    assert quantize_weights(model, "int8") == len(named) == 14
    assert not any(name.rpartition(".")[0] in named for name, _ in model.named_parameters())
    assert type(model.lm_head) is nn.Linear


def _saved(run: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    kept = list[torch.Tensor]()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        run(x)
    return kept


def test_autograd_keeps_no_dequantized_weight() -> None:
    x = torch.randn(3, 48, requires_grad=True)
    assert _saved(_quantized(nn.Linear(48, 40), "nf4"), x) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_lora_on_a_quantized_base_is_pefts_and_leaves_it_as_it_is(form: str, family: str) -> None:
    """Fused against peft's own layer on the dequantized weights in plain modules."""
    model = make(family, scale=1.0).requires_grad_(False)
    plain = copy.deepcopy(model)
    quantize_weights(model, form)
    for path, module in model.named_modules():
        if isinstance(module, QuantizedLayer):
            plain.get_submodule(path).weight.data.copy_(module.weight)  # type: ignore[union-attr, operator]
    before = {name: b.clone() for name, b in model.named_buffers()}
    for one in (model, plain):
        torch.manual_seed(1)
        inject_adapter_in_model(LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"), one)
    assert family == "gpt2" or fuse_lora(model) > 0
    ids = torch.arange(6, 26)[None]
    losses = []
    for one in (model, plain):
        optimizer = torch.optim.AdamW([p for p in one.parameters() if p.requires_grad], lr=1e-2)
        found = []
        for _ in range(6):
            said = one(ids)[0]
            loss = F.mse_loss(said, torch.randn(said.shape, generator=torch.Generator().manual_seed(3)))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            found.append(float(loss))
        losses.append(found)
    assert losses[0][-1] < losses[0][0]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    after = {name.replace(".base_layer", ""): b for name, b in model.named_buffers()}
    assert all(torch.equal(after[name], b) for name, b in before.items())


def test_the_loss_curve_is_pefts_on_bitsandbytes_own_layers() -> None:
    bnb = pytest.importorskip("bitsandbytes")
    ours, theirs = (make("llama", scale=1.0).requires_grad_(False) for _ in range(2))
    for path, layer in linear_layers(theirs).items():
        parent, _, name = path.rpartition(".")
        other = bnb.nn.Linear4bit(
            layer.in_features, layer.out_features, bias=False, compute_dtype=torch.float32, compress_statistics=True, quant_type="nf4"
        )
        other.weight = bnb.nn.Params4bit(layer.weight.data.clone(), requires_grad=False, quant_type="nf4", compress_statistics=True)
        setattr(theirs.get_submodule(parent), name, other.to("cpu"))
    quantize_weights(ours, "nf4")
    ids, curves = torch.arange(6, 26)[None], []
    for model in (ours, theirs):
        torch.manual_seed(1)
        inject_adapter_in_model(LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"), model)
        if model is ours:
            assert fuse_lora(model) == 14
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        curve = []
        for _ in range(8):
            loss = F.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            curve.append(float(loss))
        curves.append(curve)
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)
    assert curves[0][-1] < curves[0][0]


def test_an_adapter_is_not_merged_into_a_quantized_copy() -> None:
    model = make("llama").requires_grad_(False)
    quantize_weights(model, "int8")
    inject_adapter_in_model(LoraConfig(r=4, target_modules="all-linear"), model)
    with pytest.raises(MethodError, match="its base is quantized"):
        merge_adapter(model)
