"""Layers that run again in the backward pass: the same gradients, with less kept until then."""

import pytest
import torch
from families import facts_of, make, random_rows
from torch import Tensor, nn

from tunesmith.core import registry
from tunesmith.core.batch import Batch, collate
from tunesmith.core.layers import repeated_layers
from tunesmith.engine.compiling import compile_layers
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kept import keep_activations
from tunesmith.engine.probe import probe
from tunesmith.engine.row_store import RowStore
from tunesmith.model.heads import Head


def _prepared(name: str, method: str = "full", *, dtype: torch.dtype = torch.float64, targets: str = "all-linear") -> PackedForward:
    model = make(name, dtype)
    facts = facts_of(name, model)
    paths = probe(model, facts)
    torch.manual_seed(0)
    registry.create("method", method, **({"r": 4, "target_modules": targets} if method == "lora" else {})).apply(model)
    for path, p in model.named_parameters():
        if "lora_B" in path:
            nn.init.normal_(p, std=0.1)
    heads = {} if facts.has_lm_head else {"label": Head("label", facts.hidden_size, 3, pooling="mean").to(dtype)}
    forward = PackedForward(model.to(dtype), heads, facts, paths)
    forward.use_fused_layers()
    return forward


def _batch(forward: PackedForward) -> Batch:
    return collate(random_rows((9, 14, 5), forward.facts), forward.facts)


def _loss(forward: PackedForward, batch: Batch) -> Tensor:
    return forward.nll(batch) if forward.facts.has_lm_head else forward.head("label", batch).square().sum()


def _step(forward: PackedForward) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Loss, gradients, and the generator's state afterwards."""
    torch.manual_seed(1)
    loss = _loss(forward.train(), _batch(forward))
    loss.backward()
    gradients = {name: p.grad for name, p in forward.named_parameters() if p.grad is not None}
    forward.zero_grad()
    return loss.detach(), gradients, torch.get_rng_state()


def _kept_bytes(forward: PackedForward) -> int:
    """What autograd keeps of a batch beside the weights."""
    own = {p.untyped_storage().data_ptr() for p in forward.parameters()}
    kept, held = dict[int, int](), list[Tensor]()

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = _loss(forward.train(), _batch(forward))
    assert loss.requires_grad
    return sum(kept.values())


def _assert_same(found: tuple[Tensor, dict[str, Tensor], Tensor], plain: tuple[Tensor, dict[str, Tensor], Tensor]) -> None:
    torch.testing.assert_close(found[0], plain[0])
    assert found[1].keys() == plain[1].keys()
    for name, gradient in plain[1].items():
        torch.testing.assert_close(found[1][name], gradient, msg=lambda m, name=name: f"{name}: {m}")
    assert torch.equal(found[2], plain[2])


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3", "gemma2", "phi", "gpt2", "bert", "bloom", "t5", "bart"])
def test_loss_and_gradients_are_the_plain_ones_with_dropout_too(name: str, method: str) -> None:
    forward = _prepared(name, method)  # gpt2, bert, t5 and bart drop out at random
    plain, plain_bytes = _step(forward), _kept_bytes(forward)
    assert forward.recompute_layers() == (4 if forward.facts.is_encoder_decoder else 2)
    _assert_same(_step(forward), plain)
    assert _kept_bytes(forward) < 0.6 * plain_bytes
    calls = [layer._compiled_call_impl for layer in repeated_layers(forward.trunk)]
    assert calls == [None, None]  # the modules are left as they were


@pytest.mark.parametrize("name", ["lstm", "attending"])
def test_recurrent_layers_run_twice_too(name: str) -> None:
    test_loss_and_gradients_are_the_plain_ones_with_dropout_too(name, "full")


def test_nothing_runs_twice_without_a_gradient() -> None:
    forward = _prepared("llama")
    forward.recompute_layers()
    ran = list[int]()
    repeated_layers(forward.trunk)[0].register_forward_pre_hook(lambda *_: ran.append(1))
    with torch.no_grad():
        forward.train().nll(_batch(forward))
    assert len(ran) == 1
    _step(forward)
    assert len(ran) == 3


def test_a_model_without_a_list_of_like_layers_runs_as_before() -> None:
    forward = _prepared("albert")
    plain = _step(forward)
    assert forward.recompute_layers() == 0
    _assert_same(_step(forward), plain)


def test_it_goes_with_layers_whose_activations_are_kept() -> None:
    forward = _prepared("llama", "lora", targets=r".*layers\.1\..*_proj")
    plain = _step(forward)
    assert keep_activations(forward, _batch(forward).rows, RowStore()).reason == ""
    assert forward.recompute_layers() == 2
    for _ in range(2):
        found = _step(forward)
        _assert_same(found, plain)


@pytest.mark.slow  # a C++ compiler runs
@pytest.mark.parametrize("targets", ["all-linear", r".*layers\.[12]\..*_proj"])
def test_it_goes_with_compiled_layers(targets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import families

    monkeypatch.setitem(families._LLAMA, "num_hidden_layers", 3)
    forward = _prepared("llama", "lora", dtype=torch.float32, targets=targets)
    plain = _step(forward)
    if targets != "all-linear":
        assert keep_activations(forward, _batch(forward).rows, RowStore()).reason == ""
    assert forward.recompute_layers() == 3
    assert compile_layers(forward, registry.create("objective", "sft"), _batch(forward)).reason == ""
    with torch.compiler.set_stance("fail_on_recompile"):
        loss, gradients, _ = _step(forward)
    torch.testing.assert_close(loss, plain[0])
    for name, gradient in plain[1].items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-4)
