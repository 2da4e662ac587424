"""Loss, every gradient, and the curve of fifty steps, against transformers' own models and losses, autograd and torch's AdamW."""

import contextlib
import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from families import ENCODERS, facts_of, make, random_rows
from plain import Float64Kept, plain_loss, without_dropout
from torch import Tensor, nn

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.types import Objective, ParamGroup, Row
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import StepPlan, training_steps
from tunesmith.engine.probe import probe
from tunesmith.model.heads import Head

SHAPES = ["bert", "distilbert", "llama", "mistral", "gpt2", "qwen2", "qwen3", "gemma2", "gemma3", "t5", "bloom"]
"""t5 and bloom cannot be packed; the encoders learn to classify, with a head of each pooling."""
CURVES = [name for name in SHAPES if name not in ("qwen2", "gemma2")]
METHODS = ["full", "lora"]
LENGTHS = (9, 14, 5, 9, 7, 3, 11, 8)


@dataclass(frozen=True)
class Pair:
    """The engine's model, and one with the same weights that knows nothing of it."""

    forward: PackedForward
    groups: list[ParamGroup]
    objective: Objective
    model: nn.Module
    head: Head | None
    rows: list[Row]

    def plain_loss(self, rows: Sequence[Row]) -> Tensor:
        return plain_loss(self.model, rows, self.forward.facts, self.head)

    def plain_parameters(self) -> dict[str, nn.Parameter]:
        """By the engine's names."""
        modules: dict[str, Any] = {"trunk": self.model} | ({"heads.label": self.head} if self.head is not None else {})
        return {f"{at}.{name}": p for at, module in modules.items() for name, p in module.named_parameters() if p.requires_grad}

    def engine_parameters(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.forward.named_parameters() if p.requires_grad}


def _pair(name: str, method: str, dtype: torch.dtype, *, is_reference: bool = False) -> Pair:
    # T5 does not scale its scores, and begins with large weights: larger ones would magnify the rounding of float32 itself
    trunk = without_dropout(make(name, dtype, scale=1.0 if name == "t5" else 2.0))
    facts = facts_of(name, trunk)
    classifies = name in ENCODERS
    paths = Paths("padded", "", "none" if classifies else "model", "") if is_reference else probe(trunk, facts)
    options = {"r": 4, "lora_alpha": 4.0} if method == "lora" else {}
    groups = registry.create("method", method, **options).apply(trunk)
    torch.manual_seed(1)
    for parameter_name, parameter in trunk.named_parameters():
        if "lora_B" in parameter_name:  # zero at first, and with it the gradient of A
            nn.init.normal_(parameter, std=0.1)
    head = Head("label", facts.hidden_size, 3, pooling="first" if name == "distilbert" else "mean").to(dtype) if classifies else None
    groups += [ParamGroup("label", list(head.parameters()))] if head is not None else []
    forward = PackedForward(trunk, {"label": head} if head is not None else {}, facts, paths)
    model, own_head = copy.deepcopy(trunk), copy.deepcopy(head)
    if not is_reference:
        forward.use_fused_layers()
    objective = registry.create("objective", "classify" if classifies else "sft")
    return Pair(forward, groups, objective, model, own_head, random_rows(LENGTHS, facts, label=3 if classifies else None))


def _engine_loss(pair: Pair) -> Tensor:
    """Over two micro-batches, as the loop sums them."""
    batches = [collate(part, pair.forward.facts) for part in (pair.rows[:3], pair.rows[3:])]
    losses = [pair.objective.loss(pair.forward.train(), batch).sums for batch in batches]
    (unit,) = losses[0]
    return sum((loss[unit] for loss in losses), torch.zeros(())) / sum(batch.counts[unit] for batch in batches)


def _gradients(loss: Tensor, parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(parameters, found, strict=True) if gradient is not None}


@pytest.mark.parametrize(("casts", "tolerance"), [("the model's own", 1e-6), ("none", 1e-10)])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SHAPES)
def test_loss_and_every_gradient_in_float64(name: str, method: str, casts: str, tolerance: float) -> None:
    with Float64Kept() if casts == "none" else contextlib.nullcontext():
        pair = _pair(name, method, torch.float64)
        loss, expected_loss = _engine_loss(pair), pair.plain_loss(pair.rows)
        found, expected = _gradients(loss, pair.engine_parameters()), _gradients(expected_loss, pair.plain_parameters())
    assert loss.item() == pytest.approx(expected_loss.item(), rel=tolerance)
    assert found.keys() == expected.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for at, gradient in expected.items():
        # some gradients are zero but for rounding: a key's bias adds the same to all scores
        scale = max(float(gradient.abs().max()), 1e-3 * largest)
        assert float((found[at] - gradient).abs().max()) <= tolerance * scale, at


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SHAPES)
def test_the_gradient_in_float32_is_near_that_in_float64(name: str, method: str) -> None:
    pair = _pair(name, method, torch.float32)
    found = _gradients(_engine_loss(pair), pair.engine_parameters())
    pair.model.double()
    if pair.head is not None:
        pair.head.double()
    with Float64Kept():
        expected = _gradients(pair.plain_loss(pair.rows), pair.plain_parameters())
    assert found.keys() == expected.keys()
    error = math.hypot(*(float((found[at].double() - gradient).norm()) for at, gradient in expected.items()))
    assert error < 1e-5 * math.hypot(*(float(gradient.norm()) for gradient in expected.values()))


CURVE = TrainingPlan(num_steps=50, steps_per_epoch=2, learning_rate=1e-3, schedule="constant", num_warmup_steps=0, max_grad_norm=None)


def _engine_curve(pair: Pair) -> list[float]:
    plan = StepPlan.of(len(pair.rows), examples_per_step=4, micro_batch_tokens=20, epochs=25, max_steps=None, seed=0)
    state = TrainingState(make_optimizer(pair.groups, name="adamw", weight_decay=0.1))
    steps = training_steps(pair.rows, plan, pair.objective, pair.forward.facts)
    return [step.loss for step in train(pair.forward, pair.objective, steps, CURVE, state)]


def _plain_curve(pair: Pair) -> list[float]:
    """The same rows at each step, as one padded batch."""
    plan = StepPlan.of(len(pair.rows), examples_per_step=4, micro_batch_tokens=10_000, epochs=25, max_steps=None, seed=0)
    parameters = list(pair.plain_parameters().values())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ],
        lr=CURVE.learning_rate,
    )
    losses = []
    for (batch,) in training_steps(pair.rows, plan, pair.objective, pair.forward.facts):
        loss = pair.plain_loss(batch.rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CURVES)
def test_fifty_steps_have_the_losses_of_a_plain_loop(name: str, method: str) -> None:
    pair = _pair(name, method, torch.float32)
    expected = _plain_curve(pair)
    assert expected[-1] < expected[0] - 0.05
    assert _engine_curve(pair) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
def test_fifty_steps_of_the_exact_reference_have_them_too(name: str) -> None:
    pair = _pair(name, "lora", torch.float32, is_reference=True)
    expected = _plain_curve(pair)
    assert _engine_curve(pair) == pytest.approx(expected, abs=1e-4)
