"""Learning from a policy's own answers: the steps that rollouts make, the validation, and the pairs that best-of-n leaves."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from tunesmith.app.policy import AskedPrompts, PolicyRewards, distances_of, prompts_of, responses_to, write_to
from tunesmith.app.rewarding import Rewarded, Rewards
from tunesmith.app.task import Task
from tunesmith.app.training import Steps, Validation
from tunesmith.core.errors import DataError, Diverged
from tunesmith.core.events import Event, counted
from tunesmith.core.examples import Judged
from tunesmith.core.files import write_text
from tunesmith.core.rollout import Rollout
from tunesmith.core.statistics import ratio_sum
from tunesmith.core.types import Chat, Completion, Example, Message, Objective, OnlineObjective, Prompt, Row
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.packing import StepPlan
from tunesmith.engine.rollouts import Answers, answered, measure, rollout_steps
from tunesmith.evaluation.score import text_of

__all__ = ["PolicyValidator", "check_pairs", "make_policy_steps", "require_near", "write_pairs"]

_VALIDATED_ROWS = 64
"""Validation prompts that are answered at a time of the training."""


@dataclass(frozen=True, slots=True)
class PolicyValidator:
    """The validation prompts, answered by the policy as it is: selected by what it learns to make large, the reward less what the distance costs."""

    task: Task
    rewards: PolicyRewards
    select_by: str = "loss"
    higher_is_better: bool = False

    def __call__(self, forward: PackedForward, objective: Objective, micro_batch_tokens: int) -> Validation:
        """`loss` is beta, as the recipe says, times the distance minus the reward, an answer. Raises: Diverged, where the policy has gone too far."""
        task, split = self.task, self.task.splits["validation"]
        asked = prompts_of(task, split, range(min(len(split.examples), _VALIDATED_ROWS)))
        written = write_to(task, asked, 1, task.recipe.seed)
        responses = responses_to(task, asked, written)
        found, held_out = self.rewards(responses)
        distances = distances_of(task, asked, written)
        require_near(objective, distances)
        beta = float(getattr(objective, "beta", 0.0))
        losses = [beta * distance - reward for distance, reward in zip(distances, found.sums, strict=True)]
        metrics = {"reward": _mean(found.sums), "kl": _mean(distances)}
        metrics |= {} if held_out is None else {"held_out_reward": _mean(held_out.sums)}
        metrics |= {
            "answer_tokens": _mean([one.num_tokens for one in responses]),
            "ended": _mean([float(one.has_ended) for one in responses]),
        }
        sums, counts = np.array(losses)[:, None], np.ones((len(losses), 1))
        return Validation(ratio_sum(sums, counts), metrics, np.hstack([sums, counts]).tolist())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def require_near(objective: Objective, distances: Sequence[float]) -> None:
    """Raises: Diverged, where answers are further from the reference than the objective lets them be, on average."""
    limit, mean = float(getattr(objective, "max_kl", math.inf)), _mean(distances)
    if not mean <= limit:
        raise Diverged(
            f"the policy is {mean:.3g} nats an answer from the model as it was, and objective.max_kl is {limit:g}. Raise objective.beta, or lower train.learning_rate."
        )


def make_policy_steps(
    task: Task,
    rewards: PolicyRewards,
    objective: OnlineObjective,
    plan: StepPlan,
    folder: Path,
    say: Callable[[Event], None],
    show: Callable[[int, Mapping[str, object]], None],
) -> Steps:
    """From the step to begin with to the micro-batches of each step, which learn from rollouts that are made on the way.

    Args:
        folder: where rollouts are kept to go on from.
        show: is given the number of each rollout, from 0 on, and an answer of it, to be seen later.
    """

    def make(number: int, indices: Sequence[int]) -> list[Row]:
        split = task.splits["train"]
        asked = prompts_of(task, split, [split.owners[index] for index in indices])
        tick = counted(say, "rollout", len(indices) * objective.num_answers)
        written = write_to(task, asked, objective.num_answers, _seed(task.recipe.seed, number), tick)
        rollout = _measured(task, rewards.train, objective, asked, written)
        first = rollout.rewards[0]
        show(
            number,
            {
                "prompt": text_of(asked.examples[0]),
                "answer": task.encoder.decode(written[0].tokens[0]).strip(),
                "reward": first[0],
            },
        )
        return objective.learn_from(rollout)

    return lambda start: rollout_steps(plan, objective, task.model.facts, make, folder, start_step=start)


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def _measured(task: Task, rewards: Rewards, objective: OnlineObjective, asked: AskedPrompts, written: Sequence[Answers]) -> Rollout:
    """The answers with their rewards, and with what policy, reference and value head say of them. Raises: Diverged, where the policy has gone too far."""
    rows = [answered(row, one.tokens, task.model.facts) for row, one in zip(asked.rows, written, strict=True)]
    found: Rewarded = rewards(responses_to(task, asked, written))
    budget, num = task.micro_batch_tokens, objective.num_answers

    def grouped(values: Sequence[float]) -> list[Sequence[float]]:
        return [values[at : at + num] for at in range(0, len(values), num)]

    is_learned_once = objective.minibatches * objective.passes == 1 and objective.value_head is None
    policy = (
        []
        if is_learned_once and not objective.asks_reference
        else measure(task.forward, rows, micro_batch_tokens=budget, head=objective.value_head)
    )
    reference = list[Tensor]()
    if objective.asks_reference:
        with task.forward.as_reference():
            reference = [one.logprobs_N for one in measure(task.forward, rows, micro_batch_tokens=budget)]
    rollout = Rollout(
        rows,
        grouped(found.sums),
        [one.logprobs_N for one in policy],
        reference,
        [one.values_N for one in policy if one.values_N is not None],
        {name: grouped(values) for name, values in found.parts.items()},
        [list(one.has_ended) for one in written],
    )
    if rollout.reference:
        require_near(objective, [float((p - r).double().sum()) / num for p, r in zip(rollout.policy, rollout.reference, strict=True)])
    return rollout


def _turns(task: Task, example: Example) -> tuple[Message, ...]:
    """What was asked, as turns. Raises: DataError, where it is no conversation."""
    if isinstance(example, Judged):
        return example.prompt
    if isinstance(example, Prompt):
        return example.messages
    if not isinstance(example, Chat | Completion):
        raise DataError(
            f"objective.writes_pairs: pairs are of conversations, and the data gives {type(example).__name__} examples. Use prompts, pairs of texts or conversations."
        )
    return task.encoder.turns(example)[:-1]


def check_pairs(task: Task) -> None:
    """Raises: DataError, where pairs are to be written of what is no conversation."""
    if getattr(task.objective, "writes_pairs", False):
        for name in ("train", "test"):
            for example in task.splits[name].examples:
                _turns(task, example)


def write_pairs(task: Task, rewards: PolicyRewards, name: str, file: Path, tick: Callable[[int], None]) -> tuple[int, int]:
    """Keep the best and the worst of `num_tried` answers to each prompt of a split as a pair, a JSON line each, as the format `preference` reads them.

    Returns: how many pairs there are, and how many prompts all of whose answers were rewarded the same, or are the same, and give none.
    """
    split, num_tried = task.splits[name], int(task.objective.num_tried)  # type: ignore[attr-defined]  # of best_of_n
    asked = prompts_of(task, split, sorted(set(split.owners)))
    written = write_to(task, asked, num_tried, _seed(task.recipe.seed, 1), lambda done: tick(done // num_tried))
    responses = responses_to(task, asked, written)
    sums = rewards.train(responses).sums
    lines = list[str]()
    for at in range(0, len(responses), num_tried):
        order = sorted(range(at, at + num_tried), key=sums.__getitem__)
        worst, best = responses[order[0]], responses[order[-1]]
        if sums[order[-1]] > sums[order[0]] and best.text != worst.text and best.text and worst.text:
            prompt = [{"role": turn.role, "content": turn.content} for turn in _turns(task, best.example)]
            lines.append(
                json.dumps({"prompt": prompt, "chosen": best.text, "rejected": worst.text, "margin": sums[order[-1]] - sums[order[0]]})
            )
    write_text(file, "".join(f"{line}\n" for line in lines))
    return len(lines), len(asked.rows) - len(lines)
