"""Int8 products with frozen weights: their own arithmetic is exact, and they are near the model's own."""

import sys
from pathlib import Path

import pytest
import torch
from families import facts_of, make, random_rows
from safetensors.torch import load_file, save_file
from torch import nn

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.engine.compiling import compile_layers
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.frozen import Int8Linear, frozen_gradient, frozen_linear, quantize_frozen, quantized_rows
from tunesmith.engine.probe import probe


def test_a_row_is_rounded_to_the_nearest_multiple_of_its_step() -> None:
    x = torch.randn(7, 33, dtype=torch.float64) * torch.logspace(-9, 9, 7, dtype=torch.float64)[:, None]
    x[3] = 0.0
    rounded, step = quantized_rows(x)
    assert rounded.dtype == torch.int8
    assert rounded.abs().amax(1).tolist() == [127, 127, 127, 0, 127, 127, 127]
    assert ((x - rounded * step[:, None]).abs() <= step[:, None] * (0.5 + 1e-9)).all()


@pytest.mark.parametrize("with_bias", [False, True])
def test_products_are_those_of_the_rounded_numbers_and_near_the_exact_ones(with_bias: bool) -> None:
    x, weight, grad = torch.randn(40, 64).double(), torch.randn(48, 64).double(), torch.randn(40, 48).double()
    bias = torch.randn(48).double() if with_bias else None
    rounded, scale = quantized_rows(weight)
    x_rounded, x_step = quantized_rows(x)
    y = frozen_linear(x, rounded, scale, bias)
    expected = (x_rounded * x_step[:, None]) @ (rounded * scale[:, None]).t()
    torch.testing.assert_close(y, expected if bias is None else expected + bias)
    exact = frozen_linear(x, weight, None, bias)
    assert (y - exact).norm() < 0.015 * exact.norm()
    exact = frozen_gradient(grad, weight, None)
    assert (frozen_gradient(grad, rounded, scale) - exact).norm() < 0.015 * exact.norm()


def test_a_layer_hands_its_gradient_down() -> None:
    layer = Int8Linear(nn.Linear(16, 8).double().requires_grad_(False))
    x, grad = torch.randn(2, 5, 16, dtype=torch.float64, requires_grad=True), torch.randn(2, 5, 8, dtype=torch.float64)
    y = layer(x)
    assert y.shape == (2, 5, 8)
    y.backward(grad)
    expected = frozen_gradient(grad.reshape(10, 8), layer.weight, layer.scale)
    torch.testing.assert_close(x.grad, expected.reshape(2, 5, 16))


def _with_adapters(name: str) -> nn.Module:
    model = make(name, torch.float64)
    registry.create("method", "lora", r=4).apply(model)
    torch.manual_seed(0)
    for path, p in model.named_parameters():
        if "lora_" in path:
            p.data = torch.randn_like(p, dtype=torch.float64) * 0.3
    return model


def _gradients(forward: PackedForward) -> tuple[float, dict[str, torch.Tensor]]:
    loss = forward.hidden(collate(random_rows((9, 14, 5), forward.facts), forward.facts)).cos().sum()
    loss.backward()
    found = {path: p.grad.clone() for path, p in forward.named_parameters() if p.grad is not None}
    forward.zero_grad()
    return float(loss.detach()), found


@pytest.mark.parametrize("name", ["llama", "qwen2", "bert"])
def test_fused_adapters_on_an_int8_base_are_pefts_on_the_same_base(name: str) -> None:
    model = _with_adapters(name)
    forward = PackedForward(model, {}, facts_of(name, model), probe(model, facts_of(name, model)))
    exact, _ = _gradients(forward)
    assert forward.use_int8_base() > 0
    loss, reference = _gradients(forward)
    assert loss == pytest.approx(exact, rel=0.1)
    assert loss != exact
    assert forward.use_fused_layers() > 0
    found_loss, found = _gradients(forward)
    assert found_loss == pytest.approx(loss, rel=1e-9)
    assert found.keys() == reference.keys()
    for path, gradient in reference.items():
        torch.testing.assert_close(found[path], gradient, rtol=1e-6, atol=1e-9, msg=lambda m, path=path: f"{path}: {m}")


def test_what_trains_and_the_vocabulary_head_stay_as_they_are() -> None:
    model = _with_adapters("llama")
    count = quantize_frozen(model)
    kept = {path for path, module in model.named_modules() if type(module) is nn.Linear}
    assert "lm_head" in kept
    assert {path for path in kept if "lora_" not in path} == {"lm_head"}
    assert count == sum(isinstance(module, Int8Linear) for module in model.modules())
    assert all(p.requires_grad == ("lora_" in path) for path, p in model.named_parameters())


@pytest.mark.slow  # a C++ compiler runs for some seconds
def test_compiled_layers_on_an_int8_base_give_the_plain_loss_and_gradients() -> None:
    model = make("llama")
    forward = PackedForward(model, {}, facts_of("llama", model), probe(model, facts_of("llama", model)))
    objective = registry.create("objective", "sft")
    registry.create("method", "lora", r=4).apply(model)
    forward.use_fused_layers()
    forward.use_int8_base()
    batch, other = (collate(random_rows(lengths, forward.facts), forward.facts) for lengths in ((9, 14, 5), (4, 21, 8, 8)))

    def step() -> tuple[float, list[torch.Tensor]]:
        forward.train()
        loss = objective.loss(forward, other).sums["target"]
        loss.backward()
        gradients = [p.grad.clone() for p in forward.parameters() if p.grad is not None]
        forward.zero_grad()
        return float(loss.detach()), gradients

    loss, gradients = step()
    assert compile_layers(forward, objective, batch).reason == ""
    found_loss, found = step()
    assert found_loss == pytest.approx(loss, rel=1e-4)
    for ours, plain in zip(found, gradients, strict=True):
        assert (ours - plain).norm() <= 0.02 * plain.norm() + 1e-6
    with torch.compiler.set_stance("fail_on_recompile"):
        step()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which pages of a file are in memory")
def test_weights_of_a_file_are_not_kept_beside_what_they_were_rounded_to(tmp_path: Path) -> None:
    def read_bytes() -> int:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssFile"))

    trunk = nn.Sequential(nn.Linear(2048, 2048), nn.LayerNorm(2048), nn.Linear(2048, 2048)).requires_grad_(False)
    save_file(trunk.state_dict(), tmp_path / "weights.safetensors")
    trunk.load_state_dict(load_file(tmp_path / "weights.safetensors"), assign=True)
    exact = trunk(torch.ones(2048))
    before = read_bytes()
    assert quantize_frozen(trunk) == 2
    assert before - read_bytes() > 30 * 2**20  # of two weights of 16 MiB
    torch.testing.assert_close(trunk(torch.ones(2048)), exact, rtol=0.1, atol=0.1)
