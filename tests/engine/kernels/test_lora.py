"""The fused LoRA pass against peft's own, and every case that it has to leave to peft."""

from collections.abc import Callable

import pytest
import torch
from families import facts_of, make, random_rows
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import layer as peft_lora
from torch import nn

from tunesmith.core.batch import collate
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels import lora as kernel
from tunesmith.engine.kernels.frozen import quantize_frozen
from tunesmith.engine.kernels.lora import fuse_lora, unchanging
from tunesmith.engine.probe import probe
from tunesmith.method._peft import merge_adapter, save_adapter


def _model(name: str = "llama", dtype: torch.dtype = torch.float64, **options: object) -> nn.Module:
    model = make(name, dtype).requires_grad_(False)
    torch.manual_seed(0)
    inject_adapter_in_model(LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **options}), model)  # type: ignore[arg-type]
    with torch.no_grad():
        for path, p in model.named_parameters():
            if "lora_" in path:
                p.data = p.data.to(dtype)
                p.normal_(std=0.3)
    return model


def _gradients(model: nn.Module, name: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    facts = facts_of(name, model)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    batch = collate(random_rows((9, 14, 5), facts), facts)
    loss = forward.hidden(batch).square().sum()
    loss.backward()
    found = {path: p.grad.clone() for path, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return loss.detach(), found


@pytest.mark.parametrize("name", ["llama", "qwen2", "bert", "roberta", "gpt_neox"])
def test_loss_and_gradients_are_pefts(name: str) -> None:
    model = _model(name)
    expected, reference = _gradients(model, name)
    assert fuse_lora(model) > 0
    found, gradients = _gradients(model, name)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert gradients.keys() == reference.keys()
    for path, gradient in reference.items():
        torch.testing.assert_close(gradients[path], gradient, rtol=1e-7, atol=1e-9, msg=lambda m, path=path: f"{path}: {m}")


def _calls_of_peft(monkeypatch: pytest.MonkeyPatch, model: nn.Module) -> int:
    """How many layers of a fused model still run peft's own forward."""
    calls = 0
    plain = peft_lora.Linear.forward

    def counted(self: nn.Module, x: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return plain(self, x, *args, **kwargs)  # type: ignore[no-any-return]

    monkeypatch.setattr(peft_lora.Linear, "forward", counted)
    fuse_lora(model)
    model(torch.arange(6, 14)[None])
    return calls


def _dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, peft_lora.Linear):
            module.lora_dropout["default"] = nn.Dropout(0.1)
    model.train()


def _layers(model: nn.Module) -> list[peft_lora.Linear]:
    return [m for m in model.modules() if isinstance(m, peft_lora.Linear)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_dropout, id="dropout while training"),
        pytest.param(lambda model: [m.enable_adapters(False) for m in _layers(model)], id="adapters switched off"),
        pytest.param(lambda model: [m.merge() for m in _layers(model)], id="merged"),
        pytest.param(lambda model: [m.get_base_layer().requires_grad_(True) for m in _layers(model)], id="a base that trains"),
        pytest.param(lambda model: [m.get_base_layer().register_forward_hook(lambda *_: None) for m in _layers(model)], id="hooks"),
    ],
)
def test_what_the_plain_formula_leaves_out_is_left_to_peft(change: Callable[[nn.Module], object], monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    change(model)
    ids = torch.arange(6, 14)[None]
    torch.manual_seed(5)
    expected = model(ids).logits
    assert _calls_of_peft(monkeypatch, model) == len(_layers(model)) == 14
    torch.manual_seed(5)
    assert torch.equal(model(ids).logits, expected)
    with torch.no_grad(), unchanging(model):
        torch.manual_seed(5)
        assert torch.equal(model(ids).logits, expected)


@torch.no_grad()
def test_what_was_looked_up_once_serves_until_layers_may_change_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = _model(), torch.arange(6, 14)[None]
    fuse_lora(model)
    expected = model(ids).logits
    with monkeypatch.context() as context, unchanging(model):
        context.setattr(kernel.Linear, "_plain_adapter", lambda _: pytest.fail("looked up again"))
        assert torch.equal(model(ids).logits, expected)
        with torch.enable_grad(), pytest.raises(pytest.fail.Exception):
            model(ids)
    for module in _layers(model):
        module.enable_adapters(False)
    assert not torch.equal(model(ids).logits, expected)


@torch.no_grad()
@pytest.mark.parametrize("is_rounded", [False, True])
@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt_neox"])
def test_what_was_looked_up_says_the_same(name: str, is_rounded: bool) -> None:
    model = _model(name, torch.float32)
    fuse_lora(model)
    if is_rounded:
        quantize_frozen(model)
    x = {layer: torch.randn(rows, layer.in_features) for layer, rows in zip(_layers(model), (1, 2, 7, 40) * 9, strict=False)}
    expected = [layer(states) for layer, states in x.items()]
    with unchanging(model):
        assert all(layer.known is not None for layer in x)
        assert all(torch.equal(layer(states), said) for (layer, states), said in zip(x.items(), expected, strict=True))


@torch.no_grad()
def test_nothing_stays_looked_up_where_that_was_interrupted_and_no_rows_are_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    fuse_lora(model)
    first, second, *_ = _layers(model)
    with unchanging(model):
        assert first(torch.zeros(0, first.in_features, dtype=torch.float64)).shape == (0, first.out_features)
    monkeypatch.setattr(second, "look", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), unchanging(model):
        pass
    assert first.known is None


@pytest.mark.parametrize("options", [{"use_dora": True}, {"lora_bias": True}])
def test_variants_are_left_to_peft(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(dtype=torch.float32, **options)
    assert _calls_of_peft(monkeypatch, model) == 14


def test_a_plain_layer_does_not_run_pefts_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _calls_of_peft(monkeypatch, _model()) == 0


def test_two_active_adapters_are_left_to_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    inject_adapter_in_model(LoraConfig(r=2, target_modules="all-linear"), model, adapter_name="other")
    model.to(torch.float64)
    for module in _layers(model):
        module.set_adapter(["default", "other"])
    assert _calls_of_peft(monkeypatch, model) == 14


def test_an_adapter_in_float32_on_a_smaller_base_is_cast() -> None:
    model = _model(dtype=torch.float32)
    for module in _layers(model):
        module.get_base_layer().to(torch.bfloat16)
    fuse_lora(model)
    x = torch.randn(3, 32, dtype=torch.bfloat16)
    layer = _layers(model)[0]
    assert layer.forward(x).dtype == torch.bfloat16
    expected = peft_lora.Linear.forward(layer, x)
    torch.testing.assert_close(layer.forward(x).float(), expected.float(), atol=0.05, rtol=0.05)


def test_saving_and_merging_stay_pefts(tmp_path: object) -> None:
    model = _model(dtype=torch.float32)
    ids = torch.arange(6, 14)[None]
    fuse_lora(model)
    names = [path for path, _ in model.named_parameters()]
    assert names == [path for path, _ in _model().named_parameters()]
    save_adapter(model, tmp_path)  # type: ignore[arg-type]
    assert type(_layers(model)[0]) is kernel.Linear
    with torch.no_grad():
        expected = model(ids).logits
        merge_adapter(model)
        torch.testing.assert_close(model(ids).logits, expected, atol=2e-5, rtol=2e-5)


def _layer_in(dtype: torch.dtype) -> peft_lora.Linear:
    """One layer, its values the same in every dtype: the base's are those of bfloat16."""
    torch.manual_seed(0)
    base = nn.Linear(64, 96).requires_grad_(False)
    layer = peft_lora.Linear(base, "default", LoraConfig(r=8), r=8, lora_alpha=16)
    with torch.no_grad():
        nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
        for p in base.parameters():
            p.data = p.bfloat16().to(dtype)
        if dtype == torch.float64:
            layer.to(dtype)
    return layer


def _apart(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


def test_on_a_base_in_bfloat16_gradients_are_as_near_to_exact_ones_as_pefts_under_autocast() -> None:
    draw = torch.Generator().manual_seed(1)
    x, grad = torch.randn(300, 64, generator=draw).bfloat16(), torch.randn(300, 96, generator=draw).bfloat16()

    def run(dtype: torch.dtype, is_fused: bool, autocast: bool) -> list[torch.Tensor]:
        layer, inputs = _layer_in(dtype), x.to(dtype, copy=True).requires_grad_()
        if is_fused:
            fuse_lora(layer)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = layer(inputs)
        y.backward(grad.to(y.dtype))
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        assert y.dtype == dtype
        assert a.dtype == a.grad.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        return [y.detach(), inputs.grad, a.grad, b.grad]

    exact = run(torch.float64, is_fused=False, autocast=False)
    ours, pefts = run(torch.bfloat16, is_fused=True, autocast=False), run(torch.bfloat16, is_fused=False, autocast=True)
    for found, theirs, expected in zip(ours, pefts, exact, strict=True):
        assert _apart(found, expected) < 1e-2
        assert _apart(found, expected) < 1.25 * _apart(theirs, expected)


def test_gradients_over_many_batches_are_summed_in_float32() -> None:
    """Summed in bfloat16, four hundred equal gradients would stop to grow."""
    layer = _layer_in(torch.bfloat16)
    fuse_lora(layer)
    x = torch.randn(16, 64).bfloat16()
    for count in range(400):
        layer(x).float().sum().backward()
        if count == 0:
            once = layer.lora_A["default"].weight.grad.clone()
    torch.testing.assert_close(layer.lora_A["default"].weight.grad, 400 * once, rtol=1e-4, atol=1e-4)


def test_what_is_kept_for_the_backward_pass_is_bfloat16_but_for_the_adapters_own_weights() -> None:
    layer, kept = _layer_in(torch.bfloat16), list[torch.Tensor]()
    fuse_lora(layer)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(torch.randn(16, 64).bfloat16())
    own = {p.data_ptr() for name, p in layer.named_parameters() if "lora_" in name}
    others = [tensor for tensor in kept if tensor.data_ptr() not in own]
    assert len(others) == 3  # x, W and x A'
    assert {tensor.dtype for tensor in others} == {torch.bfloat16}
