"""Added tokens: their rows begin as means and train, and no other number of the model moves."""

import pytest
import torch
from families import facts_of, make, random_rows
from torch import nn

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.errors import MethodError
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.probe import probe

NEW = (90, 93, 96)
PLAN = TrainingPlan(num_steps=6, steps_per_epoch=6, learning_rate=5e-2, schedule="constant", num_warmup_steps=0, max_grad_norm=1.0)


def _trained(model: nn.Module, method: str, optimizer: str) -> None:
    model.new_token_ids = NEW  # type: ignore[assignment]
    facts = facts_of("llama", model)
    paths = probe(model, facts)
    groups = registry.create("method", method).apply(model)
    forward = PackedForward(model, {}, facts, paths)
    objective = registry.create("objective", "sft")
    batch = collate(random_rows((9, 14, 5, 8), facts), facts)
    state = TrainingState(make_optimizer(groups, name=optimizer, weight_decay=0.5, momentum=0.9))
    for _ in train(forward, objective, [[batch, batch]] * PLAN.num_steps, PLAN, state):
        pass


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_other_weight_stays_bit_identical(optimizer: str, tied: bool) -> None:
    model = make("llama")
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight  # type: ignore[union-attr, assignment]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    _trained(model, "new_tokens", optimizer)
    old = [row for row in range(97) if row not in NEW]
    for name, p in model.named_parameters():
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            assert torch.equal(p[old], before[name][old]), name
            moved = (p[list(NEW)] != before[name][list(NEW)]).any(dim=1)
            assert moved.all() if tied or name == "lm_head.weight" else moved.any(), name
        else:
            assert torch.equal(p, before[name]), name


def test_lora_trains_the_added_rows_beside_its_adapters() -> None:
    model = make("llama")
    before = model.model.embed_tokens.weight.detach().clone()  # type: ignore[union-attr, operator]
    _trained(model, "lora", "adamw")
    now = model.model.embed_tokens.weight  # type: ignore[union-attr]
    old = [row for row in range(97) if row not in NEW]
    assert torch.equal(now[old], before[old])  # type: ignore[index]
    assert not torch.equal(model.lm_head.weight[list(NEW)], make("llama").lm_head.weight[list(NEW)])  # type: ignore[union-attr, index]


def test_it_needs_added_tokens_and_a_head_alone_refuses_them() -> None:
    with pytest.raises(MethodError, match="model.add_tokens"):
        registry.create("method", "new_tokens").apply(make("llama"))
    model = make("bert")
    model.new_token_ids = NEW  # type: ignore[assignment]
    with pytest.raises(MethodError, match="head trains no token"):
        registry.create("method", "head").apply(model)
