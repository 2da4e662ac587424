"""Compiled layers give what plain ones give, or are left alone."""

import pytest
import torch
from families import facts_of, make, random_rows
from torch import nn

from tunesmith.core import registry
from tunesmith.core.batch import Batch, collate
from tunesmith.core.layers import repeated_layers
from tunesmith.engine import compiling
from tunesmith.engine.compiling import compile_layers
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe


def _prepared(name: str, method: str = "lora") -> tuple[PackedForward, Batch]:
    model = make(name)
    facts = facts_of(name, model)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    registry.create("method", method, **({"r": 4} if method == "lora" else {})).apply(model)
    forward.use_fused_layers()
    return forward, collate(random_rows((9, 14, 5), facts), facts)


def _step(forward: PackedForward, batch: Batch) -> tuple[float, list[torch.Tensor]]:
    return compiling._gradients(forward, registry.create("objective", "sft"), batch)


@pytest.mark.slow  # a C++ compiler runs for some seconds a family
@pytest.mark.parametrize(
    ("name", "method"),
    [("llama", "lora"), ("llama", "full"), ("mistral", "lora"), ("qwen3", "lora"), ("phi", "lora"), ("phi", "full"), ("olmo2", "lora")],
)
def test_compiled_layers_give_the_plain_loss_and_gradients_on_batches_of_any_length(name: str, method: str) -> None:
    forward, batch = _prepared(name, method)
    other = collate(random_rows((4, 21, 8, 8), forward.facts, seed=1), forward.facts)
    loss, gradients = _step(forward, other)
    assert compile_layers(forward, registry.create("objective", "sft"), batch).reason == ""
    found_loss, found = _step(forward, other)
    assert found_loss == pytest.approx(loss, rel=1e-5)
    for ours, plain in zip(found, gradients, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)
    with torch.compiler.set_stance("fail_on_recompile"):  # one compilation serves every length
        _step(forward, collate(random_rows((17, 3), forward.facts, seed=2), forward.facts))
    forward.eval()
    with torch.no_grad():  # evaluation goes on uncompiled
        assert torch.isfinite(forward.nll(other))


@pytest.mark.parametrize(("name", "reason"), [("bloom", "its attention is padded"), ("gpt2", "drops out at random")])
def test_a_model_that_cannot_be_compiled_exactly_is_left_alone(name: str, reason: str) -> None:
    forward, batch = _prepared(name)
    loss = _step(forward, batch)[0]
    assert reason in compile_layers(forward, registry.create("objective", "sft"), batch).reason
    assert forward.compiled is None
    if name == "bloom":
        assert _step(forward, batch)[0] == loss


def test_a_machine_without_a_compiler_trains_on_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, batch = _prepared("llama")

    def no_compiler(self: nn.Module, *args: object, **options: object) -> None:
        def fails(*inputs: object, **given: object) -> None:
            raise RuntimeError("Failed to find C++ compiler")

        self._compiled_call_impl = fails  # type: ignore[assignment]

    monkeypatch.setattr(nn.Module, "compile", no_compiler)
    loss = _step(forward, batch)[0]
    assert "Failed to find C++ compiler" in compile_layers(forward, registry.create("objective", "sft"), batch).reason
    assert _step(forward, batch)[0] == loss


def test_wrong_compiled_code_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, batch = _prepared("llama")

    def wrong(self: nn.Module, *args: object, **options: object) -> None:
        self._compiled_call_impl = lambda hidden, *rest, **given: 1.01 * hidden  # type: ignore[assignment]

    monkeypatch.setattr(nn.Module, "compile", wrong)
    assert "compiled, its loss is" in compile_layers(forward, registry.create("objective", "sft"), batch).reason


def test_the_layers_are_the_list_that_holds_the_most() -> None:
    model = make("llama")
    assert repeated_layers(model) == list(model.model.layers)  # type: ignore[union-attr,arg-type]
    assert repeated_layers(nn.Linear(2, 2)) == []
