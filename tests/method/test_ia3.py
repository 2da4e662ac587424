"""IA3 against peft, and against the paper's count."""

from pathlib import Path
from typing import Any

import pytest
import torch
from families import facts_of, make, random_rows
from peft import IA3Config, PeftModel, get_peft_model
from torch import nn

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.errors import MethodError
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.probe import probe
from tunesmith.method._peft import merge_adapter

PLAN = TrainingPlan(num_steps=4, steps_per_epoch=4, learning_rate=2e-2, schedule="constant", num_warmup_steps=0, max_grad_norm=1.0)


def _forward(family: str, **options: Any) -> tuple[PackedForward, Any, Any]:
    model = make(family)
    facts = facts_of(family, model)
    paths = probe(model, facts)
    made = registry.create("method", "ia3", **options)
    groups = made.apply(model)
    return PackedForward(model.eval(), {}, facts, paths), groups, made


@pytest.mark.parametrize(
    ("family", "per_layer"),
    [
        ("llama", 2 * 16 + 48),  # keys and values of two heads of 8, inner activations
        ("gpt2", 3 * 32 + 4 * 32),  # one matrix makes queries, keys and values
        ("bert", 2 * 32 + 48),  # and not what the attention's output layer reads
        ("distilbert", 2 * 32 + 48),
        ("bloom", 3 * 32 + 4 * 32),
    ],
)
def test_the_number_of_trained_parameters(family: str, per_layer: int) -> None:
    _, groups, _ = _forward(family)
    assert sum(p.numel() for group in groups for p in group.params) == 2 * per_layer


def test_the_loss_curve_is_pefts_own_and_so_are_the_files(tmp_path: Path) -> None:
    forward, groups, made = _forward("llama")
    objective = registry.create("objective", "sft")
    rows = random_rows((9, 14, 5, 8), forward.facts)
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    losses = [step.loss for step in train(forward, objective, [[collate(rows, forward.facts)]] * PLAN.num_steps, PLAN, state)]

    config = IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])
    theirs = get_peft_model(make("llama"), config)
    params = [p for p in theirs.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=PLAN.learning_rate, weight_decay=0.0)
    expected = []
    for _ in range(PLAN.num_steps):
        total, count = torch.zeros(()), 0
        for row in rows:
            logits = theirs(torch.tensor([row.segments[0].tokens])).logits[0, list(row.targets.positions)]
            total = total + nn.functional.cross_entropy(logits, torch.tensor(row.targets.labels), reduction="sum")
            count += len(row.targets.labels)
        loss = total / count
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        expected.append(float(loss.detach()))
    assert losses == pytest.approx(expected, abs=1e-4)
    assert losses[-1] < losses[0]

    made.save(forward.trunk, tmp_path / "ours")
    ids = torch.arange(6, 26)[None]
    loaded = PeftModel.from_pretrained(make("llama"), str(tmp_path / "ours")).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    other, _, again = _forward("llama")
    again.load(other.trunk, tmp_path / "theirs")
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, forward.trunk.eval()(ids).logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(other.trunk(ids).logits, theirs.eval()(ids).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_merged_equals_unmerged(family: str) -> None:
    forward, groups, _ = _forward(family)
    with torch.no_grad():
        for group in groups:
            for p in group.params:
                p.add_(torch.randn_like(p) * 0.3)
    batch = collate(random_rows((9, 5), forward.facts), forward.facts)
    with torch.no_grad():
        expected = forward.hidden(batch)
        merge_adapter(forward.trunk)
        torch.testing.assert_close(forward.hidden(batch), expected, atol=2e-5, rtol=2e-5)


def test_a_name_that_matches_nothing_is_told() -> None:
    with pytest.raises(MethodError, match="wrong_name"):
        _forward("llama", target_modules=["wrong_name"], feedforward_modules=[])
