"""NT-ASGD: when averaging begins, and what the averages are, worked by hand; and what a model asks to be added to its loss."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from families import facts_of, make, random_rows
from torch import nn

from tunesmith.core.batch import collate
from tunesmith.core.types import ParamGroup
from tunesmith.engine.averaging import AveragedSGD, averaged, keep_average, tell_validation
from tunesmith.engine.checkpoints import load_checkpoint, save_checkpoint
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.probe import probe
from tunesmith.objective.sft import SFT

PLAN = TrainingPlan(num_steps=6, steps_per_epoch=3, learning_rate=0.5, schedule="constant", num_warmup_steps=0, max_grad_norm=None)


def _step(optimizer: AveragedSGD, p: nn.Parameter, gradient: float) -> None:
    p.grad = torch.full_like(p, gradient)
    optimizer.step()


def test_averaging_begins_when_a_loss_is_above_the_least_of_all_but_the_last_five_before_it() -> None:
    optimizer = AveragedSGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    for loss in (4.0, 3.0, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5):  # of the last the least before the five is min(4, 3) = 3
        optimizer.validated(loss)
        assert not optimizer.averages
    optimizer.validated(2.6)  # min(4, 3, 2) = 2 < 2.6
    assert optimizer.averages


def test_updates_and_averages_worked_by_hand() -> None:
    p = nn.Parameter(torch.tensor([1.0]))
    optimizer = AveragedSGD([{"params": [p], "lr": 0.5, "weight_decay": 0.0}])
    _step(optimizer, p, 1.0)
    assert p.item() == 0.5
    for loss in (1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        tell_validation(optimizer, loss)
    _step(optimizer, p, 1.0)
    _step(optimizer, p, 2.0)
    assert p.item() == -1.0
    with averaged(optimizer):
        assert p.item() == pytest.approx((0.5 + 0.0 - 1.0) / 3)
    assert p.item() == -1.0
    keep_average(optimizer)
    assert p.item() == pytest.approx(-1 / 6)


def test_weight_decay_pulls_as_in_torchs_sgd() -> None:
    p, q = (nn.Parameter(torch.tensor([[1.0, -2.0]])) for _ in range(2))
    ours, torchs = AveragedSGD([{"params": [p], "lr": 0.1, "weight_decay": 0.3}]), torch.optim.SGD([q], lr=0.1, weight_decay=0.3)
    for optimizer, one in ((ours, p), (torchs, q)):
        one.grad = torch.tensor([[0.5, 1.0]])
        optimizer.step()
    torch.testing.assert_close(p, q)


def _made(dtype: torch.dtype = torch.float32) -> tuple[PackedForward, TrainingState]:
    model = make("lstm", dtype)
    facts = facts_of("lstm", model)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    return forward, TrainingState(make_optimizer([ParamGroup("all", list(forward.parameters()))], name="nt_asgd", weight_decay=0.0))


def test_averages_and_the_losses_that_begin_them_are_in_the_checkpoint(tmp_path: Path) -> None:
    forward, state = _made()
    rows = random_rows((9, 14, 5, 8), forward.facts)
    steps = [[collate(rows, forward.facts)]] * 6
    for step in train(forward, SFT(), steps[:3], PLAN, state):
        state.optimizer.validated(float(step.index))  # type: ignore[attr-defined]
    for loss in (4.0, 5.0, 6.0, 7.0):
        state.optimizer.validated(loss)  # type: ignore[attr-defined]
    next(train(forward, SFT(), steps[:1], PLAN, state))
    save_checkpoint(tmp_path, forward, state, {})
    again, other = _made()
    load_checkpoint(tmp_path / "step-000004", again, other)
    for one, its in ((forward, state), (again, other)):
        list(train(one, SFT(), steps[:2], PLAN, its))
        keep_average(its.optimizer)
    assert other.optimizer.averages  # type: ignore[attr-defined]
    assert all(torch.equal(p, q) for p, q in zip(forward.parameters(), again.parameters(), strict=True))


def test_a_penalty_of_the_model_is_in_the_gradient_not_in_the_loss_and_no_matter_of_the_cut() -> None:
    results = []
    for size, alpha in ((8, 0.0), (8, 2.0), (3, 2.0), (1, 2.0)):
        forward, state = _made(torch.float64)
        forward.trunk.config.activation_penalty, forward.trunk.config.temporal_penalty = alpha, alpha / 2  # type: ignore[union-attr,operator,assignment]
        rows = random_rows((9, 14, 5, 9, 7, 3, 11, 8), forward.facts)
        batches = [collate(rows[i : i + size], forward.facts) for i in range(0, len(rows), size)]
        steps = list(train(forward, SFT(), [batches, batches], PLAN, state))
        results.append((steps[0].loss, [p.detach().clone() for p in forward.parameters()]))
    plain, whole, *cut = results
    assert whole[0] == pytest.approx(plain[0])
    assert not torch.allclose(whole[1][1], plain[1][1])
    for _, weights in cut:
        for found, expected in zip(weights, whole[1], strict=True):
            torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("scale", [1.0, 0.25, 0.0])
def test_the_gradient_is_that_of_the_loss_and_the_mean_penalty_of_its_tokens_times_its_scale(scale: float) -> None:
    forward, state = _made(torch.float64)
    config = forward.trunk.config
    config.activation_penalty, config.temporal_penalty = 2.0, 1.0  # type: ignore[union-attr,assignment,operator]
    rows = random_rows((9, 5), forward.facts)
    before = [p.detach().clone() for p in forward.parameters()]
    forward.train()
    loss, tokens = torch.zeros((), dtype=torch.float64), 0
    penalty = torch.zeros((), dtype=torch.float64)
    count = sum(len(row.targets.positions) for row in rows)
    for row in rows:
        output = forward.trunk(torch.tensor([row.segments[0].tokens]))
        logits = output.logits[0, list(row.targets.positions)]
        loss = loss + nn.functional.cross_entropy(logits, torch.tensor(row.targets.labels), reduction="sum") / count
        penalty, tokens = penalty + output.penalty.sum(), tokens + len(row.segments[0].tokens)
    gradients = torch.autograd.grad(loss + scale * penalty / tokens, list(forward.parameters()))
    next(train(forward, SFT(), [[collate(rows, forward.facts)]], replace(PLAN, penalty_scale=scale), state))
    for p, first, gradient in zip(forward.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(p, first - 0.5 * gradient)
