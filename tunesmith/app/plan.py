"""What a run would do and need, before it does it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch

from tunesmith.app.machine import available_memory_bytes, machine_facts, matmul_flops_per_second
from tunesmith.app.task import Task
from tunesmith.app.training import evenly_spaced
from tunesmith.core.allocator import freed_memory_scatters
from tunesmith.core.types import OnlineObjective, ParamGroup, Row
from tunesmith.data import RowTable
from tunesmith.data.mixing import rows_per_epoch
from tunesmith.engine.kernels.again import num_made_again
from tunesmith.engine.kernels.linear_cross_entropy import positions_at_a_time
from tunesmith.engine.optimizers import moments_per_parameter
from tunesmith.engine.packing import Part, StepPlan, rows_seen
from tunesmith.engine.recomputing import checkpointed_layers
from tunesmith.model.facts import flops_per_token, training_memory
from tunesmith.recipe import TrainSpec

__all__ = [
    "Plan",
    "RequestPlan",
    "learned_sizes",
    "make_plan",
    "num_trained",
    "sizes",
    "step_plan",
    "training_tokens",
    "validated_at",
    "without_training",
]

_EFFICIENCY = 0.5
"""Share of the matrix products' rate that training is assumed to reach."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts are exact; seconds and bytes are predictions."""

    num_steps: int
    steps_per_epoch: int
    num_rows: dict[str, int]
    num_tokens_per_epoch: int
    num_training_tokens: int
    trainable_parameters: int
    total_parameters: int
    attention: str
    attention_reason: str
    head: str
    activation_checkpointing: bool | Literal["feed_forward"]
    """Whether activations are made a second time in the backward pass; feed_forward: those of gated feed-forward parts."""
    peak_memory_bytes: int
    memory: dict[str, int]
    available_memory_bytes: int
    """As much as the process can come to; 0 where the system does not say."""
    train_seconds: float
    disk_bytes: int
    machine: dict[str, Any]
    recipe: str
    total_seconds: float | None = None
    """Of the whole run; None where no probe knows the model (`tunesmith advise` makes one)."""
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of each set of a mixture: its training rows, those of an epoch, their share, and those of the whole training."""

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"schema": "tunesmith/plan/1", **asdict(self)}


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """What a run with a model behind an endpoint would ask, where no answer is kept."""

    num_requests: int
    most_tokens_out: int
    """Where each answer is as long as it may be."""
    budget_usd: float | None
    recipe: str

    @property
    def train_seconds(self) -> float:
        """None are spent on training."""
        return 0.0

    @property
    def peak_memory_bytes(self) -> int:
        """Of a model none of whose weights are here."""
        return 0

    @property
    def total_seconds(self) -> None:
        """Nobody knows how fast the endpoint answers."""

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"schema": "tunesmith/plan/1", **asdict(self)}


def step_plan(task: Task) -> StepPlan:
    """How the recipe cuts the training rows into steps."""
    train, virtual = task.recipe.train, task.forward.virtual
    return StepPlan.of(
        len(task.splits["train"].rows),
        examples_per_step=train.examples_per_step,
        micro_batch_tokens=task.micro_batch_tokens,
        epochs=train.epochs,
        max_steps=train.max_steps,
        seed=task.recipe.seed,
        is_padded=task.forward.paths.attention == "padded",
        parts=_parts(task),
        virtual_tokens=0 if virtual is None or virtual.is_shared else virtual.num,
        passes=task.objective.passes if isinstance(task.objective, OnlineObjective) else 1,
    )


def validated_at(train: TrainSpec, steps: StepPlan) -> frozenset[int]:
    """Steps after which the validation split is judged."""
    return evenly_spaced(steps.num_steps, max(1, round(train.evaluations_per_epoch * steps.num_steps / steps.steps_per_epoch)))


def num_trained(groups: Sequence[ParamGroup]) -> int:
    """Parameters that train, each once."""
    return sum(p.numel() for p in {id(p): p for group in groups for p in group.params}.values())


def _parts(task: Task) -> list[Part]:
    """The sets of a mixture, whose rows stand one set after the other; none without a mixture."""
    sets, by = task.data.sets, task.recipe.data.mix_by
    if not sets:
        return []
    counted = Counter(row.origin.task for row in task.splits["train"].rows)
    counts = {name: counted[name] for name in sets}
    takes = rows_per_epoch(counts, {name: one.weight for name, one in sets.items()}, by.rule, by.temperature)
    parts, start = list[Part](), 0
    for name, count in counts.items():
        parts.append(Part(start, count, takes[name]))
        start += count
    return parts


def make_plan(task: Task, groups: Sequence[ParamGroup], recipe: str) -> Plan:
    """The plan of a task whose method was applied."""
    train, rows, facts = task.recipe.train, task.splits["train"].rows, task.model.facts
    steps = step_plan(task)
    lengths = learned_sizes(task)
    all_tokens, tokens_per_epoch, total_tokens = sum(lengths), _tokens_per_epoch(lengths, steps), training_tokens(task)
    trainable = num_trained(groups)
    packed = [layer.packed for layer in task.forward.quantized_layers]
    sizes_of_packed = [weight.shape[0] * weight.shape[1] for weight in packed]
    total = sum(p.numel() for p in task.forward.parameters()) + sum(sizes_of_packed)
    kind = _cost_kind(task, trainable)
    longest = max(lengths)
    batch = min(max(task.micro_batch_tokens, longest), all_tokens)
    scored = task.encoded["train"].num_scored_tokens or sum(lengths) - sum(sizes(rows))
    memory_of = partial(
        training_memory,
        facts,
        num_trainable=trainable,
        micro_batch_tokens=batch,
        method=kind,
        optimizer=train.optimizer,
        weight_bytes=next(task.model.trunk.parameters()).element_size(),
        num_scored_tokens=math.ceil(batch * scored / all_tokens),
        logits_bytes=4 * facts.vocab_size * positions_at_a_time(facts.vocab_size, task.device),
        int8_base=task.method.base_precision == "int8",
        num_packed=sum(sizes_of_packed),
        packed_bytes=sum(weight.num_bytes for weight in packed),
        num_unpacked=max(sizes_of_packed, default=0),
        scatters=task.device.type != "cpu" or freed_memory_scatters(),
        num_made_again=num_made_again(task.model.trunk) if task.forward.computes_in == torch.float32 else (0, 0),
    )
    available = available_memory_bytes(task.device)
    recomputed = _recomputes(task, memory_of().total_bytes, available)
    memory = memory_of(recomputed=recomputed)
    mean_length = round(all_tokens / len(rows))
    flops = flops_per_token(facts, sequence_length=mean_length, method=kind, scored_share=scored / all_tokens, recomputed=recomputed)
    moments = moments_per_parameter(train.optimizer, train.momentum)
    return Plan(
        num_steps=steps.num_steps,
        steps_per_epoch=steps.steps_per_epoch,
        num_rows={name: len(split.rows) for name, split in task.splits.items()},
        num_tokens_per_epoch=tokens_per_epoch,
        num_training_tokens=total_tokens,
        trainable_parameters=trainable - sum(_held_still(group) for group in groups),
        total_parameters=total,
        attention=task.forward.paths.attention,
        attention_reason=task.forward.paths.attention_reason,
        head=task.forward.paths.head,
        activation_checkpointing=recomputed,
        peak_memory_bytes=memory.total_bytes,
        memory=asdict(memory),
        available_memory_bytes=available,
        train_seconds=_turns(task) * total_tokens * flops / (matmul_flops_per_second(task.device, task.forward.computes_in) * _EFFICIENCY),
        # what was trained, the best weights, and two checkpoints with their moments; a file of kept activations lives while it trains
        disk_bytes=4 * trainable * (2 + 2 * (1 + moments)),
        machine=machine_facts(task.device),
        recipe=recipe,
        tasks=_tasks(task, steps),
    )


def without_training(task: Task, recipe: str) -> Plan:
    """The plan of a task that trains nothing."""
    planned = make_plan(task, [], recipe)
    return replace(planned, num_steps=0, steps_per_epoch=0, num_tokens_per_epoch=0, num_training_tokens=0, train_seconds=0.0)


def sizes(rows: Sequence[Row]) -> list[int]:
    """Tokens of each row, without making the rows where they are kept as arrays."""
    return rows.num_tokens().tolist() if isinstance(rows, RowTable) else [row.num_tokens for row in rows]


def learned_sizes(task: Task) -> list[int]:
    """Tokens of each training row; of a prompt that a policy answers itself with its answers, each as long as it may be."""
    lengths = sizes(task.splits["train"].rows)
    if not isinstance(task.objective, OnlineObjective):
        return lengths
    answers = task.objective.num_answers * task.objective.max_new_tokens
    return [length + answers for length in lengths]


def _turns(task: Task) -> float:
    """How many times the time of the steps a training takes: a policy's answers are written and measured before they are learned from, which takes about as long as a step."""
    return 1 + 1 / task.objective.passes if isinstance(task.objective, OnlineObjective) else 1.0


