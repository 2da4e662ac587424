"""What stands in a model's context is chosen on validation rows, before anything is trained: then the model is trained so, where the recipe trains, and judged so."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any, TypeVar

import numpy as np

from tunesmith.app.fitting import fitting_metrics, make_metrics
from tunesmith.app.judged import Judgement, judge, judge_zero_shot
from tunesmith.app.judging import EncodedSplit, choose, score, zero_shot
from tunesmith.app.kept_index import check_searched, indexing_seconds
from tunesmith.app.known_ways import known_way
from tunesmith.app.measurable import Measurable
from tunesmith.app.shots import Pool, Put, Shots, answer_room, longest_of, strategy_of
from tunesmith.app.task import Say, Task, label_texts, rows_to_answer
from tunesmith.comparison.halving import best_first
from tunesmith.core.context import Strategy, Variant
from tunesmith.core.errors import DataError, RecipeError, TunesmithError
from tunesmith.core.events import Notice, Progress, silence
from tunesmith.core.examples import Conversation
from tunesmith.core.types import Example, HeadObjective, Labelled, Metric, Output
from tunesmith.data import ChatEncoder, EncodedFacts, TextEncoder, chosen, encode
from tunesmith.evaluation.score import evaluate_metric, text_of
from tunesmith.model.source import Request, resolve
from tunesmith.report.numbers import numbered

__all__ = [
    "InContext",
    "as_read",
    "check_asked",
    "check_context",
    "choice_facts",
    "choose_variant",
    "in_context",
    "judge_in_context",
    "num_short",
    "pool_of",
    "rows_of",
    "shown_in",
    "worded",
]

E = TypeVar("E", bound=TextEncoder | ChatEncoder)

_MOST_ROWS = 2000
"""Training rows whose answers say how long answers are."""
_TEMPLATE_TOKENS = 8
"""What a template may put behind an answer."""
_AT_A_TIME = 512
"""Questions that are looked up together."""


@dataclass(frozen=True, slots=True)
class InContext:
    """What was chosen, and what the model reads by it."""

    shots: Shots
    tried: list[dict[str, Any]]
    """Every way to ask, with what validation rows said of it; empty where there was one alone."""
    task: Task
    """The run's, with its rows as the model reads them."""
    facts: dict[str, Any]
    """Report.json's `context`."""


def check_context(task: Task) -> None:
    """Raises: RecipeError, where the model is none that a context could help; as `check_asked`."""
    facts = task.model.facts
    if task.recipe.context is None:
        return
    if not facts.has_lm_head or facts.is_encoder_decoder:
        raise RecipeError(
            f"{task.recipe.name}: context: {facts.name} does not go on with a text, so that what stands before a question says nothing to it. Use a causal language model, or train without it: context=null."
        )
    check_asked(task)


def check_asked(task: Measurable) -> None:
    """Raises: RecipeError, where data or objective are none that a context could help; UsageError, where an index that it names is not there, or made by another encoder."""
    recipe = task.recipe
    where = f"{recipe.name}: context"
    if task.data.sets:
        raise RecipeError(f"{where}: is for one data set, and data.mix has {len(task.data.sets)}. Name one as data.train.")
    if task.kind not in ("classification", "generation") or not isinstance(task.data.rows[0], Conversation):
        raise RecipeError(
            f"{where}: helps a model to answer; the objective {task.objective_name} asks it no question. Use labelled texts, pairs or conversations."
        )
    if recipe.trains and isinstance(task.objective, HeadObjective):
        raise RecipeError(
            f"{where}: the head of {task.objective_name} reads the text alone, and {recipe.method.name} would be trained under it. Learn the labels as answers: objective=sft."
        )
    if recipe.data.loss_on == "all":
        raise RecipeError(f"{where}: data.loss_on: all would measure how likely the context itself is. Leave data.loss_on out.")
    strategy = strategy_of(recipe)
    if strategy.calibrate and task.kind != "classification":
        raise RecipeError(f"{where}.calibrate: is for labels, and {task.objective_name} asks for text. Leave it out.")
    _check_named(task, strategy, where)
    check_searched(strategy)
    variants = strategy.variants()
    if len(variants) > 1 and not len(task.splits["validation"].examples):
        raise RecipeError(
            f"{where}: {len(variants)} ways to ask are to be tried, and there are no validation rows. Set data.split.validation, or name one way (context.shots=[4])."
        )


