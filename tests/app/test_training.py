"""Fitting: validation picks the best weights, stopping early keeps them, an interruption loses nothing."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import facts_of, make, random_rows

from tunesmith.app.interruption import Interruption
from tunesmith.app.training import Fitting, Validator, evenly_spaced
from tunesmith.core.errors import Interrupted
from tunesmith.core.events import Event, Stepped, Validated
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import ParamGroup
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import StepPlan
from tunesmith.engine.probe import probe
from tunesmith.objective.sft import SFT


def _fitting(
    folder: Path, *, interruption: Interruption | None = None, say: Callable[[Event], None] = lambda event: None, **changes: Any
) -> Fitting:
    torch.manual_seed(0)
    model = make("llama")
    facts = facts_of("llama", model)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    rows = random_rows((9, 14, 5, 9, 7, 3, 11, 8), facts)
    steps = StepPlan.of(len(rows), examples_per_step=2, micro_batch_tokens=20, epochs=changes.pop("epochs", 3), max_steps=None, seed=0)
    plan = TrainingPlan(steps.num_steps, steps.steps_per_epoch, changes.pop("learning_rate", 1e-2), "constant", 0, 1.0)
    optimizer = make_optimizer([ParamGroup("all", list(forward.parameters()))], name="adamw", weight_decay=0.0)
    folder.mkdir(exist_ok=True)
    return Fitting(
        forward=forward, objective=SFT(), rows=rows, validator=Validator(random_rows((10, 12), facts, seed=5), "loss", False), step_plan=steps, plan=plan,
        state=TrainingState(optimizer), directory=RunDirectory(folder), interruption=interruption or Interruption(), say=say,
        **({"validate_at": evenly_spaced(steps.num_steps, steps.num_steps // 2), "checkpoint_every": None, "patience": None} | changes),
    )  # fmt: skip


def _weights(fitting: Fitting) -> list[torch.Tensor]:
    return [p.detach().clone() for p in fitting.forward.parameters()]


def test_the_weights_of_the_best_validation_are_left_in_the_model(tmp_path: Path) -> None:
    at_validation = dict[int, list[torch.Tensor]]()
    losses = dict[int, float]()

    def watch(event: Event) -> None:
        if isinstance(event, Validated):
            at_validation[event.step], losses[event.step] = _weights(fitting), event.loss

    fitting = _fitting(tmp_path / "run", say=watch)  # random targets: validation gets worse while training gets better
    fit = fitting.run()
    best = min(losses, key=lambda step: losses[step])
    assert fit.best_step == best != fit.steps
    assert fit.best_value == losses[best]
    assert all(torch.equal(a, b) for a, b in zip(_weights(fitting), at_validation[best], strict=True))


def test_it_stops_after_as_many_validations_without_gain_as_allowed(tmp_path: Path) -> None:
    fit = _fitting(tmp_path / "run", patience=2, epochs=9).run()
    assert fit.stopped_early
    assert fit.best_step is not None
    assert fit.steps == fit.best_step + 2 * 2


def test_validations_are_evenly_spaced_and_end_with_the_last_step() -> None:
    assert evenly_spaced(250, 4) == {63, 125, 188, 250}
    assert evenly_spaced(3, 8) == {1, 2, 3}
    assert evenly_spaced(7, 1) == {7}


def test_every_step_and_validation_is_a_line_of_the_log(tmp_path: Path) -> None:
    fitting = _fitting(tmp_path / "run", epochs=1)
    fitting.run()
    events = [json.loads(line) for line in fitting.directory.steps.read_text().splitlines()]
    assert [e["index"] for e in events if e["event"] == "step"] == [1, 2, 3, 4]
    assert [e["step"] for e in events if e["event"] == "validation"] == [2, 4]


def test_the_validation_loss_is_the_mean_over_its_targets(tmp_path: Path) -> None:
    fitting = _fitting(tmp_path / "run")
    assert fitting.validator is not None
    from tunesmith.core.batch import collate

    found = fitting.validator(fitting.forward, fitting.objective, 11)
    with torch.no_grad():
        nll = -fitting.forward.logprobs(collate(fitting.validator.rows, fitting.forward.facts))[0]
    assert found.loss.value == pytest.approx(float(nll.mean()), rel=1e-5)
    assert found.loss.low < found.loss.value < found.loss.high
    assert found.metrics == {}


@pytest.mark.parametrize(("number", "step"), [(signal.SIGINT, 5), (signal.SIGTERM, 6), (signal.SIGINT, 12)])
def test_a_signal_saves_and_the_resumed_run_ends_with_the_same_weights(tmp_path: Path, number: signal.Signals, step: int) -> None:
    """Steps 6 and 12 are validated: the signal comes before that."""
    whole = _fitting(tmp_path / "whole")
    whole.run()

    def at_step(event: Event) -> None:
        if isinstance(event, Stepped) and event.step.index == step:
            os.kill(os.getpid(), number)

    with Interruption() as interruption, pytest.raises(Interrupted):
        _fitting(tmp_path / "cut", interruption=interruption, say=at_step).run()
    assert (tmp_path / "cut" / "checkpoints" / f"step-{step:06d}").is_dir()
    resumed = _fitting(tmp_path / "cut")
    resumed.run(resume=True)

    assert all(torch.equal(a, b) for a, b in zip(_weights(resumed), _weights(whole), strict=True))
    strip = lambda run: [{k: v for k, v in e.items() if k != "seconds"} for e in run.directory.read_steps()]  # noqa: E731
    assert strip(resumed) == strip(whole)


def test_a_signal_in_the_middle_of_a_step_undoes_that_step_only(tmp_path: Path) -> None:
    whole = _fitting(tmp_path / "whole")
    whole.run()
    calls = 0

    class Killed(SFT):
        def loss(self, forward: Any, batch: Any) -> Any:
            nonlocal calls
            calls += 1
            if torch.is_grad_enabled() and calls == 7:
                os.kill(os.getpid(), signal.SIGINT)
            return super().loss(forward, batch)

    with Interruption() as interruption, pytest.raises(Interrupted):
        cut = _fitting(tmp_path / "cut", interruption=interruption)
        cut.objective = Killed()
        cut.run()
    resumed = _fitting(tmp_path / "cut")
    resumed.run(resume=True)
    assert all(torch.equal(a, b) for a, b in zip(_weights(resumed), _weights(whole), strict=True))


def test_a_second_signal_while_the_first_one_saves_is_told_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.app import training as module

    def impatient(*args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def at_five(event: Event) -> None:
        if isinstance(event, Stepped) and event.step.index == 5:
            monkeypatch.setattr(module, "save_checkpoint", impatient)
            os.kill(os.getpid(), signal.SIGINT)

    with (
        Interruption() as interruption,
        pytest.raises(Interrupted, match=r"again before step 5 could be saved; the last checkpoint is step-000004"),
    ):
        _fitting(tmp_path / "cut", interruption=interruption, say=at_five).run()


def test_without_validation_checkpoints_come_where_validations_would(tmp_path: Path) -> None:
    seen = list[str]()

    def watch(event: Event) -> None:
        if isinstance(event, Stepped) and event.step.index == 6:
            seen.extend(p.name for p in (tmp_path / "run" / "checkpoints").glob("step-*"))

    fitting = _fitting(tmp_path / "run", say=watch)
    fitting.validator = None
    fitting.run()
    assert "step-000004" in seen


def test_a_signal_while_weights_are_written_waits_until_they_are() -> None:
    with Interruption() as interruption:
        with pytest.raises(Interrupted), interruption.held():
            os.kill(os.getpid(), signal.SIGTERM)
            reached = True
        assert reached


def test_the_second_signal_does_not_wait() -> None:
    with Interruption() as interruption, pytest.raises(Interrupted), interruption.held():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second signal was held back")


def test_the_handlers_from_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
