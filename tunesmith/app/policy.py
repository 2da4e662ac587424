"""A language model before prompts: answers that it draws, what they are rewarded, and how far they are from what it said before training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tunesmith.app.judging import EncodedSplit
from tunesmith.app.learned import answers
from tunesmith.app.rewarding import Rewarded, Rewards, ready_rewards
from tunesmith.app.task import rows_to_answer
from tunesmith.app.tuned import Tuned
from tunesmith.core.errors import RecipeError
from tunesmith.core.events import Event, Stage
from tunesmith.core.rewards import Response
from tunesmith.core.types import Example, Output, Preference, Prompt, Ranked, Row, Segment, Unpaired
from tunesmith.engine.rollouts import Answers, answered, measure, write
from tunesmith.evaluation.score import text_of

if TYPE_CHECKING:
    from tunesmith.app.task import Task

__all__ = [
    "AskedPrompts", "PolicyRewards", "distances_of", "judge_policy", "prompts_of", "require_rewards", "responses_to", "with_rewards", "write_to",
]  # fmt: skip

_BATCH_TOKENS = 8192
"""Of prompts and answers that are kept at a time."""


@dataclass(frozen=True, slots=True)
class PolicyRewards:
    """What answers are trained by, and what judges them beside."""

    train: Rewards
    held_out: Rewards | None
    """Never trained by; None where the recipe has no such judge."""

    def __call__(self, responses: Sequence[Response]) -> tuple[Rewarded, Rewarded | None]:
        """What answers get from both. Raises: as `Rewards`."""
        return self.train(responses), None if self.held_out is None else self.held_out(responses)


def require_rewards(task: "Task", say: Callable[[Event], None]) -> PolicyRewards | None:
    """The rewards of a recipe of a language model: what a policy learns from, and what others are measured by; None where there are none.

    Raises: RecipeError, where a policy has none, or the model writes no answers.
    """
    recipe = task.recipe
    if task.kind != "policy":
        key = "rewards" if recipe.rewards else "evaluate.rewards" if recipe.evaluate.rewards else None
        if key is None:
            return None
        if not answers(task.kind):
            raise RecipeError(
                f"{recipe.name}: {key}: a model of {task.objective_name} writes no answers that could be rewarded. Leave it out."
            )
    if recipe.context is not None:
        raise RecipeError(
            f"{recipe.name}: rewards: are of what a model answers by itself, and context says what it is to be shown. Leave one of them out."
        )
    runs = dict[str, Tuned]()

    def told(run: str) -> None:
        say(Stage("rewards", run))

    train = ready_rewards(recipe, recipe.rewards, "rewards", runs, told)
    if train is None:
        raise RecipeError(
            f"{recipe.name}: rewards: missing: {task.objective_name if task.kind == 'policy' else 'evaluate.rewards'} needs what answers are rewarded. Set rewards, as [{{name: metric, metric: exact_match}}] (docs/rewards.md)."
        )
    return PolicyRewards(train, ready_rewards(recipe, recipe.evaluate.rewards, "evaluate.rewards", runs, told))


@dataclass(frozen=True, slots=True)
class AskedPrompts:
    """Prompts as rows, and the example and the reference of each."""

    rows: Sequence[Row]
    examples: Sequence[Example]
    references: Sequence[str]


def prompts_of(task: "Task", split: EncodedSplit, places: Sequence[int]) -> AskedPrompts:
    """The prompts of the examples at these places of a split. The rows of a policy are prompts already, one an example."""
    examples, references = [split.examples[place] for place in places], [split.references[place] for place in places]
    if task.kind == "policy":
        return AskedPrompts([split.rows[place] for place in places], examples, references)
    asked = [Prompt(one.prompt, one.origin) if isinstance(one, Preference | Ranked | Unpaired) else one for one in examples]
    prompts, reads_source = task.encoder.prompts(asked), task.model.facts.is_encoder_decoder
    sources = [Segment(task.encoder.encode(one).source) if reads_source else None for one in asked]
    rows = [
        Row((Segment(prompt),), example.origin, answers=(), source=source)
        for prompt, example, source in zip(prompts, examples, sources, strict=True)
    ]
    return AskedPrompts(rows, examples, references)


def write_to(
    task: "Task", asked: AskedPrompts, num_answers: int, seed: int, progress: Callable[[int], None] | None = None
) -> list[Answers]:
    """So many answers to each prompt, drawn at random, the same ones for a seed."""
    return write(
        task.forward, asked.rows, num_answers=num_answers, max_new_tokens=_longest(task), stop_tokens=task.stop_tokens, seed=seed,
        batch_tokens=_BATCH_TOKENS, progress=progress,
    )  # fmt: skip


def _longest(task: "Task") -> int:
    """Tokens of an answer: as the objective that learns from it says, else as the evaluation does."""
    return int(getattr(task.objective, "max_new_tokens", task.recipe.evaluate.max_new_tokens))


def responses_to(task: "Task", asked: AskedPrompts, written: Sequence[Answers]) -> list[Response]:
    """All answers, those to a prompt side by side."""
    found = list[Response]()
    for example, reference, one in zip(asked.examples, asked.references, written, strict=True):
        prompt = text_of(example)
        for tokens, has_ended in zip(one.tokens, one.has_ended, strict=True):
            text = task.encoder.decode(tokens[:-1] if has_ended else tokens).strip()
            found.append(Response(example, prompt, text, reference, len(tokens), has_ended))
    return found


def distances_of(task: "Task", asked: AskedPrompts, written: Sequence[Answers]) -> list[float]:
    """log pi - log pi_ref of the one answer to each prompt, nats; zeros before anything trains."""
    forward, budget = task.forward, task.micro_batch_tokens
    if forward.reference is None:
        return [0.0] * len(asked.rows)
    rows = [answered(row, one.tokens, task.model.facts) for row, one in zip(asked.rows, written, strict=True)]
    policy = measure(forward, rows, micro_batch_tokens=budget)
    with forward.as_reference():
        reference = measure(forward, rows, micro_batch_tokens=budget)
    return [float((p.logprobs_N - r.logprobs_N).double().sum()) for p, r in zip(policy, reference, strict=True)]


def judge_policy(
    task: "Task", rewards: PolicyRewards, split: EncodedSplit, num_tried: int, tick: Callable[[int], None]
) -> tuple[list[Output], int]:
    """An answer to each of the first `evaluate.generate_limit` examples, of a mixture of each set, drawn with the recipe's seed, with its rewards and its distance; and how many had not ended.

    Args:
        num_tried: answers to each prompt, of which the one is taken that is rewarded most.
    """
    outputs = [Output()] * len(split.examples)
    places = rows_to_answer(task, split.examples)
    if not places:
        return outputs, 0
    asked = prompts_of(task, split, places)
    written = write_to(task, asked, num_tried, task.recipe.seed, lambda done: tick(done // num_tried))
    responses = responses_to(task, asked, written)
    found, held_out = rewards(responses)
    best = [max(range(at, at + num_tried), key=found.sums.__getitem__) for at in range(0, len(responses), num_tried)]
    bound = float(getattr(task.objective, "most_kl", 0.0))
    distances = [bound] * len(best) if num_tried > 1 else distances_of(task, asked, written)
    num_cut = 0
    for place, index, distance in zip(places, best, distances, strict=True):
        response = responses[index]
        num_cut += not response.has_ended
        outputs[place] = Output(
            text=response.text,
            rewarded=found.sums[index],
            held_out_reward=None if held_out is None else held_out.sums[index],
            kl_nats=distance,
            num_written=response.num_tokens,
        )
    return outputs, num_cut


def with_rewards(
    task: "Task", rewards: PolicyRewards, split: EncodedSplit, outputs: Sequence[Output], tick: Callable[[int], None]
) -> list[Output]:
    """What a model that learned from something else says, with what answers that it draws are rewarded beside. Its text stays the likeliest one."""
    drawn, _ = judge_policy(task, rewards, split, 1, tick)
    kept = ("rewarded", "held_out_reward", "kl_nats", "num_written")
    return [replace(one, **{name: getattr(other, name) for name in kept}) for one, other in zip(outputs, drawn, strict=True)]