def _check_named(task: Measurable, strategy: Strategy, where: str) -> None:
    """Raises: RecipeError, for a wording that does not fit the rows, or an encoder that is not there."""
    for template in {variant.template: None for variant in strategy.variants() if variant.template is not None}:
        try:
            worded(task.encoder, template).prompt(task.data.rows[0])
        except RecipeError as error:
            raise RecipeError(str(error).replace("data.template", f"{where}.templates")) from None
    if strategy.embedding_model:
        try:
            resolve(Request(strategy.embedding_model))
        except TunesmithError as error:
            raise type(error)(f"{where}: the encoder of the examples: {error}") from None


def in_context(task: Task, kept: tuple[Shots, list[dict[str, Any]]] | None, say: Say) -> InContext:
    """Choose among the strategy's variants by what the model, not trained yet, says of validation rows. Test rows play no part.

    Args:
        kept: what was chosen and tried before, which is taken in place.
    Raises: DataError, RecipeError.
    """
    metric = _metric(task)
    shots, tried = kept or choose_variant(task, _room(task), metric[1], lambda shots, rows: _tried(task, shots, rows, metric), say)
    shown, put = _shown(task, shots, say)
    about = {
        **choice_facts(task, shots, tried, metric),
        **_sizes(task, put),
        "num_cut": max(0, shown.encoded["test"].num_cut - task.encoded["test"].num_cut),
    }
    return InContext(shots, tried, shown, about)


def shown_in(task: Task, shots: Shots, say: Say) -> Task:
    """The task as a model reads it that is asked so."""
    return _shown(task, shots, say)[0]


def as_read(task: Task) -> Task:
    """The task as the model reads it in training; of ways to ask that are still to be chosen in the one that was chosen before, or else takes most: for a plan, which asks no model."""
    if not task.recipe.trains or task.recipe.context is None:
        return task
    strategy = strategy_of(task.recipe)
    variant = known_way(task) or strategy.variants()[-1]
    pool = pool_of(task, worded(task.encoder, variant.template), _pool_examples(task, strategy))
    return shown_in(task, Shots(strategy, variant, pool, task.recipe.seed, _room(task), tuple(task.encoder.labels)), silence)


def choose_variant(
    task: Measurable, room: int, metric: Metric, try_one: Callable[[Shots, Sequence[Example]], Mapping[str, Any]], say: Say
) -> tuple[Shots, list[dict[str, Any]]]:
    """The way to ask that is best on validation rows, and what each that was tried came to; none was where there is one alone.

    Args:
        room: the most tokens of a prompt.
        try_one: asks rows in one way; gives `value`, by the metric, and what else is to be told of it.
    """
    strategy = strategy_of(task.recipe)
    variants, examples = strategy.variants(), _pool_examples(task, strategy)
    shots = Shots(strategy, variants[0], Pool(), task.recipe.seed, room, tuple(task.encoder.labels))
    if strategy.documents:
        shots.searched(say)
    templates = {variant.template: None for variant in variants}
    pools = {template: pool_of(task, worded(task.encoder, template), examples) for template in templates}
    variant, tried = variants[0], list[dict[str, Any]]()
    if len(variants) > 1:
        rows = _first(task.splits["validation"].examples, strategy.validation_rows)
        for number, one in enumerate(variants):
            say(Progress("ways to ask", number, len(variants)))
            tried.append({**asdict(one), **try_one(shots.of(one, pools[one.template]), rows)})
        variant = variants[best_first([(one["value"], 0.0) for one in tried], higher_is_better=metric.higher_is_better is True)[0]]
        say(Notice(f"of {len(variants)} ways to ask, validation is best with {_named(variant)}."))
    return shots.of(variant, pools[variant.template]), tried


