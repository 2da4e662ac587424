"""What only a GPU can show: `python -m pytest -m gpu`. Skipped where there is none."""

import pytest
import torch
from families import facts_of, make, random_rows
from torch import Tensor, nn

from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Loss, ParamGroup
from tunesmith.engine import attention
from tunesmith.engine.compiling import compile_layers
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.product import product
from tunesmith.engine.kernels.quantized import compute_in, quantize_weights
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.probe import probe
from tunesmith.engine.randomness import random_state, set_random_state
from tunesmith.method.lora import LoRA
from tunesmith.model.load import store_weights
from tunesmith.objective.sft import SFT

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")]
GPU = torch.device("cuda")
LENGTHS = (9, 14, 5, 9, 30)


def _forward(name: str, device: torch.device, dtype: torch.dtype, quantization: str | None = None) -> PackedForward:
    """LoRA on a tiny model, its values the same whatever it is stored in, and no product zero."""
    model, facts = make(name), facts_of(name, make(name))
    store_weights(model, torch.bfloat16)
    if quantization:
        quantize_weights(model, quantization)
    store_weights(model, dtype)
    compute_in(model, dtype)
    model.to(device)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    LoRA(r=4).apply(model)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for path, p in model.named_parameters():
            if "lora_" in path:
                p.copy_(torch.randn(p.shape, generator=draw) * 0.1)
    forward.use_fused_layers()
    return forward


def _loss_and_gradients(forward: PackedForward, batch: Batch) -> tuple[float, list[Tensor]]:
    loss = forward.train().nll(batch.to(forward.device))
    loss.backward()
    found = [p.grad.cpu() for p in forward.parameters() if p.grad is not None]
    forward.zero_grad()
    return float(loss), found


def _apart(found: list[Tensor], expected: list[Tensor]) -> float:
    a, b = (torch.cat([x.flatten().double() for x in side]) for side in (found, expected))
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3", "bert"])
def test_a_packed_stream_is_each_segment_alone_through_torchs_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    kernel = attention.varlen_attention

    def counted(*inputs: object) -> Tensor:
        used.append(inputs)
        return kernel(*inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(attention, "varlen_attention", counted)
    model = make(name)
    store_weights(model, torch.bfloat16)
    model.to(GPU)
    facts = facts_of(name, model)
    paths = probe(model, facts)
    assert paths.attention == "packed", paths.attention_reason
    assert used
    rows = random_rows(LENGTHS, facts)
    forward = PackedForward(model, {}, facts, paths).eval()
    with torch.no_grad():
        together = forward.hidden(collate(rows, facts).to(GPU))
        alone = torch.cat([forward.hidden(collate([row], facts).to(GPU)) for row in rows])
    torch.testing.assert_close(together, alone, atol=5e-2, rtol=5e-2)


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_a_step_of_lora_in_bf16_is_that_of_the_cpu_in_float32(name: str) -> None:
    expected, exact = _forward(name, torch.device("cpu"), torch.float32), _forward(name, GPU, torch.bfloat16)
    batch = collate(random_rows(LENGTHS, expected.facts), expected.facts)
    loss, gradients = _loss_and_gradients(expected, batch)
    found, ours = _loss_and_gradients(exact, batch)
    assert found == pytest.approx(loss, rel=1e-2)
    assert _apart(ours, gradients) < 5e-2


@pytest.mark.parametrize("form", ["nf4", "int8", "int4"])
def test_a_step_of_lora_on_a_quantized_base_is_that_of_the_cpu(form: str) -> None:
    if form == "nf4":
        pytest.importorskip("bitsandbytes")
    expected, found = (_forward("llama", device, torch.float32, form) for device in (torch.device("cpu"), GPU))
    assert {layer.weight.device.type for layer in found.quantized_layers} == {GPU.type}
    batch = collate(random_rows(LENGTHS, expected.facts), expected.facts)
    loss, gradients = _loss_and_gradients(expected, batch)
    on_gpu, ours = _loss_and_gradients(found, batch)
    assert on_gpu == pytest.approx(loss, rel=1e-3)
    assert _apart(ours, gradients) < 1e-2


def test_a_product_of_bf16_is_summed_in_float32() -> None:
    a, b = (torch.randn(shape, device=GPU).bfloat16() for shape in ((64, 4096), (4096, 32)))
    found = product(a, b, torch.float32)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), a.double() @ b.double(), atol=1e-2, rtol=1e-5)


def test_compiled_layers_give_the_plain_loss_and_gradients() -> None:
    forward = _forward("llama", GPU, torch.bfloat16)
    facts = forward.facts
    batch, other = (collate(random_rows(lengths, facts), facts).to(GPU) for lengths in (LENGTHS, (4, 21, 8, 8)))
    loss, gradients = _loss_and_gradients(forward, other)
    assert compile_layers(forward, SFT(), batch).reason == ""
    found, ours = _loss_and_gradients(forward, other)
    assert found == pytest.approx(loss, rel=1e-2)
    assert _apart(ours, gradients) < 5e-2


def test_where_the_gpus_memory_runs_out_the_batches_are_halved_and_the_step_stays_the_same() -> None:
    class Greedy(SFT):
        def loss(self, forward: object, batch: Batch) -> Loss:
            if len(batch.rows) > 2:
                torch.empty(2**50, device=GPU)
            return super().loss(forward, batch)  # type: ignore[arg-type]

    def step(objective: SFT) -> tuple[float, float, int | None]:
        forward = _forward("llama", GPU, torch.float32)
        group = ParamGroup("lora", [p for p in forward.parameters() if p.requires_grad])
        state = TrainingState(make_optimizer([group], name="adamw", weight_decay=0.0))
        batch = collate(random_rows(LENGTHS, forward.facts), forward.facts)
        done = next(train(forward, objective, [[batch]], TrainingPlan(1, 1, 1e-3, "constant", 0, 1.0), state))
        return done.loss, done.grad_norm, state.max_micro_batch_tokens

    (loss, norm, most), (expected, expected_norm, all_tokens) = step(Greedy()), step(SFT())
    assert (loss, norm) == pytest.approx((expected, expected_norm), rel=1e-4)
    assert all_tokens is None
    assert most is not None
    assert most < sum(LENGTHS)


def test_noise_on_the_gpu_repeats_from_a_state_that_is_put_back() -> None:
    dropout, x = nn.Dropout(0.5), torch.ones(64, device=GPU)
    state = random_state(GPU)
    noise = dropout(x)
    set_random_state(state, GPU)
    assert torch.equal(dropout(x), noise)
