"""Fit: the engine's loop with what goes on around it: validation, the best weights, checkpoints, early stopping, interruption."""

import contextlib
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor

from tunesmith.app.interruption import Interruption
from tunesmith.core.allocator import give_back_freed_memory
from tunesmith.core.batch import Batch
from tunesmith.core.errors import Diverged, Interrupted
from tunesmith.core.events import Event, Notice, Stepped, Validated, Warned
from tunesmith.core.files import write_bytes
from tunesmith.core.run import RunDirectory
from tunesmith.core.statistics import Interval, ratio_sum
from tunesmith.core.types import Objective, Row, Step
from tunesmith.engine.averaging import averaged, keep_average, tell_validation
from tunesmith.engine.checkpoints import latest_checkpoint, load_checkpoint, load_trainable, save_checkpoint, save_trainable
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.packing import StepPlan, evaluation_batches, training_steps
from tunesmith.engine.randomness import random_state, set_random_state
from tunesmith.evaluation.predict import parted

__all__ = ["NO_FIT", "Fit", "Fitting", "Steps", "Validates", "Validation", "Validator", "evenly_spaced"]

BEST = "best.safetensors"

Units = Sequence[Sequence[float]]
"""What each row (of a loss: each batch) contributed to the value that selects, so that two models can be held against each other on the same rows."""
Judge = Callable[[Sequence[Tensor]], tuple[Mapping[str, float], Units]]
"""From what the head said to each row, float64, (1, outputs) or (its targets, outputs), to metrics and what the rows contributed to the one that selects."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What training did."""

    steps: int
    stopped_early: bool
    best_step: int | None
    best_value: float | None
    seconds: float
    """Spent in optimizer steps, over all sittings."""
    num_tokens: int
    max_micro_batch_tokens: int | None = None
    """Where memory ran out: the most tokens that were computed at a time from then on."""
    best_loss: float | None = None
    """Of the validation rows, where the value was best."""
    best_units: Units = ()
    """What the validation rows, or batches, contributed to the best value."""


NO_FIT = Fit(steps=0, stopped_early=False, best_step=None, best_value=None, seconds=0.0, num_tokens=0)
"""Of a run that trains nothing."""