def choice_facts(task: Measurable, shots: Shots, tried: Sequence[Mapping[str, Any]], metric: tuple[str, Metric]) -> dict[str, Any]:
    """What was chosen, and by what, as report.json's `context` has it."""
    strategy = shots.strategy
    return {
        "strategy": task.recipe.context.name if task.recipe.context else "",
        "choose_by": getattr(strategy, "choose_by", None),
        "index": strategy.index or strategy.documents or None,
        "index_seconds": indexing_seconds(shots.searched()) if strategy.documents else None,
        "chosen": asdict(shots.variant),
        "calibrate": strategy.calibrate,
        "metric": metric[0],
        "higher_is_better": metric[1].higher_is_better is True,
        "validation_rows": min(strategy.validation_rows, len(task.splits["validation"].examples)) if tried else 0,
        "tried": list(tried),
    }


def judge_in_context(chosen: InContext, say: Say) -> Judgement:
    """The model as it is now, on the test split and every domain, in the context that was chosen."""
    shown, shots = chosen.task, chosen.shots
    if isinstance(shown.objective, HeadObjective):
        return judge_zero_shot(shown, say, calibrate=shots.strategy.calibrate)
    return judge(shown, say, asked=lambda prompts: shots.put(prompts, shown.encoder).examples)


def rows_of(task: Measurable) -> Sequence[Example]:
    """The training rows, also where documents are learned in their place."""
    return task.splits["train"].examples if task.recipe.data.documents is None else task.data.rows


def _pool_examples(task: Measurable, strategy: Strategy) -> list[Example]:
    train = rows_of(task)
    count = min(strategy.pool_rows, len(train))
    if not count:
        return []
    drawn = np.random.default_rng(task.recipe.seed).choice(len(train), count, replace=False)
    return list(chosen(train, sorted(int(place) for place in drawn)))


def pool_of(task: Measurable, encoder: TextEncoder | ChatEncoder, examples: Sequence[Example]) -> Pool:
    """Training rows as they stand before a question. Raises: DataError, where none has an answer."""
    turns, labels, texts = list[Any](), list[str](), list[str]()
    # where a head would be read, the labels' words are scored; a language model that learned labels as answers is asked for their names
    words = (
        dict(zip(task.encoder.labels, label_texts(task.recipe, task.encoder.labels), strict=True))
        if isinstance(task.objective, HeadObjective)
        else {}
    )
    for example in examples:
        assert isinstance(example, Conversation)
        label = example.label or "" if isinstance(example, Labelled) else ""
        said = encoder.turns(replace(example, label=words.get(label, label)) if isinstance(example, Labelled) else example)
        if said:
            turns.append(said)
            labels.append(label)
            texts.append(text_of(example))
    if examples and not turns:
        raise DataError(f"{task.recipe.data.named}: no training row has an answer that could be shown. Bring rows with answers.")
    return Pool(turns, labels, texts)


def worded(encoder: E, template: str | None) -> E:
    """The encoder with another wording. `template`: None: its own."""
    return encoder if template is None else replace(encoder, template=template)


def _first(examples: Sequence[Example], count: int) -> list[Example]:
    return list(chosen(examples, list(range(min(count, len(examples))))))


def _metric(task: Task) -> tuple[str, Metric]:
    """What decides: of labels and of answers to choose among the first metric, of open answers how likely the right ones are."""
    examples = task.splits["test"].examples or task.splits["train"].examples
    if task.kind == "classification":
        name = task.metrics[0] if task.select_by == "loss" else task.select_by
    else:
        name = "accuracy" if task.encoder.choices(examples[0]) else "bits_per_byte"
        assert name in fitting_metrics(task.objective, examples[:1], is_mixed=False)
    return name, make_metrics(task.recipe, [name], task.encoder.labels)[name]


def _tried(task: Task, shots: Shots, rows: Sequence[Example], metric: tuple[str, Metric]) -> dict[str, Any]:
    encoder = worded(task.encoder, shots.variant.template)
    put = shots.put(rows, encoder)
    shown = replace(task, encoder=encoder, splits={}, encoded={})
    outputs, kept = _outputs(shown, put.examples, calibrate=shots.strategy.calibrate)
    references = [_reference(shown, example) for example in kept]
    found = evaluate_metric(metric[1], kept, outputs, references, seed=task.recipe.seed).interval
    return {**asdict(found), "tokens": fmean(put.num_tokens), "num_short": num_short(put)}


