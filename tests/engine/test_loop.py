"""The loop: a step is the same however it is cut, however often it is interrupted, and it says when it cannot go on."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from families import facts_of, make, random_rows
from torch import nn

from tunesmith.core.batch import Batch, collate
from tunesmith.core.errors import Diverged, MemoryExhausted, RunError
from tunesmith.core.types import Loss, ParamGroup, Row
from tunesmith.engine.checkpoints import latest_checkpoint, load_checkpoint, load_trainable, save_checkpoint, save_trainable
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer, moments_per_parameter
from tunesmith.engine.packing import StepPlan, training_steps
from tunesmith.engine.probe import probe
from tunesmith.engine.schedules import learning_rate_multiple
from tunesmith.objective.sft import SFT

PLAN = TrainingPlan(num_steps=6, steps_per_epoch=3, learning_rate=1e-2, schedule="linear", num_warmup_steps=2, max_grad_norm=1.0)


def _forward(dtype: torch.dtype = torch.float32) -> PackedForward:
    model = make("llama", dtype)
    facts = facts_of("llama", model)
    return PackedForward(model, {}, facts, probe(model, facts))


def _state(forward: PackedForward, optimizer: str = "adamw") -> TrainingState:
    return TrainingState(make_optimizer([ParamGroup("all", list(forward.parameters()))], name=optimizer, weight_decay=0.1, momentum=0.9))


def _rows(forward: PackedForward) -> list[Row]:
    return random_rows((9, 14, 5, 9, 7, 3, 11, 8), forward.facts)


def _cut(rows: list[Row], size: int, forward: PackedForward) -> list[Batch]:
    return [collate(rows[i : i + size], forward.facts) for i in range(0, len(rows), size)]


def test_one_batch_of_eight_equals_eight_of_one() -> None:
    results = []
    for size in (8, 3, 1):
        forward = _forward(torch.float64)
        state = _state(forward, "sgd")
        steps = list(train(forward, SFT(), [_cut(_rows(forward), size, forward)] * 2, PLAN, state))
        results.append(([s.loss for s in steps], [p.detach().clone() for p in forward.parameters()]))
    for losses, weights in results[1:]:
        assert losses == pytest.approx(results[0][0], abs=1e-6)
        for found, expected in zip(weights, results[0][1], strict=True):
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_the_loss_is_the_mean_over_the_steps_targets_not_over_its_batches() -> None:
    forward = _forward()
    rows = _rows(forward)
    with torch.no_grad():
        nll = -forward.eval().logprobs(collate(rows, forward.facts))[0]
    step = next(train(forward, SFT(), [_cut(rows, 3, forward)], PLAN, _state(forward)))
    assert step.loss == pytest.approx(float(nll.mean()), rel=1e-5)
    assert step.num_targets == len(nll)
    assert step.num_tokens == sum(row.num_tokens for row in rows)
    assert step.num_examples == 8


def test_a_run_that_is_interrupted_and_resumed_ends_with_the_same_weights(tmp_path: Path) -> None:
    def run(forward: PackedForward, state: TrainingState) -> Iterator[float]:
        rows = _rows(forward)
        plan = StepPlan.of(len(rows), examples_per_step=3, micro_batch_tokens=20, epochs=2, max_steps=None, seed=0)
        forward.trunk.config.attention_dropout = 0.0
        for module in forward.trunk.modules():  # noise, so that the random numbers matter
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.2
        for step in train(forward, SFT(), training_steps(rows, plan, SFT(), forward.facts, start_step=state.step), PLAN, state):
            yield step.loss

    torch.manual_seed(7)
    whole = _forward()
    losses = list(run(whole, _state(whole)))

    torch.manual_seed(7)
    first = _forward()
    state = _state(first)
    begun = run(first, state)
    seen = [next(begun) for _ in range(4)]
    save_checkpoint(tmp_path, first, state, {"best": 1.5})
    torch.manual_seed(99)
    second = _forward()
    with torch.no_grad():
        for p in second.parameters():
            p.add_(1.0)
    state = _state(second)
    assert load_checkpoint(tmp_path / "step-000004", second, state) == {"best": 1.5}
    seen += list(run(second, state))

    assert seen == losses
    for found, expected in zip(second.parameters(), whole.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_old_checkpoints_go_and_half_written_ones_never_show(tmp_path: Path) -> None:
    forward = _forward()
    state = _state(forward)
    for step in (3, 7, 12):
        state.step = step
        save_checkpoint(tmp_path, forward, state, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000007", "step-000012"]
    (tmp_path / "step-000020").mkdir()
    assert latest_checkpoint(tmp_path) == tmp_path / "step-000012"


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    forward = _forward()
    state = _state(forward)
    path = save_checkpoint(tmp_path, forward, state, {})
    file = path / "state.json"
    file.write_text(file.read_text().replace("checkpoint/2", "checkpoint/1"))
    with pytest.raises(RunError, match="tunesmith/checkpoint/1 was written by another version"):
        load_checkpoint(path, forward, state)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_trainable(tmp_path / "t.safetensors", nn.Linear(2, 2))
    with pytest.raises(RunError, match="does not fit the model"):
        load_trainable(tmp_path / "t.safetensors", nn.Linear(2, 3))


def test_a_loss_that_is_not_a_number_stops_the_run_and_leaves_the_weights() -> None:
    class Bad(SFT):
        def loss(self, forward: object, batch: Batch) -> Loss:
            return Loss({"target": super().loss(forward, batch).sums["target"] * math.nan})  # type: ignore[arg-type]

    forward = _forward()
    before = [p.detach().clone() for p in forward.parameters()]
    with pytest.raises(Diverged, match=r"step 1: the loss is nan .* Lower train.learning_rate \(now 0.01\)") as error:
        list(train(forward, Bad(), [_cut(_rows(forward), 8, forward)], PLAN, _state(forward)))
    assert error.value.exit_code == 4
    assert all(torch.equal(a, b) for a, b in zip(before, forward.parameters(), strict=True))


class _SmallMemory(SFT):
    """Fails as torch does where a batch has more than `limit` rows."""

    limit = 3

    def loss(self, forward: object, batch: Batch) -> Loss:
        if len(batch.rows) > self.limit:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
            )
        return super().loss(forward, batch)  # type: ignore[arg-type]


def test_where_memory_runs_out_the_batches_are_halved_and_the_step_stays_the_same() -> None:
    forward = _forward()
    step = next(train(forward, _SmallMemory(), [_cut(_rows(forward), 8, forward)], PLAN, _state(forward)))
    other = _forward()
    expected = next(train(other, SFT(), [_cut(_rows(other), 8, other)], PLAN, _state(other)))
    assert step.loss == pytest.approx(expected.loss, rel=1e-6)
    assert step.grad_norm == pytest.approx(expected.grad_norm, rel=1e-5)


def test_what_did_not_fit_is_not_tried_again() -> None:
    most, tried = 20, list[int]()

    class FewTokens(SFT):
        def loss(self, forward: object, batch: Batch) -> Loss:
            tried.append(batch.stream.num_tokens)
            if batch.stream.num_tokens > most:
                raise MemoryError
            return super().loss(forward, batch)  # type: ignore[arg-type]

    forward = _forward()
    state = _state(forward)
    steps = train(forward, FewTokens(), [_cut(_rows(forward), 8, forward)] * 2, PLAN, state)
    next(steps)
    assert tried[0] > most
    assert state.max_micro_batch_tokens is not None
    assert state.max_micro_batch_tokens <= most
    tried.clear()
    next(steps)
    assert max(tried) <= most


def test_an_example_that_does_not_fit_alone_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_SmallMemory, "limit", 0)
    forward = _forward()
    with pytest.raises(MemoryExhausted, match=r"one example of 14 tokens does not fit"):
        list(train(forward, _SmallMemory(), [_cut(_rows(forward), 8, forward)], PLAN, _state(forward)))


def test_other_runtime_errors_are_not_taken_for_a_lack_of_memory() -> None:
    class Broken(SFT):
        def loss(self, forward: object, batch: Batch) -> Loss:
            raise RuntimeError("shape mismatch")

    forward = _forward()
    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(train(forward, Broken(), [_cut(_rows(forward), 8, forward)], PLAN, _state(forward)))


def test_gradual_unfreezing_leaves_a_group_alone_until_its_epoch() -> None:
    forward = _forward()
    embedding = forward.trunk.get_input_embeddings().weight
    rest = [p for p in forward.parameters() if p is not embedding]
    groups = [ParamGroup("embedding", [embedding], from_epoch=1.0), ParamGroup("rest", rest)]
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    before = embedding.detach().clone()
    steps = train(forward, SFT(), [_cut(_rows(forward), 8, forward)] * 4, PLAN, state)
    for _ in range(3):
        next(steps)
    assert torch.equal(embedding, before)
    next(steps)
    assert not torch.equal(embedding, before)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop"])
def test_every_optimizer_learns_and_keeps_as_many_moments_as_promised(name: str) -> None:
    forward = _forward()
    state = _state(forward, name)
    plan = replace(PLAN, num_steps=30, learning_rate=1e-2 if name != "sgd" else 1e-1, schedule="constant")
    losses = [s.loss for s in train(forward, SFT(), [_cut(_rows(forward), 8, forward)] * 30, plan, state)]
    assert losses[-1] < 0.7 * losses[0]
    kept = [v for values in state.optimizer.state.values() for k, v in values.items() if k != "step" and isinstance(v, torch.Tensor)]
    assert sum(v.numel() for v in kept) == moments_per_parameter(name, 0.9) * sum(p.numel() for p in forward.parameters())


def test_weight_decay_falls_on_matrices_only() -> None:
    layer = nn.Linear(3, 3)
    groups = make_optimizer([ParamGroup("layer", list(layer.parameters()))], name="adamw", weight_decay=0.1).param_groups
    assert [(g["params"][0] is layer.weight, g["weight_decay"]) for g in groups] == [(True, 0.1), (False, 0.0)]


def test_schedules_rise_over_the_warm_up_and_fall_as_named() -> None:
    def rates(schedule: str) -> list[float]:
        return [learning_rate_multiple(schedule, step, num_steps=6, num_warmup_steps=2) for step in range(6)]

    assert rates("constant") == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert rates("linear") == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25])
    assert rates("cosine") == pytest.approx([0.5, 1.0, 1.0, 0.853553, 0.5, 0.146447], abs=1e-6)
    # by hand: (1 + 31 p) / 32, p = 0, 1/2 up to the cut, then 1, 3/4, 1/2, 1/4
    assert rates("slanted_triangular") == pytest.approx([1 / 32, 0.515625, 1.0, 0.7578125, 0.515625, 0.2734375])


def test_the_schedule_sets_the_rate_of_every_group() -> None:
    forward = _forward()
    state = _state(forward)
    steps = list(train(forward, SFT(), [_cut(_rows(forward), 8, forward)] * 3, PLAN, state))
    assert [s.learning_rate for s in steps] == pytest.approx([5e-3, 1e-2, 1e-2])
    assert [s.epoch for s in steps] == pytest.approx([1 / 3, 2 / 3, 1.0])