def evenly_spaced(num_steps: int, count: int) -> frozenset[int]:
    """`count` of the steps 1..`num_steps`, the last one among them; all of them where there are fewer."""
    return frozenset(-(-num_steps * part // count) for part in range(1, count + 1))


@dataclass(frozen=True, slots=True)
class Validation:
    """What the validation split said of the model."""

    loss: Interval
    """A target, in nats, as the training reports it. Batches are the units, of rows of like length, so that the interval is rather too wide than too narrow."""
    metrics: Mapping[str, float]
    units: Units
    """Of a metric its stats a row; of the loss, a batch, the sums of its parts and then their counts."""


@dataclass(frozen=True, slots=True)
class Validator:
    """The validation split and how to judge the model on it."""

    rows: Sequence[Row]
    select_by: str
    """`loss`, or a metric of `judge`."""
    higher_is_better: bool
    judge: Judge | None = None

    def __call__(self, forward: PackedForward, objective: Objective, micro_batch_tokens: int) -> Validation:
        """The loss and the metrics, in one pass over the split."""
        forward.eval()
        heard, sums, counts = _Overheard(forward), defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
        outputs = [torch.empty(0)] * len(self.rows)
        with torch.no_grad():
            for batch, indices in evaluation_batches(self.rows, micro_batch_tokens, forward.facts):
                batch = batch.to(forward.device)
                for name, value in objective.loss(heard, batch).sums.items():
                    sums[name].append(float(value))
                    counts[name].append(batch.counts[name])
                if self.judge is not None:
                    for index, said in zip(indices, parted(heard.outputs, batch, heard.at), strict=True):
                        outputs[index] = said
        known = [name for name in sums if sum(counts[name])]
        sums_bk, counts_bk = np.array([sums[name] for name in known]).T, np.array([counts[name] for name in known]).T
        metrics, units = self.judge(outputs) if self.judge is not None else ({}, ())
        if self.select_by == "loss":
            units = np.hstack([sums_bk, counts_bk]).tolist()
        return Validation(ratio_sum(sums_bk, counts_bk), metrics, units)


class Validates(Protocol):
    """What judges the model between steps."""

    @property
    def select_by(self) -> str:
        """`loss`, or a metric."""

    @property
    def higher_is_better(self) -> bool:
        """Of what it selects by."""

    def __call__(self, forward: PackedForward, objective: Objective, micro_batch_tokens: int) -> Validation:
        """What it finds."""


Steps = Callable[[int], Iterator[Sequence[Batch]]]
"""From the step to begin with to the micro-batches of each."""


class _Overheard:
    """A Forward that keeps the last head outputs, so that a loss and the metrics come from one pass."""

    def __init__(self, forward: PackedForward) -> None:
        self._forward = forward
        self.outputs = torch.empty(0)
        self.at: Literal["answer", "target"] = "answer"

    def nll(self, batch: Batch) -> Tensor:
        return self._forward.nll(batch)

    def logprobs(self, batch: Batch, *, with_entropy: bool = True) -> tuple[Tensor, Tensor]:
        return self._forward.logprobs(batch, with_entropy=with_entropy)

    def head(self, name: str, batch: Batch, at: Literal["answer", "target"] = "answer") -> Tensor:
        self.outputs, self.at = self._forward.head(name, batch, at), at
        return self.outputs

    def pooled(self, name: str, batch: Batch) -> Tensor:
        return self._forward.pooled(name, batch)

    def read(self, name: str, vectors: Tensor) -> Tensor:
        return self._forward.read(name, vectors)

    def once(self, batch: Batch) -> contextlib.AbstractContextManager[None]:
        return self._forward.once(batch)

    def as_reference(self) -> contextlib.AbstractContextManager[None]:
        return self._forward.as_reference()


@dataclass(slots=True)
class Fitting:
    """Everything that `run` needs. `progress` is what a checkpoint keeps beside the weights."""

    forward: PackedForward
    objective: Objective
    rows: Sequence[Row]
    validator: Validates | None
    step_plan: StepPlan
    plan: TrainingPlan
    state: TrainingState
    directory: RunDirectory
    interruption: Interruption
    say: Callable[[Event], None]
    validate_at: frozenset[int]
    """Steps after which the validation split is judged."""
    checkpoint_every: int | None
    patience: int | None
    make_steps: Steps | None = None
    """Where steps are made while the model trains; None: they are of `rows`."""
    progress: dict[str, Any] = field(
        default_factory=lambda: {
            "validated_step": 0,
            "best_step": None,
            "best_value": None,
            "best_loss": None,
            "best_units": [],
            "without_gain": 0,
            "seconds": 0.0,
            "tokens": 0,
            "stopped_early": False,
            "max_micro_batch_tokens": None,
        }
    )

    def run(self, *, resume: bool = False) -> Fit:
        """Train to the end, or until validation stops it, and leave the best weights in the model.

        Raises: Interrupted, after a checkpoint was written; Diverged; MemoryExhausted.
        """
        if resume:
            self._resume()
        self.interruption.while_busy(lambda: self.state.updating)
        try:
            if self._is_due(self.state.step):  # the signal came between that step and its validation
                self._validate(self.state.step)
            done = self.progress["stopped_early"] or self.state.step >= self.plan.num_steps
            for step in [] if done else self._steps():
                self._after(step)
                self.interruption.check()
                if self.progress["stopped_early"]:
                    break
        except Interrupted:
            self._save_and_stop()
        except Diverged as error:
            latest = latest_checkpoint(self.directory.checkpoints)
            raise Diverged(f"{error} The last good checkpoint is {latest}." if latest else str(error)) from None
        keep_average(self.state.optimizer)
        best = self.directory.checkpoints / BEST
        if best.is_file() and self.progress["best_step"] != self.state.step:
            load_trainable(best, self.forward)
        p = self.progress
        return Fit(
            self.state.step, p["stopped_early"], p["best_step"], p["best_value"], p["seconds"], p["tokens"], p["max_micro_batch_tokens"],
            p["best_loss"], p["best_units"],
        )  # fmt: skip

    def _save_and_stop(self) -> NoReturn:
        saved = False
        with contextlib.suppress(Interrupted), self.interruption.held():
            self._checkpoint()
            saved = True
        if saved:
            raise Interrupted(f"interrupted after step {self.state.step} of {self.plan.num_steps}; everything so far is saved.") from None
        latest = latest_checkpoint(self.directory.checkpoints)
        since = f"the last checkpoint is {latest.name}" if latest else "there is no checkpoint"
        raise Interrupted(f"interrupted again before step {self.state.step} could be saved; {since}.") from None

    def _steps(self) -> Iterator[Step]:
        start = self.state.step
        batches = (
            training_steps(self.rows, self.step_plan, self.objective, self.forward.facts, start_step=start)
            if self.make_steps is None
            else self.make_steps(start)
        )
        return train(self.forward, self.objective, batches, self.plan, self.state)

    def _after(self, step: Step) -> None:
        with self.interruption.held():
            self.progress["seconds"] += step.seconds
            self.progress["tokens"] += step.num_tokens
            self._write({"event": "step", **asdict(step)})
            self.state.updating = False
        if self.state.max_micro_batch_tokens != self.progress["max_micro_batch_tokens"]:
            self.progress["max_micro_batch_tokens"] = self.state.max_micro_batch_tokens
            text = f"step {step.index}: memory ran out; {self.state.max_micro_batch_tokens:,} tokens are computed at a time from here on, the steps stay the same."
            self.say(Warned(text))
        left = (self.plan.num_steps - step.index) * self.progress["seconds"] / step.index
        self.say(Stepped(step, self.plan.num_steps, left))
        if self._is_due(step.index):
            self._validate(step.index)
        due = step.index in self.validate_at if self.checkpoint_every is None else step.index % self.checkpoint_every == 0
        if due or step.index == self.plan.num_steps or self.progress["stopped_early"]:
            with self.interruption.held():
                self._checkpoint()

    def _is_due(self, step: int) -> bool:
        return self.validator is not None and step in self.validate_at and bool(self.progress["validated_step"] < step)

    def _validate(self, step: int) -> None:
        assert self.validator is not None
        random = random_state(self.forward.device)
        give_back_freed_memory()  # blocks of other sizes: kept, they would stand beside those of the next pass
        with averaged(self.state.optimizer):
            found = self.validator(self.forward, self.objective, self.step_plan.micro_batch_tokens)
        give_back_freed_memory()
        loss, metrics = found.loss.value, found.metrics
        set_random_state(random, self.forward.device)
        if not math.isfinite(loss):
            raise Diverged(
                f"validation after step {step}: the loss is {loss:g}. Lower train.learning_rate (now {self.plan.learning_rate:g}), or raise"
                " train.warmup_ratio."
            )
        value = loss if self.validator.select_by == "loss" else metrics[self.validator.select_by]
        with self.interruption.held():
            self.progress["validated_step"] = step
            tell_validation(self.state.optimizer, loss)
            is_best = self._is_better(value, loss)
            if is_best:
                self.progress |= {"best_step": step, "best_value": value, "best_loss": loss, "best_units": found.units, "without_gain": 0}
                with averaged(self.state.optimizer):
                    save_trainable(self.directory.checkpoints / BEST, self.forward)
            else:
                self.progress["without_gain"] += 1
            bounds = {"loss_low": found.loss.low, "loss_high": found.loss.high} if math.isfinite(found.loss.low) else {}
            event = {"event": "validation", "step": step, "epoch": step / self.plan.steps_per_epoch, "loss": loss}
            self._write({**event, **bounds, **metrics})
            if self.patience is not None and self.progress["without_gain"] >= self.patience:
                self.progress["stopped_early"] = step < self.plan.num_steps
        self.say(Validated(step, loss, metrics, is_best))
        if self.progress["stopped_early"]:
            self.say(Notice(f"stopped early at step {step}: {self.patience} validations without a better {self.validator.select_by}."))

    def _is_better(self, value: float, loss: float) -> bool:
        assert self.validator is not None
        best: float | None = self.progress["best_value"]
        if best is None:
            return True
        if value == best:  # accuracies of a small split tie often; the surer model wins
            return loss < float(self.progress["best_loss"])
        return value > best if self.validator.higher_is_better else value < best

    def _write(self, event: Mapping[str, Any]) -> None:
        with self.directory.steps.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def _checkpoint(self) -> None:
        save_checkpoint(self.directory.checkpoints, self.forward, self.state, self.progress)

    def _resume(self) -> None:
        path = latest_checkpoint(self.directory.checkpoints)
        if path is None:
            self.directory.steps.unlink(missing_ok=True)
            return
        started = time.perf_counter()
        self.progress |= load_checkpoint(path, self.forward, self.state)
        self.state.max_micro_batch_tokens = self.progress["max_micro_batch_tokens"]
        # Steps after the checkpoint are done again: their lines go.
        kept = [event for event in self.directory.read_steps() if event.get("step", event.get("index", 0)) <= self.state.step]
        write_bytes(self.directory.steps, "".join(json.dumps(event) + "\n" for event in kept).encode())
        self.say(Notice(f"goes on after step {self.state.step} of {self.plan.num_steps} ({time.perf_counter() - started:.1f} s to load)."))
