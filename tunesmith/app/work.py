"""What an arm has to compute, counted from its rows before it begins: what the cost model takes."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, pstdev

from torch import nn

from tunesmith.app.learned import answers
from tunesmith.app.measurable import has_answer
from tunesmith.app.placing import tried
from tunesmith.app.plan import learned_sizes, num_trained, sizes, step_plan, training_tokens, validated_at
from tunesmith.app.rates import kept
from tunesmith.app.reference import needs_reference
from tunesmith.app.retention import Retention
from tunesmith.app.search_work import search_work
from tunesmith.app.stand_ins import StandIns
from tunesmith.app.task import Task, rows_to_answer
from tunesmith.comparison.cost_model import Kind, Work
from tunesmith.core.context import Variant
from tunesmith.core.layers import repeated_layers
from tunesmith.core.types import HeadObjective
from tunesmith.engine.layers import num_frozen_layers
from tunesmith.engine.optimizers import moments_per_parameter
from tunesmith.engine.scoring import at_once
from tunesmith.engine.tree import LEAST_SHARED_TOKENS, num_shared

__all__ = ["base_work", "counted", "training_work", "virtual_tokens"]

_AT_ONCE = 8192
"""Tokens of prompts, with their choices or their answers, that are computed or kept at a time."""
_ASKED = 200
"""Questions that tell how long they are."""
_ATTENDING = 5.0
"""An operation of attention to a beginning that many questions share takes as long as so many of a product: measured with 444 tokens before 500 questions of a model of 135 million parameters on
two cores."""


def counted(task: Task, retention: Retention, *, asks_base: bool, shown: Task | None = None) -> Work:
    """The work of a task's whole run, whose method was not applied yet.

    Args:
        retention: what is asked beside its own rows.
        asks_base: whether the base is asked too, and no earlier run has its answers.
        shown: the task as the model reads it, where a context stands beside what is trained.
    """
    learned = shown or task
    before = None if task.recipe.context is None else StandIns.of(task)
    read, written = _judged(learned) if before is None or task.recipe.trains else _in_context(task, before)
    read += 0 if before is None else _tried_tokens(task, before)
    read += sum(sum(one.lengths(task)) for one in retention.tasks.values()) * (2 if asks_base else 1)
    if needs_reference(task):
        read += sum(sum(sizes(split.rows)) for split in task.splits.values())
    if asks_base:
        base = base_work(task)
        read, written = read + base.read_tokens, written + base.written_tokens
    longer = 0 if before is None or task.recipe.trains else round(before.tokens(before.longest))
    asked = _asked_at_once(learned, longer)
    return replace(
        _learned(task, learned),
        read_tokens=read,
        written_tokens=written,
        batch_tokens=asked,
        kept_tokens=_kept_tokens(learned, longer),
        embedded_characters=0 if before is None else before.unmade_characters,
    )


def base_work(task: Task) -> Work:
    """That of asking the model as it is."""
    rows = round(sum(len(task.splits[name].rows) * _question_tokens(task, name) for name in ("test", *task.data.domains)))
    read, written = _written(task, _untrained_answer_tokens(task, in_context=False))
    return Work(
        kind="none",
        read_tokens=(rows if has_answer(task.recipe, task.kind) else 0) + read,
        written_tokens=written,
        batch_tokens=task.micro_batch_tokens,
    )


def _kind(task: Task, num_trained: int) -> Kind:
    return "full" if num_trained > 0.5 * task.model.facts.num_parameters else "adapter"


def _asked_at_once(task: Task, longer: int) -> int:
    """The most tokens that are read at a time, as far as there are so many. `longer`: tokens that stand before each row."""
    lengths = [_cut(task, length, longer) for split in task.splits.values() for length in sizes(split.rows)]
    shared = max(longer, _shared_tokens(task, "test"))
    return min(sum(lengths), max(at_once(task.micro_batch_tokens, shared), *lengths))


def _cut(task: Task, length: int, longer: int) -> int:
    """Tokens of a row with what stands before it, of which the model reads no more than it can."""
    return max(length, min(task.encoder.max_length, length + longer))


def training_work(task: Task) -> Work:
    """What the training adds, and the validations; before the method is applied."""
    trunk, groups = tried(task.method, task.model.trunk)
    train, lengths, steps = task.recipe.train, learned_sizes(task), step_plan(task)
    in_trunk = num_trained(groups)
    heads = sum(spec.outputs * (task.model.facts.hidden_size + 1) for spec in task.objective.heads(task.encoder).values())
    added = max(0, sum(p.numel() for p in trunk.parameters()) - sum(p.numel() for p in task.model.trunk.parameters()))
    virtual = virtual_tokens(task)
    validated = sizes(task.splits["validation"].rows)
    share = training_tokens(task) / max(1, sum(lengths))
    kind = _kind(task, in_trunk) if any(p.requires_grad for p in trunk.parameters()) else "head"
    return Work(
        kind=kind,
        num_steps=steps.num_steps,
        train_tokens=round(share * (sum(lengths) + virtual * len(lengths))),
        epoch_tokens=sum(lengths) + virtual * len(lengths),
        validated_tokens=sum(validated) + virtual * len(validated),
        num_validations=len(validated_at(train, steps)) if validated else 0,
        frozen_share=_frozen_share(task, trunk),
        keeps_frozen=_keeps_features(task) if kind == "head" else not _drops_out(trunk),
        num_trained=in_trunk + heads,
        num_added=added
        + heads
        + (in_trunk if getattr(task.objective, "needs_reference", "") in ("live", "swapped") or task.rewards is not None else 0),
        num_moments=moments_per_parameter(train.optimizer, train.momentum),
        step_tokens=min(max(task.micro_batch_tokens, *lengths), _largest_step(lengths, train.examples_per_step, virtual), sum(lengths)),
    )


def _frozen_share(task: Task, trunk: nn.Module) -> float:
    """Of the layers, those that run once a row; none where something before them trains."""
    layers = repeated_layers(trunk)
    num_frozen = num_frozen_layers(layers)
    below = {id(p) for layer in layers for p in layer.parameters()}
    is_below = any(p.requires_grad for p in trunk.parameters() if id(p) not in below)
    return 0.0 if task.forward.paths.attention != "packed" or is_below or num_frozen == len(layers) else num_frozen / len(layers)


def _keeps_features(task: Task) -> bool:
    """Whether a new head reads what a frozen model made of each row once."""
    return not task.recipe.engine.exact_reference and isinstance(task.objective, HeadObjective) and task.objective.reads == "answer"


def _drops_out(trunk: nn.Module) -> bool:
    """Whether a layer that does not train drops out at random while others train."""
    layers = repeated_layers(trunk)
    return any(isinstance(one, nn.Dropout) and one.p > 0 for layer in layers[: num_frozen_layers(layers)] for one in layer.modules())


def _largest_step(lengths: Sequence[int], num_examples: int, virtual: int) -> int:
    """Tokens that hardly any step has more of: three standard deviations above the mean of so many rows, and no more than the longest rows have."""
    usual = num_examples * fmean(lengths) + 3 * math.sqrt(num_examples) * pstdev(lengths)
    return round(min(usual, num_examples * max(lengths))) + num_examples * virtual


def _judged_tokens(task: Task) -> int:
    """What the rows of a causal model begin with in common is read once, and not counted."""
    return sum(_distinct_tokens(task, name) for name in ("test", *task.data.domains))


def _distinct_tokens(task: Task, name: str) -> int:
    lengths = sizes(task.splits[name].rows)
    shared = 0 if isinstance(task.objective, HeadObjective) else _shared_tokens(task, name)
    return sum(max(1, length - shared) for length in lengths)


def _shared_tokens(task: Task, name: str) -> int:
    """With how many equal tokens all questions of a split begin that a causal model is asked: what opens a conversation. Raw texts begin with nothing in common."""
    facts, examples = task.model.facts, task.splits[name].examples[:_ASKED]
    is_tree = facts.has_lm_head and facts.is_causal and task.forward.paths.attention == "packed"
    if not is_tree or task.kind == "language_modelling" or len(examples) < 2:
        return 0
    prompts = task.encoder.prompts(examples)
    shared = min(
        num_shared(min(prompts), max(prompts)), *(len(one) - 1 for one in prompts)
    )  # in order, what the first and the last share, all share
    return shared if shared >= LEAST_SHARED_TOKENS else 0


def _learned(task: Task, shown: Task) -> Work:
    """Of the steps, or of the search, if there is either. `shown`: the task as the model reads it."""
    if task.is_searched:
        return search_work(task, _untrained_answer_tokens(task, in_context=False))
    return training_work(shown) if task.takes_steps else Work(kind="none")


def _num_judged(task: Task) -> int:
    return sum(len(task.splits[name].rows) for name in ("test", *task.data.domains))


def _judged(task: Task) -> tuple[int, int]:
    """Tokens that the tuned model reads and writes: its answers are as long as those that it learned."""
    read, written = _written(task, _untrained_answer_tokens(task, in_context=False) if task.is_searched else _answer_tokens(task))
    return _judged_tokens(task) + virtual_tokens(task) * _num_judged(task) + read, written


def virtual_tokens(task: Task) -> int:
    """Learned ones that stand before every row; of a causal model they stand in a stream once."""
    return 0 if task.model.facts.is_causal else task.method.virtual_tokens


def _answer_tokens(task: Task) -> int:
    """Of an answer as the training rows have them, as far as it may be written."""
    facts, rows = task.encoded["train"], len(task.splits["train"].rows)
    return min(task.recipe.evaluate.max_new_tokens, round(facts.num_scored_tokens / max(1, rows)))


def _untrained_answer_tokens(task: Task, *, in_context: bool) -> int:
    """Of an answer of the model as it is, as a probe found it; as long as it may be where none did."""
    asked = task if in_context else replace(task, recipe=task.recipe.model_copy(update={"context": None}))
    found = kept(asked, "write")
    most = task.recipe.evaluate.max_new_tokens
    return most if found is None or found.answer_tokens is None else min(most, math.ceil(found.answer_tokens))


def _written(task: Task, answer_tokens: int) -> tuple[int, int]:
    """Tokens of the prompts that are answered in the model's own words, but for what all begin with, and of the answers."""
    if task.kind == "language_modelling":
        written = task.recipe.evaluate.max_new_tokens * (task.recipe.evaluate.continuations + len(task.recipe.evaluate.prompts))
        return 0, written
    if not answers(task.kind):
        return 0, 0
    read = written = 0
    for name in ("test", *task.data.domains):
        rows = task.splits[name].rows
        asked = rows_to_answer(task, task.splits[name].examples)
        mean = _distinct_tokens(task, name) / max(1, len(rows))
        read, written = read + round(len(asked) * max(0.0, mean - _answer_tokens(task))), written + len(asked) * answer_tokens
    return read, written + len(task.recipe.evaluate.prompts) * task.recipe.evaluate.max_new_tokens


