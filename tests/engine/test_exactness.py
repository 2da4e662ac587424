"""The engine's loss and gradients against plain transformers and autograd, in float64."""

import pytest
import torch
import torch.nn.functional as F
from families import facts_of, make, random_rows
from torch import nn

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


@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2", "qwen3", "gemma2", "phi", "cohere", "bloom", "t5"])
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


def test_entropy_and_logprobs_carry_gradients_through_checkpointed_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.engine.kernels import linear_cross_entropy as module

    monkeypatch.setitem(module._CHUNK_BYTES, "cpu", 4 * 97 * 2)
    model = make("llama", torch.float64)
    facts = facts_of("llama", model)
    batch: Batch = collate(random_rows((9, 14), facts), facts)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    logprobs, entropy = forward.logprobs(batch)
    (logprobs.sum() + entropy.sum()).backward()
    found = model.lm_head.weight.grad.clone()
    model.zero_grad()
    hidden = forward.hidden(batch)[batch.predict_N]
    p = model.lm_head(hidden).double().log_softmax(1)
    (p.gather(1, batch.labels_N[:, None]).sum() - (p.exp() * p).sum()).backward()
    torch.testing.assert_close(found, model.lm_head.weight.grad, atol=1e-6, rtol=1e-5)
