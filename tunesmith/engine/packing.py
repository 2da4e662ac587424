"""From rows to steps of micro-batches: a step is a number of examples, a micro-batch a number of tokens."""

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import ModelFacts, Objective, Row

__all__ = ["Part", "StepPlan", "evaluation_batches", "pack", "rows_seen", "step_rows", "training_steps"]

Array = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one data set of a mixture: `num_rows` from `start` on, of which an epoch takes `per_epoch`."""

    start: int
    num_rows: int
    per_epoch: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """How training data is cut into steps."""

    num_rows: int
    examples_per_step: int
    micro_batch_tokens: int
    num_steps: int
    seed: int
    is_padded: bool = False
    """Whether a micro-batch's rows are padded to its longest."""
    parts: tuple[Part, ...] = ()
    """Of a mixture, whose rows do not all come once an epoch."""
    virtual_tokens: int = 0
    """Learned tokens that stand before every row, and take memory as others do."""
    passes: int = 1
    """How many steps learn from the same rows before the next ones come."""

    @classmethod
    def of(
        cls,
        num_rows: int,
        *,
        examples_per_step: int,
        micro_batch_tokens: int,
        epochs: float,
        max_steps: int | None,
        seed: int,
        is_padded: bool = False,
        parts: Sequence[Part] = (),
        virtual_tokens: int = 0,
        passes: int = 1,
    ) -> "StepPlan":
        """The plan of a recipe; `max_steps`, where given, is the number of steps and `epochs` is not looked at."""
        plan = cls(num_rows, examples_per_step, micro_batch_tokens, 0, seed, is_padded, tuple(parts), virtual_tokens, passes)
        steps = max_steps if max_steps is not None else max(1, math.ceil(epochs * plan.steps_per_epoch))
        return replace(plan, num_steps=steps)

    @property
    def rows_per_epoch(self) -> int:
        """All of them once, or what the parts of a mixture take."""
        return sum(part.per_epoch for part in self.parts) if self.parts else self.num_rows

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see an epoch's rows; the last one may be smaller."""
        return math.ceil(self.rows_per_epoch / self.examples_per_step) * self.passes


def pack(lengths: Sequence[int], budget: int, *, is_padded: bool = False) -> list[list[int]]:
    """Group sequences so that no group holds more than `budget` tokens, but for a single longer sequence.

    Best fit decreasing: the longest first, each into the fullest group that still takes it. Where rows are padded to the longest of their
    group, that counts, and neighbours in length go together.
    Returns: indices into `lengths`, every one exactly once.
    """
    if is_padded:
        padded = list[list[int]]()
        for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
            if padded and (len(padded[-1]) + 1) * lengths[padded[-1][0]] <= budget:
                padded[-1].append(index)
            else:
                padded.append([index])
        return padded
    groups, room = list[list[int]](), list[tuple[int, int]]()  # room: (tokens left, group), the fullest first
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = bisect_left(room, (lengths[index], -1))
        if place < len(room):
            free, group = room.pop(place)
            groups[group].append(index)
        else:
            free, group = budget, len(groups)
            groups.append([index])
        insort(room, (free - lengths[index], group))
    return groups


def training_steps(
    rows: Sequence[Row], plan: StepPlan, objective: Objective, facts: ModelFacts, *, start_step: int = 0
) -> Iterator[list[Batch]]:
    """The micro-batches of every step from `start_step` on; the same for the same plan, wherever it starts.

    Rows are shuffled anew each epoch.
    """
    shuffled, order, passes = -1, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for step in range(start_step, plan.num_steps):
        epoch, place = divmod(step, plan.steps_per_epoch)
        if epoch != shuffled:
            shuffled, (order, passes) = epoch, _epoch(plan, epoch)
        at = slice(place * plan.examples_per_step, (place + 1) * plan.examples_per_step)
        drawn = [
            objective.draw(rows[i], np.random.default_rng((plan.seed, int(n), int(i)))) for i, n in zip(order[at], passes[at], strict=True)
        ]
        groups = pack([row.num_tokens + plan.virtual_tokens for row in drawn], plan.micro_batch_tokens, is_padded=plan.is_padded)
        yield [collate([drawn[i] for i in group], facts) for group in groups]


def step_rows(plan: StepPlan, number: int) -> list[int]:
    """The rows that come in the step of this number, where each is learned from once: in the order of `training_steps`."""
    epoch, place = divmod(number, math.ceil(plan.rows_per_epoch / plan.examples_per_step))
    order, _ = _epoch(plan, epoch)
    return [int(row) for row in order[place * plan.examples_per_step : (place + 1) * plan.examples_per_step]]


def _epoch(plan: StepPlan, epoch: int) -> tuple[Array, Array]:
    """The rows of an epoch, in order, and for each the pass over its data set that it belongs to.

    A part of a mixture goes through its rows in passes, each in an order of its own: no row comes again before all others came.
    """
    if not plan.parts:
        return np.random.default_rng((plan.seed, epoch)).permutation(plan.num_rows), np.full(plan.num_rows, epoch)
    rows, passes = list[Array](), list[Array]()
    for number, part in enumerate(plan.parts):
        places = np.arange(epoch * part.per_epoch, (epoch + 1) * part.per_epoch)
        at_pass, place = np.divmod(places, part.num_rows)
        orders = {n: np.random.default_rng((plan.seed, number, int(n))).permutation(part.num_rows) for n in np.unique(at_pass)}
        rows.append(part.start + np.array([orders[n][p] for n, p in zip(at_pass, place, strict=True)], dtype=np.int64))
        passes.append(at_pass)
    order = np.random.default_rng((plan.seed, epoch)).permutation(plan.rows_per_epoch)
    return np.concatenate(rows)[order], np.concatenate(passes)[order]


def rows_seen(plan: StepPlan, num_steps: int) -> list[int]:
    """How many rows of each part of a mixture the first `num_steps` steps see."""
    if not plan.parts:
        return []
    epochs, steps = divmod(num_steps, plan.steps_per_epoch)
    last = _epoch(plan, epochs)[0][: -(-steps // plan.passes) * plan.examples_per_step]
    ends = [(part.start, part.start + part.num_rows) for part in plan.parts]
    return [
        epochs * part.per_epoch + int(((last >= start) & (last < end)).sum()) for part, (start, end) in zip(plan.parts, ends, strict=True)
    ]


def evaluation_batches(rows: Sequence[Row], micro_batch_tokens: int, facts: ModelFacts) -> Iterator[tuple[Batch, list[int]]]:
    """Every row once, neighbours in length together, each batch with the indices of its rows."""
    order = sorted(range(len(rows)), key=lambda i: (rows[i].num_tokens, i))
    group, used = list[int](), 0
    for index in order:
        if group and used + rows[index].num_tokens > micro_batch_tokens:
            yield collate([rows[i] for i in group], facts), group
            group, used = [], 0
        group.append(index)
        used += rows[index].num_tokens
    if group:
        yield collate([rows[i] for i in group], facts), group