def _kept_tokens(task: Task, longer: int) -> int:
    """Of prompts and answers, the most that are kept at a time, as far as there are so many. `longer`: tokens that stand before each prompt."""
    if not answers(task.kind):
        return 0
    rows = task.splits["test"].rows
    longest = _cut(task, round(_mean(sizes(rows))) + task.recipe.evaluate.max_new_tokens, longer)
    return min(_AT_ONCE, len(rows_to_answer(task, task.splits["test"].examples)) * longest)


def _in_context(task: Task, before: StandIns) -> tuple[int, int]:
    """Tokens of the test rows, read and written with something in the context: where it is not known which way to ask is chosen, in the longest, as more examples and passages mostly help."""
    variant, question, opening = before.longest, _question_tokens(task, "test"), _shared_tokens(task, "test")
    shown = _read_with(task, before, variant, _num_judged(task), question, opening)
    answer = _untrained_answer_tokens(task, in_context=True)
    read, written = _written(task, answer)
    num_written = (
        sum(len(rows_to_answer(task, task.splits[name].examples)) for name in ("test", *task.data.domains)) if answers(task.kind) else 0
    )
    longer = max(0.0, before.tokens(variant) - max(0, before.shared(variant) - opening))
    return round(shown + read + longer * num_written), written


def _tried_tokens(task: Task, before: StandIns) -> int:
    """Of the validation rows, in each way to ask that is tried."""
    variants = before.strategy.variants()
    num_rows = min(before.strategy.validation_rows, len(task.splits["validation"].examples)) if len(variants) > 1 else 0
    if not num_rows:
        return 0
    question, opening = _question_tokens(task, "validation"), _shared_tokens(task, "test")
    return round(sum(_read_with(task, before, variant, num_rows, question, opening) for variant in variants))


