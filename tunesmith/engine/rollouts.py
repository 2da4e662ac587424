"""Rollouts: a policy's own answers to prompts, what it and its reference say of each token, and the steps that learn from them.

N targets of a row
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.core.batch import Batch, collate
from tunesmith.core.encoded import continued
from tunesmith.core.errors import RunError
from tunesmith.core.evaluating import evaluating
from tunesmith.core.files import write_json
from tunesmith.core.types import ModelFacts, OnlineObjective, Origin, Row, Segment, Targets
from tunesmith.engine.checkpoints import latest_checkpoint, step_of
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.generate import generate, longest_prompt
from tunesmith.engine.packing import StepPlan, evaluation_batches, pack, step_rows
from tunesmith.engine.sampling import Sampling

__all__ = ["Answers", "Measured", "answered", "measure", "rollout_steps", "write"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a policy wrote to one prompt."""

    tokens: Sequence[Sequence[int]]
    """Of each answer, with the token that ends it."""
    has_ended: Sequence[bool]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a model says of a row's targets, float32 on the CPU."""

    logprobs_N: Tensor
    """Nats."""
    values_N: Tensor | None
    """Of a head, where one was asked."""


def write(
    forward: PackedForward,
    prompts: Sequence[Row],
    *,
    num_answers: int,
    max_new_tokens: int,
    stop_tokens: Sequence[int],
    seed: int,
    batch_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> list[Answers]:
    """So many answers to each prompt, drawn as the policy has them: temperature 1, nothing left out. A prompt is computed once for its answers.

    Args:
        prompts: rows of a prompt each, without an answer.
        batch_tokens: tokens of prompts and answers that are kept at a time.
        progress: called with the number of answers done.
    """
    asked = [(row.source or row.segments[0]).tokens for row in prompts for _ in range(num_answers)]
    written = generate(
        forward, asked, max_new_tokens=max_new_tokens, stop_tokens=stop_tokens, batch_tokens=batch_tokens, sampling=Sampling(seed=seed), keeps_stop=True,
        progress=progress,
    )  # fmt: skip
    groups = [written[at : at + num_answers] for at in range(0, len(written), num_answers)]
    return [Answers(group, [answer[-1] in stop_tokens for answer in group]) for group in groups]


def answered(prompt: Row, answers: Sequence[Sequence[int]], facts: ModelFacts) -> Row:
    """The prompt with its answers, every token of which is scored."""
    asked = prompt.segments[0].tokens if facts.is_encoder_decoder else prompt.segments[0].tokens[-longest_prompt(facts) :]
    wholes = [((*asked, *answer), (*((False,) * len(asked)), *((True,) * len(answer)))) for answer in answers]
    return continued(asked, wholes, prompt.origin, source=prompt.source)


def measure(forward: PackedForward, rows: Sequence[Row], *, micro_batch_tokens: int, head: str | None = None) -> list[Measured]:
    """What the model says of the targets of each row, and what a head says there."""
    found = list[Measured | None]([None] * len(rows))
    with evaluating(forward), torch.no_grad():
        for batch, indices in evaluation_batches(rows, micro_batch_tokens, forward.facts):
            batch = batch.to(forward.device)
            with forward.once(batch):
                logprobs_N = forward.logprobs(batch, with_entropy=False)[0].float().cpu()
                values_N = None if head is None else forward.head(head, batch, at="target")[:, 0].float().cpu()
            sizes = [len(row.targets.labels) for row in batch.rows]
            values = [None] * len(sizes) if values_N is None else torch.split(values_N, sizes)
            for index, own_N, value_N in zip(indices, torch.split(logprobs_N, sizes), values, strict=True):
                found[index] = Measured(own_N, value_N)
    return [one for one in found if one is not None]


Make = Callable[[int, Sequence[int]], list[Row]]
"""From the number of a rollout and the numbers of its prompts to rows that are ready to be learned from."""


def rollout_steps(
    plan: StepPlan, objective: OnlineObjective, facts: ModelFacts, make: Make, folder: Path, *, start_step: int = 0
) -> Iterator[list[Batch]]:
    """The micro-batches of every step from `start_step` on. A rollout is made when its first step is asked for, so that the policy is the one that steps have left until then.

    A rollout is kept in `folder`, so that a step in its midst can be the next one after an interruption. Raises: RunError, where it should be there and is not.
    """
    per_rollout = objective.minibatches * objective.passes
    for number in range(start_step // per_rollout, -(-plan.num_steps // per_rollout)):
        first, file = number * per_rollout, folder / f"rollout-{number:06d}.json"
        parts = min(objective.minibatches, -(-(plan.num_steps - first) // objective.passes))  # what no step would learn from is not written
        if start_step > first:
            rows = _load(file, objective)
        else:
            if start_step == first and number:
                _go_on(folder / f"rollout-{number - 1:06d}.json", objective)
            asked = [step_rows(plan, number * objective.minibatches + part) for part in range(parts)]
            rows = make(number, [index for part in asked for index in part])
            _save(file, rows, objective)
            _remove_unneeded(folder, number, per_rollout)
        for turn in range(objective.passes):
            order = np.random.default_rng((plan.seed, number, turn)).permutation(len(rows))
            for part, chosen in enumerate(np.array_split(order, parts)):
                step = first + turn * parts + part
                if step >= plan.num_steps:
                    return
                if step >= start_step:
                    drawn = [rows[index] for index in chosen]
                    groups = pack(
                        [row.num_tokens + plan.virtual_tokens for row in drawn], plan.micro_batch_tokens, is_padded=plan.is_padded
                    )
                    yield [collate([drawn[index] for index in group], facts) for group in groups]


def _save(file: Path, rows: Sequence[Row], objective: OnlineObjective) -> None:
    write_json(file, {"state": dict(objective.state()), "rows": [asdict(row) for row in rows]}, indent=None)


def _remove_unneeded(folder: Path, number: int, per_rollout: int) -> None:
    """Remove rollouts before this one, but for the last of them and for the one that the latest checkpoint goes on with: a run that fails goes on from there."""
    latest = latest_checkpoint(folder)
    needed = {number - 1, number} | ({(step_of(latest) - 1) // per_rollout} if latest else set())
    for file in folder.glob("rollout-*.json"):
        if int(file.stem.removeprefix("rollout-")) not in needed:
            file.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunError(f"{file}: the rollout that this run was learning from is missing or broken. Train anew.") from None
    return found


def _go_on(file: Path, objective: OnlineObjective) -> None:
    """With what the objective knew after the rollout before."""
    objective.go_on(_read(file)["state"])


def _load(file: Path, objective: OnlineObjective) -> list[Row]:
    kept = _read(file)
    objective.go_on(kept["state"])
    return [_row(one) for one in kept["rows"]]


def _row(kept: Mapping[str, Any]) -> Row:
    def segment(one: Mapping[str, Any] | None) -> Segment | None:
        return None if one is None else Segment(tuple(one["tokens"]), tuple(one["token_types"]), one["parent"])

    targets = {name: tuple(value) for name, value in kept["targets"].items() if name != "values"}
    of_targets = {name: tuple(value) for name, value in kept["targets"]["values"].items()}
    return Row(
        tuple(one for one in map(segment, kept["segments"]) if one is not None),
        Origin(**kept["origin"]),
        Targets(**targets, values=of_targets),
        tuple(kept["answers"]),
        {name: tuple(value) for name, value in kept["values"].items()},
        segment(kept["source"]),
    )
