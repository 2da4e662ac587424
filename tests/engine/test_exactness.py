"""The engine's loss and gradients against plain transformers and autograd, in float64."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from families import facts_of, make, random_rows
from plain import without_dropout
from torch import nn

from tunesmith.core import registry
from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Row
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.linear_cross_entropy import linear_cross_entropy
from tunesmith.engine.probe import probe


def _plain_loss(model: nn.Module, rows: list[Row]) -> torch.Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        ids = torch.tensor([row.segments[0].tokens])
        arguments = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
        logits = model(input_ids=ids, **arguments).logits[0, list(row.targets.positions)].double()
        total = total + F.cross_entropy(logits, torch.tensor(row.targets.labels), reduction="sum")
    return total


@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2", "qwen3", "gemma2", "phi", "cohere", "bloom", "t5", "lstm", "attending"])
@pytest.mark.parametrize("tied", [False, True])
def test_loss_and_every_gradient_equal_plain_transformers(name: str, tied: bool) -> None:
    model = make(name, torch.float64)
    if tied and not model.config.is_encoder_decoder:
        model.set_output_embeddings(model.get_output_embeddings())
        model.get_output_embeddings().weight = model.get_input_embeddings().weight
    facts = facts_of(name, model)
    rows = random_rows((9, 14, 5), facts)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    loss = forward.nll(collate(rows, facts))
    loss.backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    expected = _plain_loss(model, rows)
    expected.backward()
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
    reference = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == reference.keys()
    for n, gradient in reference.items():
        torch.testing.assert_close(
            found[n], gradient, atol=1e-5 * float(gradient.abs().max() + 1), rtol=1e-4, msg=lambda m, n=n: f"{n}: {m}"
        )


def test_weights_of_targets_scale_their_loss() -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    batch = collate(random_rows((9, 14), facts), facts)
    forward = PackedForward(model, {}, facts, probe(model, facts)).eval()
    weights = torch.rand(len(batch.labels_N))
    from dataclasses import replace

    with torch.no_grad():
        each = forward.logprobs(batch)[0]
        total = forward.nll(replace(batch, weights_N=weights))
    torch.testing.assert_close(total, -(each * weights).sum())


@pytest.mark.parametrize("with_bias", [False, True])
def test_linear_cross_entropy_equals_autograd_across_chunks(monkeypatch: pytest.MonkeyPatch, with_bias: bool) -> None:
    from tunesmith.engine.kernels import linear_cross_entropy as module

    monkeypatch.setitem(module._CHUNK_BYTES, "cpu", 4 * 23 * 3)  # three positions a chunk
    torch.manual_seed(0)
    hidden, weight = (
        torch.randn(10, 8, dtype=torch.float64, requires_grad=True),
        torch.randn(23, 8, dtype=torch.float64, requires_grad=True),
    )
    bias = torch.randn(23, dtype=torch.float64, requires_grad=True) if with_bias else None
    labels, weights = torch.randint(0, 23, (10,)), torch.rand(10, dtype=torch.float64)
    leaves = [t for t in (hidden, weight, bias) if t is not None]
    loss = linear_cross_entropy(hidden, weight, bias, labels, weights)
    found = torch.autograd.grad(2.5 * loss, leaves)
    plain = (F.cross_entropy(F.linear(hidden, weight, bias), labels, reduction="none") * weights).sum()
    expected = torch.autograd.grad(2.5 * plain, leaves)
    torch.testing.assert_close(loss, plain)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def _plain_logprobs(model: nn.Module, rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of labels, and entropies, by transformers and autograd, a sequence at a time."""
    found = []
    for row in rows:
        logits = model(input_ids=torch.tensor([row.segments[0].tokens])).logits[0, list(row.targets.positions)].double()
        p = logits.log_softmax(1)
        found.append((p.gather(1, torch.tensor(row.targets.labels)[:, None])[:, 0], -(p.exp() * p).sum(1)))
    logprobs, entropies = zip(*found, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


def _with_lora(model: nn.Module, *targets: str) -> None:
    registry.create("method", "lora", r=4, target_modules=list(targets)).apply(model)
    torch.manual_seed(1)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(p, std=0.1)


@pytest.mark.parametrize("trained", ["all", "all, tied", "all, recomputed", "lora", "lora, recomputed", "lora on the head"])
@pytest.mark.parametrize("name", ["llama", "phi"])
def test_logprobs_entropies_and_their_gradients_equal_plain_transformers_across_chunks(
    name: str, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.engine.kernels import linear_cross_entropy as module

    monkeypatch.setitem(module._CHUNK_BYTES, "cpu", 4 * 97 * 2)  # two positions a chunk
    model = without_dropout(make(name, torch.float64))
    if "tied" in trained:
        model.get_output_embeddings().weight = model.get_input_embeddings().weight
    facts = facts_of(name, model)
    paths = probe(model, facts)
    assert paths.head == "fused"
    if "lora" in trained:
        _with_lora(model, *(("q_proj", "lm_head") if "head" in trained else ("q_proj", "v_proj")))
    forward = PackedForward(model, {}, facts, paths).train()
    forward.use_fused_layers()
    if "recomputed" in trained:
        assert forward.recompute_layers()
    rows = random_rows((9, 14, 5), facts)
    batch: Batch = collate(rows, facts)
    upstream = torch.randn(2, len(batch.labels_N), dtype=torch.float64)
    found, expected = forward.logprobs(batch), _plain_logprobs(model, rows)
    parameters = {at: p for at, p in model.named_parameters() if p.requires_grad}
    grads, reference = (
        torch.autograd.grad((torch.stack(each) * upstream).sum(), list(parameters.values()), allow_unused=True)
        for each in (found, expected)
    )
    for ours, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-6)
    for at, ours, plain in zip(parameters, grads, reference, strict=True):
        assert (ours is None) == (plain is None), at
        if plain is not None:
            torch.testing.assert_close(ours, plain, atol=1e-5 * float(plain.abs().max() + 1), rtol=1e-4, msg=lambda m, at=at: f"{at}: {m}")


@pytest.mark.parametrize("computes_in", ["bfloat16 by autocast", "bfloat16", "float32"])
def test_a_reference_scored_without_gradients_is_the_policy_to_the_bit(computes_in: str) -> None:
    model: Any = without_dropout(make("llama", torch.bfloat16 if computes_in == "bfloat16" else torch.float32))
    facts = facts_of("llama", model)
    batch = collate(random_rows((9, 14, 5), facts), facts)
    autocast = torch.bfloat16 if "autocast" in computes_in else None
    forward = PackedForward(model, {}, facts, probe(model, facts), autocast).train()
    policy, _ = forward.logprobs(batch, with_entropy=False)
    with torch.no_grad():
        reference, _ = forward.logprobs(batch, with_entropy=False)
    assert policy.dtype == torch.float32
    assert torch.equal(policy, reference)
    with torch.no_grad(), forward._precision():
        hidden = forward.hidden(batch)[batch.predict_N].to(forward.computes_in)  # as products take them
    head = model.lm_head.weight.to(hidden.dtype)
    exact = (hidden.double() @ head.double().t()).log_softmax(1).gather(1, batch.labels_N[:, None])[:, 0]
    torch.testing.assert_close(policy.double(), exact, atol=1e-5, rtol=1e-5)  # logits rounded to bfloat16 would be 1e-2 off
