"""tunesmith's `grpo`, with TRL's default loss and else as a recipe has it by default: a prompt is computed once for all of its answers, written or learned from."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.legs._memory import peak_memory_bytes
from benchmarks.legs._ours import adapted
from benchmarks.legs._run import main
from benchmarks.rollouts import Prompts, Rewarded, reward
from benchmarks.workload import Config
from tunesmith import __version__
from tunesmith.core.rollout import Rollout
from tunesmith.core.types import Origin, Row, Segment
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import StepPlan
from tunesmith.engine.rollouts import answered, rollout_steps, write
from tunesmith.model.load import load
from tunesmith.objective.grpo import GRPO

__all__ = ["MICRO_BATCH_TOKENS", "leg", "prompt_row"]

MICRO_BATCH_TOKENS = 320
"""As `engine.micro_batch_tokens` says it in a recipe: the answers to one prompt at a time."""
_BATCH_TOKENS = 8192
"""Tokens of prompts and answers that are kept while answers are written, as in a run."""


def prompt_row(text: str, index: int, tokenizer: Any) -> Row:
    """What the user says, in the model's own template, as a row that waits for answers."""
    turns = [{"role": "user", "content": text}]
    tokens = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
    return Row((Segment(tuple(tokens)),), Origin("prompts.json", index + 1), answers=())


def leg(
    workload: Path,
    folder: Path,
    config: Config,
    num_steps: int | None = None,
    seed: int = 0,
    micro_batch_tokens: int = MICRO_BATCH_TOKENS,
    is_rounded: bool | int = False,
) -> Rewarded:
    """Write answers to each step's prompts, reward them, learn from them once. `config` says nothing here: there is one.

    Args:
        folder: the trained adapter and the rollouts are saved in it.
        num_steps: of a trial.
        seed: of what is drawn.
        is_rounded: whether the policy stands on a base in int8 (`method.base_precision: int8`), when it writes and when it learns.
    """
    given = Prompts.read(workload)
    settings, start = given.settings, workload / "start"
    model = load(settings.model, need="lm")
    tokenizer: Any = model.tokenizer
    started = time.perf_counter()
    forward, method, groups = adapted(model, start)
    if is_rounded:
        forward.use_int8_base()
    prompts = [prompt_row(text, index, tokenizer) for index, text in enumerate(given.in_order(num_steps))]
    objective = GRPO(num_answers=given.num_answers, max_new_tokens=given.max_new_tokens, beta=0.0, loss_type="dapo")
    rewards, lengths = list[float](), list[int]()

    def make(number: int, _indices: Sequence[int]) -> list[Row]:
        at = number * settings.examples_per_step
        asked = prompts[at : at + settings.examples_per_step]  # in their own order, as every side sees them
        written = write(
            forward, asked, num_answers=given.num_answers, max_new_tokens=given.max_new_tokens, stop_tokens=[tokenizer.eos_token_id],
            seed=seed * len(prompts) + number, batch_tokens=_BATCH_TOKENS,
        )  # fmt: skip
        found = [[reward(tokenizer.decode(answer, skip_special_tokens=True)) for answer in one.tokens] for one in written]
        rewards.extend(value for group in found for value in group)
        lengths.extend(len(answer) for one in written for answer in one.tokens)
        rows = [answered(row, one.tokens, model.facts) for row, one in zip(asked, written, strict=True)]
        return objective.learn_from(Rollout(rows, found, [], [], [], {}, [one.has_ended for one in written]))

    count = len(prompts) // settings.examples_per_step
    plan = StepPlan(len(prompts), settings.examples_per_step, micro_batch_tokens, count, seed)
    torch.manual_seed(seed)
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    training = TrainingPlan(count, count, settings.learning_rate, "constant", 0, settings.max_grad_norm)
    (folder / "rollouts").mkdir(parents=True)
    for _ in train(forward, objective, rollout_steps(plan, objective, model.facts, make, folder / "rollouts"), training, state):
        pass
    seconds = time.perf_counter() - started
    peak = peak_memory_bytes()
    method.save(model.trunk, folder / "adapter")
    setting = f"{micro_batch_tokens} tokens at a time"
    return Rewarded.of(given, rewards, lengths, seconds=seconds, peak_memory_bytes=peak, version=__version__, setting=setting)


if __name__ == "__main__":
    main(leg)