def _read_with(task: Task, before: StandIns, variant: Variant, num_rows: int, question: float, opening: int) -> float:
    """Tokens of so many questions of so many tokens with what stands before them; what is the same for all is read once a batch, and attended by each.

    Args:
        opening: tokens that all questions begin with anyway, of which `question` counts none.
    """
    shared = max(0, before.shared(variant) - opening)
    own = min(task.encoder.max_length, question + max(0.0, before.tokens(variant) - shared))
    batch = at_once(task.micro_batch_tokens, before.shared(variant))
    return num_rows * own * (1 + shared * _per_key(task)) + shared * max(1.0, num_rows * own / batch)


def _question_tokens(task: Task, split: str) -> float:
    """Of a row as the untrained model is asked, but for what all begin with: where it chooses among labels, they follow a question, which a head does not need."""
    if isinstance(task.objective, HeadObjective) and task.model.facts.has_lm_head and not task.model.facts.is_encoder_decoder:
        return _mean([len(prompt) for prompt in task.encoder.prompts(task.splits[split].examples[:_ASKED])]) - _shared_tokens(task, split)
    return _distinct_tokens(task, split) / max(1, len(task.splits[split].rows))


def _per_key(task: Task) -> float:
    """How many times the time of a token it takes that it attends to one more before it: two products of the model's width a layer, beside two operations for each of its other parameters."""
    facts = task.model.facts
    others = max(1, facts.num_parameters - facts.parts.get("embeddings", 0))
    return _ATTENDING * 4 * facts.hidden_size * facts.num_layers / (2 * others)


def _mean(values: Sequence[int]) -> float:
    return fmean(values) if values else 0.0
