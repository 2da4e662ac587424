"""tunesmith's `dpo`, with the settings that a recipe has by default: a prompt is read once for its answers, and what the reference says is stored first."""

import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.legs._ours import adapted
from benchmarks.legs._pairs import report
from benchmarks.legs._run import main
from benchmarks.pairs import Learned, Pair, Pairs
from benchmarks.workload import Config
from tunesmith import __version__
from tunesmith.core.batch import collate
from tunesmith.core.types import Encoded, Origin, Row
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import pack
from tunesmith.engine.scoring import score_answers
from tunesmith.model.load import load
from tunesmith.objective._answers import answered_row
from tunesmith.objective.dpo import DPO

__all__ = ["MICRO_BATCH_TOKENS", "leg", "row_of"]

MICRO_BATCH_TOKENS = 512
"""As `engine.micro_batch_tokens` says it in a recipe."""


def row_of(pair: Pair, index: int) -> Row:
    """A pair as tunesmith's own encoding makes it."""
    start = len(pair.prompt)
    wholes = [
        Encoded(tokens=(*pair.prompt, *answer), token_types=(), scored=(*(False,) * start, *(True,) * len(answer)))
        for answer in (pair.chosen, pair.rejected)
    ]
    row = answered_row(pair.prompt, wholes, Origin("pairs.json", index + 1))
    assert row is not None
    return row


def leg(
    workload: Path,
    folder: Path,
    config: Config,
    num_steps: int | None = None,
    micro_batch_tokens: int = MICRO_BATCH_TOKENS,
    recomputes: bool | int = False,
) -> Learned:
    """Train on packed micro-batches. `config` says only whose order of the pairs it is.

    Args:
        num_steps: of a trial.
        recomputes: whether what is as wide as the feed-forward parts is computed a second time (`engine.activation_checkpointing: feed_forward`).
    """
    pairs = Pairs.read(workload)
    settings, start, budget = pairs.settings, workload / "start", micro_batch_tokens
    model = load(settings.model, need="lm")
    started = time.perf_counter()
    forward, method, groups = adapted(model, start)
    if recomputes:
        forward.recompute_feed_forward()
    rows = [row_of(pair, index) for index, pair in enumerate(pairs.in_order(config, num_steps))]
    found = score_answers(forward, rows, micro_batch_tokens=budget)
    rows = [replace(row, values={"reference": reference}) for row, reference in zip(rows, found, strict=True)]
    rows *= settings.epochs if num_steps is None else 1
    count = len(rows) // settings.examples_per_step
    torch.manual_seed(settings.seed)
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    plan = TrainingPlan(count, count, settings.learning_rate, "constant", 0, settings.max_grad_norm)
    taken = [rows[at : at + settings.examples_per_step] for at in range(0, len(rows), settings.examples_per_step)]
    steps = ([collate([part[i] for i in own], model.facts) for own in pack([row.num_tokens for row in part], budget)] for part in taken)
    losses = [step.loss for step in train(forward, DPO(beta=pairs.beta), steps, plan, state)]
    seconds = time.perf_counter() - started
    method.save(model.trunk, folder / "adapter")
    return report(
        pairs,
        config,
        num_steps,
        folder / "adapter",
        first_loss=losses[0],
        seconds=seconds,
        version=__version__,
        setting=f"{budget} tokens at a time",
    )


if __name__ == "__main__":
    main(leg)
