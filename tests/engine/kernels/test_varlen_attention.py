"""What torch's kernel for a GPU is asked for: its operator, computed on the CPU by its documentation, gives what the plain path gives.

The kernel itself: tests/engine/test_gpu.py.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from families import facts_of, make, random_rows
from torch import Tensor
from torch.nn.attention import varlen

from tunesmith.core import registry
from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Origin, Row, Segment
from tunesmith.engine import attention, laid_out
from tunesmith.engine.compiling import CompiledLayers, repeated_layers
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.varlen_attention import NO_BOUND, attends_varlen, fits_varlen
from tunesmith.engine.probe import probe

Calls = list[dict[str, Any]]
_calls: Calls = []


def _parts(
    q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, scale: float, window: list[int]
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor, Tensor]]:
    """Of each segment: where it is, its queries, its keys and values for all heads, and its attention's weights."""
    groups = q.shape[1] // k.shape[1]
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        own_q, own_k, own_v = (x[start:end].transpose(0, 1) for x in (q, k, v))
        own_k, own_v = own_k.repeat_interleave(groups, 0), own_v.repeat_interleave(groups, 0)
        ahead = torch.arange(end - start)[None] - torch.arange(end - start)[:, None]
        before, after = (end if bound == NO_BOUND else bound for bound in window)
        scores = (own_q @ own_k.transpose(1, 2) * scale).masked_fill((ahead < -before) | (ahead > after), float("-inf"))
        yield slice(start, end), own_q, own_k, own_v, scores.softmax(-1)


