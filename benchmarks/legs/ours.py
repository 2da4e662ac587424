"""tunesmith, with the settings that a recipe has by default."""

from collections.abc import Iterator
from pathlib import Path

import torch
from peft import LoraConfig

from benchmarks.legs._measure import Clock, main, report
from benchmarks.workload import Measured, TokenRow, Workload
from tunesmith import __version__
from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Origin, Row, Segment, Targets
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import StepPlan, pack, training_steps
from tunesmith.engine.probe import probe
from tunesmith.method.lora import LoRA
from tunesmith.model.load import load
from tunesmith.objective.sft import SFT
from tunesmith.recipe.models import EngineSpec


def _row(row: TokenRow, index: int) -> Row:
    targets = Targets(
        positions=tuple(place - 1 for place in row.scored),
        labels=tuple(row.tokens[place] for place in row.scored),
        weights=(1.0,) * len(row.scored),
        answers=(0,) * len(row.scored),
    )
    return Row((Segment(row.tokens),), Origin("rows.json", index + 1), targets)


def leg(workload: Workload, adapter: Path) -> Measured:
    """Train on packed micro-batches, and save the adapter."""
    settings, token_rows = workload.settings(), workload.rows("train")
    size, budget = settings.examples_per_step, EngineSpec().micro_batch_tokens
    model = load(settings.model, need="lm")
    forward = PackedForward(model.trunk, {}, model.facts, probe(model.trunk, model.facts))
    saved = LoraConfig.from_pretrained(str(workload.adapter))
    method = LoRA(r=saved.r, lora_alpha=saved.lora_alpha)
    groups = method.apply(model.trunk)
    method.load(model.trunk, workload.adapter)
    forward.use_fused_layers()
    rows, objective = [_row(row, index) for index, row in enumerate(token_rows)], SFT()
    num_steps = len(rows) // size
    order = StepPlan.of(len(rows) - size, examples_per_step=size, micro_batch_tokens=budget, epochs=1, max_steps=None, seed=settings.seed)

    drawn = list[TokenRow]()

    def steps() -> Iterator[list[Batch]]:
        yield [collate([rows[i] for i in group], model.facts) for group in pack([row.num_tokens for row in rows[:size]], budget)]
        for index, batches in enumerate(training_steps(rows[size:], order, objective, model.facts), 1):
            if index >= settings.num_warm_up_steps:
                drawn.extend(token_rows[row.origin.row - 1] for batch in batches for row in batch.rows)
            yield batches

    torch.manual_seed(settings.seed)
    optimizer = make_optimizer(groups, name="adamw", weight_decay=0.0)
    plan = TrainingPlan(num_steps, num_steps, settings.learning_rate, "constant", 0, settings.max_grad_norm)
    clock = Clock()
    for step in train(forward, objective, steps(), plan, TrainingState(optimizer)):
        clock.step_ended()
        if step.index == 1:
            clock.first_loss = step.loss
    assert clock.num_steps == num_steps, f"{clock.num_steps} steps instead of {num_steps}"
    return report(workload, clock, drawn, lambda folder: method.save(model.trunk, folder), __version__, adapter)


if __name__ == "__main__":
    main(leg)
