"""tunesmith, with the settings that a recipe has by default, for language models and for classifiers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from benchmarks.benches import Way
from benchmarks.legs._measure import Clock, main, report
from benchmarks.legs._model import HEAD
from benchmarks.workload import BenchmarkError, Config, Measured, Settings, TokenRow, Workload
from tunesmith import __version__
from tunesmith.app.training import Validator
from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Method, Objective, Origin, ParamGroup, Row, Segment, Targets
from tunesmith.engine.compiling import compile_layers
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.linear import times_transposed
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import pack
from tunesmith.engine.probe import probe
from tunesmith.method.full import Full
from tunesmith.method.head import Head as HeadAlone
from tunesmith.method.lora import LoRA
from tunesmith.model.heads import Head
from tunesmith.model.load import LoadedModel, load
from tunesmith.objective.classify import Classify
from tunesmith.objective.sft import SFT
from tunesmith.recipe.models import EngineSpec


def row_of(row: TokenRow, index: int) -> Row:
    """A row as tunesmith's own encoding makes it."""
    if row.label >= 0:
        return Row((Segment(row.tokens),), Origin("rows.json", index + 1), values={"label": (row.label,)})
    targets = Targets(
        positions=tuple(place - 1 for place in row.scored),
        labels=tuple(row.tokens[place] for place in row.scored),
        weights=(1.0,) * len(row.scored),
        answers=(0,) * len(row.scored),
    )
    return Row((Segment(row.tokens),), Origin("rows.json", index + 1), targets)


def _method(settings: Settings, start: Path, way: Way) -> Method:
    if settings.method == "lora":
        saved = LoraConfig.from_pretrained(str(start))
        return LoRA(r=saved.r, lora_alpha=saved.lora_alpha, base_precision="int8" if way == "int8" else "exact")
    return Full() if settings.method == "full" else HeadAlone()


def _ready(settings: Settings, start: Path, model: LoadedModel, way: Way) -> tuple[PackedForward, Method, list[ParamGroup]]:
    forward = PackedForward(model.trunk, {}, model.facts, probe(model.trunk, model.facts))
    method = _method(settings, start, way)
    groups = method.apply(model.trunk)
    if settings.method == "lora":
        method.load(model.trunk, start)
    forward.use_fused_layers()
    if method.base_precision == "int8":
        forward.use_int8_base()
    if settings.task == "classification":
        head = Head("label", model.facts.hidden_size, settings.num_classes, pooling="mean")
        head.load_state_dict({f"layers.0.{name}": tensor for name, tensor in load_file(start / HEAD).items()})
        forward.heads["label"] = head
        groups.append(ParamGroup("label", list(head.parameters())))
    forward.keep_features()
    return forward, method, groups


def _steps(rows: list[Row], settings: Settings, facts: Any) -> Iterator[list[Batch]]:
    size, budget = settings.examples_per_step, EngineSpec().micro_batch_tokens
    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        yield [collate([chosen[i] for i in group], facts) for group in pack([row.num_tokens for row in chosen], budget)]


def leg(workload: Workload, folder: Path, config: Config, way: Way = "plain") -> Measured:
    """Train on packed micro-batches. `config` says only whose order of the rows it is: the settings are the same.

    Raises: BenchmarkError, where layers are to be compiled and are not.
    """
    settings, rows = workload.settings(), workload.in_order(config)
    model = load(settings.model, need="lm" if settings.task == "language_model" else "encoder")
    num_steps = len(rows) // settings.examples_per_step
    clock = Clock(settings, num_steps, folder)
    forward, method, groups = _ready(settings, workload.start, model, way)
    objective: Objective = SFT() if settings.task == "language_model" else Classify()

    def save(to: Path) -> None:
        to.mkdir(parents=True, exist_ok=True)
        method.save(model.trunk, to)
        if settings.task == "classification":
            tensors = forward.heads["label"].layers[0].state_dict()  # type: ignore[index,union-attr]
            save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, to / HEAD)

    torch.manual_seed(settings.seed)
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    plan = TrainingPlan(num_steps, num_steps, settings.learning_rate, "constant", 0, settings.max_grad_norm)
    encoded = [row_of(row, index) for index, row in enumerate(rows)]
    if way != "plain":
        compiling = compile_layers(forward, objective, next(_steps(encoded, settings, model.facts))[0])
        if compiling.reason:
            raise BenchmarkError(f"the layers run uncompiled ({compiling.reason})")
    steps = _steps(encoded, settings, model.facts)
    for step in train(forward, objective, steps, plan, state):
        if step.index == 1:
            clock.first_loss = step.loss
        clock.step_ended(save)
    measured = report(workload, config, clock, __version__, times_transposed)
    if way != "int8":
        return measured
    held_out = [row_of(row, index) for index, row in enumerate(workload.held_out())]
    found = Validator(held_out, "loss", False)(forward, objective, EngineSpec().micro_batch_tokens)
    return replace(measured, own_held_out_loss=found.loss.value)


if __name__ == "__main__":
    main(leg)