def _outputs(task: Task, examples: Sequence[Example], *, calibrate: bool) -> tuple[list[Output], Sequence[Example]]:
    """What is said to each, and the examples of it: without those that leave nothing to score."""
    if isinstance(task.objective, HeadObjective):
        return zero_shot(task, examples, label_texts(task.recipe, task.encoder.labels), task.model.tokenizer, calibrate=calibrate), examples
    if task.encoder.choices(examples[0]):
        return choose(task, examples), examples
    split, _ = _encoded(task, examples, (), "validation")
    return score(task, split), split.examples


def _reference(task: Task, example: Example) -> str:
    return task.objective.reference(example) if isinstance(task.objective, HeadObjective) else task.encoder.reference(example)


def _encoded(task: Task, examples: Sequence[Example], references: Sequence[str], name: str) -> tuple[EncodedSplit, EncodedFacts]:
    """Every example keeps its place, also one that leaves nothing to score."""
    encoded = encode(examples, task.objective, task.encoder, name=name)
    return EncodedSplit(examples, encoded.rows, encoded.examples, references), encoded.facts


def _shown(task: Task, shots: Shots, say: Say) -> tuple[Task, Put]:
    """The task as the model reads it, training and validation rows too where it trains, and what stands before the test rows."""
    encoder = worded(task.encoder, shots.variant.template)
    shown = replace(task, encoder=encoder, splits=dict(task.splits), encoded=dict(task.encoded))
    puts = dict[str, Put]()
    learned = ("train",) if task.recipe.trains and task.recipe.data.documents is None else ()  # a document asks nothing
    for name in (*learned, *(("validation",) if task.recipe.trains else ()), "test", *task.data.domains):
        split = task.splits[name]
        puts[name] = _put(shots, split.examples, encoder, f"context {name}", say)
        if isinstance(task.objective, HeadObjective):
            shown.splits[name] = EncodedSplit(puts[name].examples, (), (), split.references)
        else:
            shown.splits[name], shown.encoded[name] = _encoded(shown, puts[name].examples, split.references, name)
    return shown, puts["test"]


def _put(shots: Shots, examples: Sequence[Example], encoder: TextEncoder, stage: str, say: Say) -> Put:
    """As `Shots.put`, telling how many are done."""
    put = Put([], [], [])
    for at in range(0, len(examples), _AT_A_TIME):
        part = shots.put(examples[at : at + _AT_A_TIME], encoder)
        put.examples.extend(part.examples)
        put.num_left_out.extend(part.num_left_out)
        put.num_tokens.extend(part.num_tokens)
        say(Progress(stage, len(put.examples), len(examples)))
    return put


def _room(task: Task) -> int:
    """The most tokens of a prompt, by the answers of training rows: those of test rows are not known when the model is used."""
    tokenizer, encoder = task.model.tokenizer, task.encoder
    if task.kind == "classification":
        return answer_room(encoder, longest_of(tokenizer, label_texts(task.recipe, task.encoder.labels)))
    rows = _first(rows_of(task), _MOST_ROWS)
    answers = [text for example in rows for text in encoder.choices(example) or (encoder.reference(example),)]
    written = task.recipe.evaluate.max_new_tokens if rows_to_answer(task, rows[:1]) else 0
    return answer_room(encoder, max(longest_of(tokenizer, answers) + _TEMPLATE_TOKENS, written))


def _sizes(task: Task, put: Put) -> dict[str, Any]:
    """What the context of the test rows costs."""
    if not put.num_tokens:
        return {"window_tokens": task.encoder.max_length, "tokens": None, "plain_tokens": None, "num_left_out": 0, "num_short": 0}
    plain = [len(prompt) for prompt in task.encoder.prompts(list(task.splits["test"].examples))]
    return {
        "window_tokens": task.encoder.max_length,
        "tokens": {"mean": fmean(put.num_tokens), "max": max(put.num_tokens)},
        "plain_tokens": {"mean": fmean(plain), "max": max(plain)},
        "num_left_out": sum(put.num_left_out),
        "num_short": num_short(put),
    }


def num_short(put: Put) -> int:
    """Questions that something had no room before."""
    return sum(num > 0 for num in put.num_left_out)


def _named(variant: Variant) -> str:
    said = [numbered(variant.num_passages, "passage") if variant.num_passages else numbered(variant.num_shots, "example")]
    said += [f"in order {variant.order + 1}"] if variant.order else []
    said += [f"as {variant.template!r}"] if variant.template is not None else []
    return ", ".join(said)