@varlen._varlen_attn.register_kernel("cpu")
def _(
    q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, offsets_k: Tensor, longest: int, longest_k: int, is_causal: bool = False,
    scale: float = 1.0, window_size: list[int] = [], enable_gqa: bool = False, *_others: Any,  # noqa: B006
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    assert offsets.dtype == offsets_k.dtype == torch.int32
    assert longest == longest_k == int(offsets.diff().max())
    _calls.append({"offsets": offsets.tolist(), "at": offsets.data_ptr(), "window": tuple(window_size)})
    out = torch.empty_like(q)
    for place, _, _, own_v, weights in _parts(q, k, v, offsets, scale, window_size):
        out[place] = (weights @ own_v).transpose(0, 1)
    return out, torch.zeros(q.shape[1], len(q)), torch.zeros(2, dtype=torch.uint64)


@varlen._varlen_attn_backward.register_kernel("cpu")
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, offsets: Tensor, offsets_k: Tensor, longest: int,
    longest_k: int, is_causal: bool, state: Tensor, scale: float = 1.0, window_size: list[int] = [],  # noqa: B006
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    grads, groups = [torch.empty_like(x) for x in (q, k, v)], q.shape[1] // k.shape[1]
    for place, own_q, own_k, own_v, weights in _parts(q, k, v, offsets, scale, window_size):
        own = grad[place].transpose(0, 1)
        of_weights = own @ own_v.transpose(1, 2)
        of_scores = weights * (of_weights - (of_weights * weights).sum(-1, keepdim=True)) * scale
        for x, part in zip(grads, (of_scores @ own_k, of_scores.transpose(1, 2) @ own_q, weights.transpose(1, 2) @ own), strict=True):
            shared = 1 if x is grads[0] else groups
            x[place] = part.unflatten(0, (-1, shared)).sum(1).transpose(0, 1)
    return grads[0], grads[1], grads[2]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Streams on the CPU taken for ones on a GPU, their attention computed by the operators above."""
    _calls.clear()
    monkeypatch.setattr(laid_out, "attends_varlen", lambda device: True)
    monkeypatch.setattr(attention, "fits_varlen", lambda q, v: True)
    monkeypatch.setattr(attention, "has_own_kernel", lambda q: False)
    return _calls


def _gradients(model: torch.nn.Module, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    hidden = PackedForward(model, {}, batch.facts, probe(model, batch.facts, "packed")).hidden(batch)
    found = torch.autograd.grad(hidden.square().sum(), [p for p in model.parameters() if p.requires_grad], allow_unused=True)
    return hidden.detach(), [x for x in found if x is not None]


WINDOWS = {
    "llama": {(NO_BOUND, 0)},
    "mistral": {(3, 0)},  # a window of 4 counts the token itself
    "gemma3": {(3, 0)},
    "bert": {(NO_BOUND, NO_BOUND)},
    "modernbert": {(NO_BOUND, NO_BOUND), (3, 3)},
}


@pytest.mark.parametrize("name", WINDOWS)
def test_the_kernel_is_asked_for_what_the_plain_path_computes(name: str, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(name, torch.float64)
    batch = collate(random_rows((9, 14, 5, 9), facts_of(name, model)), facts_of(name, model))
    found, gradients = _gradients(model, batch)
    asked = [call for call in calls if call["offsets"] == [0, 9, 23, 28, 37]]
    assert {call["window"] for call in asked} == WINDOWS[name]
    assert len({call["at"] for call in asked}) == 1  # brought to the device once a batch, not once a layer
    monkeypatch.undo()
    expected, reference = _gradients(model, batch)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    for ours, theirs in zip(gradients, reference, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["gemma2", "gpt_oss"])
def test_a_softcap_and_sinks_are_left_to_the_plain_path(name: str, calls: Calls) -> None:
    model = make(name)
    assert probe(model, facts_of(name, model)).attention == "packed"
    assert not calls


def test_dropout_and_segments_that_continue_others_are_left_to_the_plain_path(calls: Calls) -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    packed = PackedForward(model, {}, facts, probe(model, facts))
    calls.clear()
    prompt, answer = (row.segments[0].tokens for row in random_rows((7, 4), facts))
    packed.hidden(collate([Row((Segment(prompt), Segment(answer, parent=0)), Origin("shared", 1))], facts))
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    packed.train().hidden(collate(random_rows((9, 5), facts), facts))
    assert not calls


def test_a_mask_that_is_no_band_has_no_window() -> None:
    grid = torch.ones(6, 6, dtype=torch.bool).tril()
    grid[4, 1] = False
    assert attention.SegmentMask.of(grid).window is None


@pytest.mark.parametrize(
    ("dtype", "size", "value_size", "fits"),
    [
        (torch.bfloat16, 64, 64, True),
        (torch.float16, 256, 256, True),
        (torch.float32, 64, 64, False),
        (torch.bfloat16, 20, 20, False),
        (torch.bfloat16, 264, 264, False),
        (torch.bfloat16, 64, 32, False),
    ],
)
def test_only_heads_that_the_kernel_takes_are_given_to_it(dtype: torch.dtype, size: int, value_size: int, fits: bool) -> None:
    assert fits_varlen(torch.empty(1, 2, 3, size, dtype=dtype), torch.empty(1, 2, 3, value_size, dtype=dtype)) == fits


@pytest.mark.parametrize(("capability", "attends"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_from_ampere_on_have_the_kernel(capability: tuple[int, int], attends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert attends_varlen(torch.device("cuda", 0)) == attends
    assert not attends_varlen(torch.device("cpu"))


def test_layers_with_the_kernel_compile_once_for_batches_of_any_length(calls: Calls) -> None:
    model = make("llama")
    facts = facts_of("llama", model)
    packed = PackedForward(model, {}, facts, probe(model, facts))
    registry.create("method", "lora", r=4).apply(model)
    packed.use_fused_layers()
    batches = [collate(random_rows(lengths, facts), facts) for lengths in ((9, 14, 5), (4, 21, 8, 8), (17, 3))]
    expected = [packed.train().hidden(batch).detach() for batch in batches]
    calls.clear()
    packed.compiled = CompiledLayers(repeated_layers(model)[1:], backend="aot_eager")
    torch.testing.assert_close(packed.hidden(batches[0]).detach(), expected[0])
    with torch.compiler.set_stance("fail_on_recompile"):
        for batch, hidden in zip(batches[1:], expected[1:], strict=True):
            torch.testing.assert_close(packed.hidden(batch).detach(), hidden)
            packed.hidden(batch).sum().backward()
    assert [call["offsets"] for call in calls[:2]] == [[0, 9, 23, 28]] * 2
