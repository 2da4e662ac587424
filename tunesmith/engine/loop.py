"""The one training loop: a generator of Steps. Who saves, prints, validates or stops does so between two of them."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.core.batch import Batch
from tunesmith.core.errors import Diverged, MemoryExhausted
from tunesmith.core.types import Objective, Step
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.gradients import side_by_side
from tunesmith.engine.randomness import random_state, set_random_state
from tunesmith.engine.schedules import learning_rate_multiple

__all__ = ["TrainingPlan", "TrainingState", "train"]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What the loop needs to know beside the data."""

    num_steps: int
    steps_per_epoch: int
    learning_rate: float
    schedule: str
    num_warmup_steps: int
    max_grad_norm: float | None
    penalty_scale: float = 1.0
    """What the trunk itself adds to the loss, times this."""


@dataclass(slots=True)
class TrainingState:
    """Everything that changes while training, beside the weights. It belongs to the caller, who saves and restores it."""

    optimizer: Optimizer
    step: int = 0
    """Updates done so far."""
    random: Mapping[str, Tensor] | None = None
    """The generators as they were before the step at hand, None before the first: a step that is interrupted starts again with the same noise."""
    max_micro_batch_tokens: int | None = None
    """Where memory ran out: the most tokens that are computed at a time since."""
    updating: bool = False
    """True while weights are being written, and until the caller, who has the Step then, says that it kept it: not a moment to stop at."""


def train(
    forward: PackedForward, objective: Objective, steps: Iterable[Sequence[Batch]], plan: TrainingPlan, state: TrainingState
) -> Iterator[Step]:
    """Do one update for each item of `steps`, and yield what it did.

    The loss of a step is a sum over its micro-batches divided by counts taken over the whole step, so that it does not depend on how the step
    was cut. Where memory runs out the micro-batches are halved and the step is done again.

    Raises: Diverged, where the loss or the gradient is not finite (the weights stay as they were before that step); MemoryExhausted.
    """
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    with side_by_side(parameters):
        yield from _steps(forward, objective, iter(steps), plan, state, parameters)


def _steps(
    forward: PackedForward,
    objective: Objective,
    made: Iterator[Sequence[Batch]],
    plan: TrainingPlan,
    state: TrainingState,
    parameters: Sequence[nn.Parameter],
) -> Iterator[Step]:
    while True:
        started = time.perf_counter()  # a policy's own answers are part of the step that learns from them
        batches = _next(made)
        if batches is None:
            return
        state.random = random_state(forward.device)
        forward.train()
        loss, metrics, batches = _gradients(
            forward, objective, [b.to(forward.device) for b in batches], parameters, state, plan.penalty_scale
        )
        epoch = state.step / plan.steps_per_epoch
        for group in state.optimizer.param_groups:
            if group["from_epoch"] > epoch:
                for p in group["params"]:
                    p.grad = None
        grad_norm = float(nn.utils.clip_grad_norm_(parameters, plan.max_grad_norm or math.inf))
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            state.optimizer.zero_grad()
            raise Diverged(
                f"step {state.step + 1}: the loss is {loss:g} and the gradient's norm {grad_norm:g}. Lower train.learning_rate (now {plan.learning_rate:g}),"
                " or raise train.warmup_ratio."
            )
        rate = plan.learning_rate * learning_rate_multiple(plan.schedule, state.step, plan.num_steps, plan.num_warmup_steps)
        state.updating = True
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.step += 1
        state.random = random_state(forward.device)
        yield Step(
            index=state.step,
            loss=loss,
            grad_norm=grad_norm,
            learning_rate=rate,
            num_examples=sum(len(b.rows) for b in batches),
            num_tokens=sum(b.stream.num_tokens + (b.source.num_tokens if b.source else 0) for b in batches),
            num_targets=sum(b.counts["target"] or b.counts["answer"] for b in batches),
            seconds=time.perf_counter() - started,
            epoch=state.step / plan.steps_per_epoch,
            metrics=metrics,
        )


def _next(made: Iterator[Sequence[Batch]]) -> Sequence[Batch] | None:
    """The next step's micro-batches, None after the last. Raises: MemoryExhausted, where answers were to be written and there was no room for it."""
    try:
        return next(made, None)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryExhausted(
            "memory ran out while the policy wrote its answers. Lower objective.num_answers, objective.max_new_tokens or engine.micro_batch_tokens."
        ) from None


def _gradients(
    forward: PackedForward,
    objective: Objective,
    batches: Sequence[Batch],
    parameters: Sequence[nn.Parameter],
    state: TrainingState,
    penalty_scale: float,
) -> tuple[float, dict[str, float], Sequence[Batch]]:
    """Leave the step's gradient in the parameters. Returns: the loss, the metrics' means over the step's rows, and the micro-batches as they were run."""
    random = random_state(forward.device)
    if state.max_micro_batch_tokens is not None:
        batches = _cut(batches, state.max_micro_batch_tokens)
    while True:
        try:
            with torch.no_grad():
                objective.prepare(forward, batches)
            counts = dict[str, float]()
            for batch in batches:
                for name, count in batch.counts.items():
                    counts[name] = counts.get(name, 0.0) + count
            num_tokens = sum(batch.stream.num_tokens for batch in batches)
            losses, metrics = list[Tensor](), dict[str, Tensor]()
            for batch in batches:
                forward.penalties.clear()
                loss = objective.loss(forward, batch)
                parts = [value / counts[name] for name, value in loss.sums.items() if counts[name]]
                if not parts:
                    continue
                scalar = torch.stack(parts).sum()
                losses.append(scalar.detach())
                penalty = penalty_scale * sum(forward.penalties) / num_tokens if penalty_scale and forward.penalties else 0.0
                penalised = scalar + penalty
                penalised.backward()  # type: ignore[no-untyped-call]
                for name, value in loss.metrics.items():
                    metrics[name] = metrics[name] + value if name in metrics else value
                del loss, parts, scalar, penalty, penalised  # and with them the graph, before the next one is made
            means = {name: float(total) / counts["row"] for name, total in metrics.items()}
            return sum(map(float, losses), 0.0), means, batches  # read at the end: a GPU works on while the next batch is laid out
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            for p in parameters:
                p.grad = None
            set_random_state(random, forward.device)
            batches = _halved(batches)
            state.max_micro_batch_tokens = max(batch.stream.num_tokens for batch in batches)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_out_of_memory(error: Exception) -> bool:
    """Whether there was no room for a tensor: what a GPU and the CPU say differs."""
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in str(error)
        or "not enough memory" in str(error)
    )


def _cut(batches: Sequence[Batch], max_tokens: int) -> list[Batch]:
    """The batches, halved until none holds more tokens, or only one row."""
    cut, waiting = list[Batch](), list(batches)
    while waiting:
        batch = waiting.pop(0)
        if batch.stream.num_tokens > max_tokens and len(batch.rows) > 1:
            waiting[:0] = batch.split()
        else:
            cut.append(batch)
    return cut


def _halved(batches: Sequence[Batch]) -> list[Batch]:
    if all(len(batch.rows) == 1 for batch in batches):
        longest = max(batch.stream.num_tokens for batch in batches)
        raise MemoryExhausted(
            f"one example of {longest} tokens does not fit in memory alone. Lower model.max_length, or use a method that trains less (lora, head)."
        )
    halves = list[Batch]()
    for batch in batches:
        halves += batch.split() if len(batch.rows) > 1 else (batch,)
    return halves