def training_tokens(task: Task) -> int:
    """Tokens of all steps, about."""
    steps = step_plan(task)
    return round(_tokens_per_epoch(learned_sizes(task), steps) * steps.num_steps * steps.passes / steps.steps_per_epoch)


def _tokens_per_epoch(lengths: Sequence[int], steps: StepPlan) -> int:
    """Of a mixture as its sets have on average."""
    parts = steps.parts or (Part(0, len(lengths), len(lengths)),)
    return round(sum(p.per_epoch / p.num_rows * sum(lengths[p.start : p.start + p.num_rows]) for p in parts))


def _tasks(task: Task, steps: StepPlan) -> dict[str, dict[str, Any]]:
    seen = rows_seen(steps, steps.num_steps)
    return {
        name: {
            "train_rows": part.num_rows,
            "rows_per_epoch": part.per_epoch,
            "share": part.per_epoch / steps.rows_per_epoch,
            "rows_seen": rows,
        }
        for name, part, rows in zip(task.data.sets, steps.parts, seen, strict=True)
    }


def _recomputes(task: Task, peak_bytes: int, available_bytes: int) -> bool | Literal["feed_forward"]:
    """Whether the recipe asks for recomputed activations, or leaves it to the plan and memory would run out without."""
    engine, forward = task.recipe.engine, task.forward
    layers = checkpointed_layers(forward.trunk, is_encoder_decoder=forward.facts.is_encoder_decoder)
    if engine.exact_reference or forward.features is not None or not layers:
        return False
    if engine.activation_checkpointing == "feed_forward":
        return "feed_forward" if forward.recompute_feed_forward(on=False) else False  # how many there are that can
    return engine.activation_checkpointing is True or (engine.activation_checkpointing == "auto" and 0 < available_bytes < peak_bytes)


def _held_still(group: ParamGroup) -> int:
    """Numbers of the group's parameters that the optimizer holds and the method does not let move."""
    return 0 if group.num_trained is None else sum(p.numel() for p in group.params) - group.num_trained


def _cost_kind(task: Task, trainable: int) -> Literal["full", "lora", "head"]:
    trunk_trains = any(p.requires_grad for p in task.model.trunk.parameters())
    if not trunk_trains:
        return "head"
    return "full" if trainable > 0.5 * task.model.facts.num_parameters else "lora"
