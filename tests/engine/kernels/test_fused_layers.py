"""What lies between a layer's products, fused: the same hidden states and gradients, with less kept until the backward pass."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

from tunesmith.core import registry
from tunesmith.core.layers import repeated_layers
from tunesmith.engine.kernels import again, gated, norm, rotary
from tunesmith.engine.kernels.again import Again
from tunesmith.engine.kernels.lora import fuse_lora
from tunesmith.engine.kernels.native import kernels

pytestmark = pytest.mark.skipif(kernels() is None, reason="no kernels on this machine")

_TOKENS = torch.arange(5, 29)[None]


def _llama(**options: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_hidden_layers": 2,
        "vocab_size": 48,
    }
    model = LlamaForCausalLM(LlamaConfig(**{**sizes, **options}, attn_implementation="eager"))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.3 if p.dim() > 1 else 1 + 0.3 * torch.randn_like(p))
    return model


def _adapted(model: nn.Module, method: str) -> nn.Module:
    torch.manual_seed(1)
    registry.create("method", method, **({"r": 4} if method == "lora" else {})).apply(model)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(p, std=0.2)
    return model


def _fused(model: nn.Module) -> nn.Module:
    assert norm.use_fast_norms(model) == 5
    assert gated.use_fast_gates(model) == 2
    assert rotary.use_fast_rotations(model) == 2
    fuse_lora(model)
    return model


def _step(model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    loss = nn.functional.cross_entropy(model(input_ids=_TOKENS).logits[0, :-1], _TOKENS[0, 1:])
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def _kept_numbers(model: nn.Module) -> int:
    """Numbers of float32 that autograd holds of a batch, beside the weights, those that are only held to make others again among them."""
    own, kept = {p.untyped_storage().data_ptr() for p in model.parameters()}, dict[int, int]()

    def keep(x: Tensor) -> Tensor:
        if x.untyped_storage().data_ptr() not in own:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes() // 4
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        _held = model(input_ids=_TOKENS).logits
    return sum(kept.values())


@pytest.mark.parametrize("method", ["full", "lora", "bitfit"])
def test_loss_and_gradients_are_those_of_the_models_own_code_in_float64(method: str) -> None:
    options = {"attention_bias": True, "mlp_bias": True} if method == "bitfit" else {}
    loss, gradients = _step(_fused(_adapted(_llama(**options), method)))
    expected_loss, expected = _step(_adapted(_llama(**options), method).double())
    torch.testing.assert_close(loss.double(), expected_loss, rtol=1e-6, atol=1e-6)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        largest = float(expected[name].abs().max())
        torch.testing.assert_close(
            gradient.double(), expected[name], rtol=1e-4, atol=2e-5 * largest, msg=lambda m, name=name: f"{name}: {m}"
        )


def test_names_parameters_and_classes_are_as_before() -> None:
    model, other = _fused(_llama()), _llama()
    assert [(name, type(m).__name__) for name, m in model.named_modules()] == [
        (name, type(m).__name__) for name, m in other.named_modules()
    ]
    assert isinstance(repeated_layers(model)[0].mlp, type(repeated_layers(other)[0].mlp))
    assert model.state_dict().keys() == other.state_dict().keys()
    assert (norm.use_fast_norms(model), gated.use_fast_gates(model), rotary.use_fast_rotations(model)) == (0, 0, 0)  # once is enough


def test_what_comes_out_of_norms_and_gates_is_not_kept() -> None:
    plain, fused = _kept_numbers(_adapted(_llama(), "lora")), _kept_numbers(_fused(_adapted(_llama(), "lora")))
    tokens, layers = _TOKENS.numel(), 2
    room = layers * 2 * 32  # what the kernels make has room for 32 more, and both halves of a gate are kept
    assert plain - fused + room >= layers * tokens * (2 * 96 + 2 * 64)  # silu and product; two norms


def test_layers_say_how_much_they_make_again() -> None:
    plain, fused = _adapted(_llama(), "lora"), _fused(_adapted(_llama(), "lora"))
    assert again.num_made_again(plain) == (0, 0)
    assert again.num_made_again(fused) == (5 * 64, 2 * 2 * 96)  # what comes out of five norms, silu and product of two gates
    said = _TOKENS.numel() * sum(again.num_made_again(fused))
    assert 0.8 < (_kept_numbers(plain) - _kept_numbers(fused)) / said < 1.2


def test_running_gates_again_changes_no_bit_and_keeps_nothing_as_wide_as_they_are() -> None:
    model = _fused(_adapted(_llama(), "lora"))
    loss, gradients = _step(model)
    kept = _kept_numbers(model)
    assert gated.run_gates_again(model, on=True) == 2
    assert kept - _kept_numbers(model) >= 2 * _TOKENS.numel() * 2 * 96
    again_loss, again_gradients = _step(model)
    assert torch.equal(again_loss, loss)
    assert all(torch.equal(again_gradients[name], gradient) for name, gradient in gradients.items())
    gated.run_gates_again(model, on=False)
    assert _kept_numbers(model) == kept


def test_a_hook_that_keeps_what_the_last_product_reads_gets_each_layers_own() -> None:
    model = _fused(_adapted(_llama(), "lora"))
    seen = list[Tensor]()
    for layer in repeated_layers(model):
        layer.mlp.down_proj.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    _step(model)
    assert not torch.equal(seen[0], seen[1])


def test_a_norm_that_is_another_formula_is_left_alone() -> None:
    config = Gemma2Config(
        hidden_size=64, intermediate_size=96, num_attention_heads=2, num_key_value_heads=1, num_hidden_layers=1, vocab_size=48, head_dim=32
    )
    model = Gemma2ForCausalLM(config)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
    assert norm.use_fast_norms(model) == 0  # (1 + w) x / rms(x)
    assert gated.use_fast_gates(model) == 0  # gelu
    assert rotary.use_fast_rotations(model) == 1


def test_what_is_made_again_is_made_once_for_its_readers_and_not_after_the_last() -> None:
    made = list[int]()
    one = Again(lambda: made.append(1) or torch.ones(1))
    assert one() is one()
    one.release()
    assert made == [1]
    with pytest.raises(RuntimeError, match="gone through already"):
        one()


def test_a_tensor_says_nothing_of_how_it_is_made_where_whole_layers_run_again() -> None:
    x = again.remember(torch.ones(1), Again(lambda: torch.ones(1)))
    assert again.made_by(x) is not None
    with again.kept_whole():
        assert again.made_by(x) is None


def test_a_tensor_that_was_changed_in_place_is_kept_as_it_is() -> None:
    x = again.remember(torch.ones(1), Again(lambda: torch.ones(1)))
    x.mul_(2)
    assert again.made_by(x) is None


def test_gates_whose_adapters_drop_out_do_not_run_again() -> None:
    model = _llama()
    registry.create("method", "lora", r=4, lora_dropout=0.5).apply(model)
    assert gated.run_gates_again(_fused(model), on=True) == 0
    heard = _fused(_adapted(_llama(), "lora"))
    repeated_layers(heard)[0].mlp.gate_proj.register_forward_hook(lambda *_: None)
    assert gated.run_gates_again(heard, on=True) == 1


def test_a_hook_of_the_backward_pass_leaves_gradients_as_they_are() -> None:
    expected = _step(_fused(_adapted(_llama(), "lora")))[1]
    model = _fused(_adapted(_llama(), "lora"))
    for layer in repeated_layers(model):
        layer.mlp.down_proj.register_full_backward_hook(lambda *_: None)
    found = _step(model)[1]
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=lambda m, name=name: f"{name}: {m}")


class GatedRMSNorm(nn.Module):
    """As of models with a state space: a second tensor beside."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.randn(32)), 1e-6

    def forward(self, hidden_states: Tensor, gate: Tensor | None = None) -> Tensor:
        x = hidden_states if gate is None else hidden_states * nn.functional.silu(gate)
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)


def test_a_norm_that_reads_a_gate_beside_does_what_it_did() -> None:
    torch.manual_seed(0)
    layer, x, gate = GatedRMSNorm(), torch.randn(3, 32), torch.randn(3, 32)
    expected = layer(x, gate), layer(x, gate=gate), layer(x)
    assert norm.use_fast_norms(nn.ModuleList([layer])) == 1
    for found, wanted in zip((layer(x, gate), layer(x, gate=gate), layer(x)), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_norm_without_an_epsilon_that_is_known_is_left_alone() -> None:
    class RMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.smallest = nn.Parameter(torch.ones(32)), 1e-6

        def forward(self, x: Tensor) -> Tensor:
            return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.smallest)

    assert norm.use_fast_norms(nn.ModuleList([RMSNorm()])) == 0


def test_inference_tensors_say_nothing_of_how_they_are_made() -> None:
    model = _fused(_adapted(_llama(), "lora")).eval()
    with torch.no_grad():
        expected = model(input_ids=_TOKENS).logits
    with torch.inference_mode():
        torch.testing.assert_close(model(input_ids=_TOKENS).logits, expected)
