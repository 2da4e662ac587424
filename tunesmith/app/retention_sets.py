"""Which retention tasks a run has: those that its recipe names, or small general texts and the earlier runs that its model comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tunesmith.app.chosen_objective import choose_objective
from tunesmith.app.dataset import PreparedData, prepare_data
from tunesmith.app.fitting import make_metrics, measured_metrics
from tunesmith.app.placing import changes_nothing, trained_in_place
from tunesmith.app.plan import sizes, training_tokens
from tunesmith.app.retention import Retention, RetentionTask
from tunesmith.app.retention_kinds import BITS_PER_BYTE, EarlierRun, Halves, Likelihood, Questions
from tunesmith.app.run_recipe import run_recipe
from tunesmith.app.task import Task
from tunesmith.core import registry
from tunesmith.core.errors import DataError, FetchError, TunesmithError
from tunesmith.core.run import RunDirectory, find_run
from tunesmith.core.types import (
    Chat,
    Choice,
    Completion,
    Example,
    HeadObjective,
    Labelled,
    MultiLabelled,
    Objective,
    QuestionMetric,
    Rated,
    Text,
)
from tunesmith.data import Dataset, content_key, limited, read
from tunesmith.evaluation.forgetting import MIN_ROWS, first_words, rows_within
from tunesmith.evaluation.score import text_of
from tunesmith.model.facts import flops_per_token
from tunesmith.model.heads import load_heads
from tunesmith.recipe import Recipe, RetentionSpec, source_name

__all__ = ["GENERAL", "read_retention"]

_QUESTIONS = "general-questions"
GENERAL: tuple[tuple[str, ...], ...] = (
    ("editorials", "product-reviews", "movie-reviews", "tweets"),
    ("python-reference",),
    ("small-talk",),
    (_QUESTIONS,),
)
"""Of each group the first source that the run does not use itself: prose, technical prose, conversation, questions with choices."""
SHARE = 0.10
"""Of the work that training and judging are predicted to be, what `auto` may add: what is not predicted (reading the texts, intervals) has room below 0.15."""
_MOST_ROWS = 100
_GENERAL_WORDS, _OWN_WORDS = 40, 200
"""Words that are read of a text: of a general one, and of one that the recipe names."""
_LEAST_WORDS = 8
"""Texts of fewer words have no halves to speak of."""
_TEXTS = (Text, Labelled, MultiLabelled, Rated)
_ANSWERED = (Completion, Chat)
_ALWAYS_HERE = ("python-reference", _QUESTIONS)
"""They need no network."""


def read_retention(task: Task) -> Retention:
    """The tasks, read and cut to what may be spent on them.

    Raises: DataError, FetchError, where a set that the recipe names cannot be used; with `auto` such a set is left out.
    """
    wanted = task.recipe.evaluate.retention
    if wanted == "none":
        return Retention(left_out={"all": "evaluate.retention is none."})
    if changes_nothing(task.method, task.model.trunk):
        head = f"the method {task.recipe.method.name} trains nothing but a new head, and the model below it stays as it was."
        why = head if task.recipe.trains else "nothing is trained, and the model stays as it was."
        return Retention(left_out={"all": why}, keeps_base=True)
    if wanted == "auto" and task.model.source.drawn_by is not None:
        return Retention(left_out={"all": "the weights were random, and held nothing to forget."})
    found = _auto(task) if wanted == "auto" else Retention(_own_sets(task, wanted))
    return replace(found, keeps_base=not trained_in_place(task.method, task.model.trunk))


def _auto(task: Task) -> Retention:
    left_out = dict[str, str]()
    found = _earlier_runs(task, left_out) | _general_texts(task, left_out)
    counts = rows_within({name: one.lengths(task) for name, one in found.items()}, _most_tokens(task))
    left_out |= {name: f"would take more than {100 * SHARE:.0f} % of the run's work." for name in found if name not in counts}
    return Retention({name: found[name].first(count) for name, count in counts.items()}, left_out)


def _most_tokens(task: Task) -> float:
    """Tokens of one model's retention rows that, read by base and tuned, are `SHARE` of the predicted work.

    The plan's seconds are its operations over the machine's rate, which stands on both sides: so that the same run asks the same rows everywhere.
    """
    facts, train = task.model.facts, sizes(task.splits["train"].rows)
    length, scored = sum(train) // len(train), task.encoded["train"].num_scored_tokens / sum(train)
    judged = sum(sum(sizes(task.splits[name].rows)) for name in ("test", *task.data.domains))
    training = flops_per_token(facts, sequence_length=length, method="lora", scored_share=scored)
    reading = flops_per_token(facts, sequence_length=length, method="head", scored_share=scored)
    asking = flops_per_token(facts, sequence_length=2 * _GENERAL_WORDS, method="head", scored_share=float(_predicts_text(task)))
    return SHARE * (training_tokens(task) * training + 2 * judged * reading) / (2 * asking)


def _predicts_text(task: Task) -> bool:
    return task.model.facts.has_lm_head and (task.model.facts.is_causal or task.model.facts.is_encoder_decoder)


def _own_sets(task: Task, wanted: Mapping[str, RetentionSpec]) -> dict[str, RetentionTask]:
    """The sets that the recipe names. Raises: DataError, FetchError, naming the key."""
    datasets = dict[str, Dataset]()
    for name, spec in wanted.items():
        try:
            datasets[name] = read(spec.source, format=spec.format, columns=spec.columns, skip_invalid=task.recipe.data.skip_invalid)
        except (DataError, FetchError) as error:
            raise type(error)(f"evaluate.retention.{name}: {error}") from None
    found = dict[str, RetentionTask]()
    for name, examples in _unseen(task, datasets).items():
        if not examples:
            raise DataError(
                f"evaluate.retention.{name}: {source_name(wanted[name].source)} is what the run trains on or is judged by: it would show what is learned, "
                "not what is forgotten. Name other texts."
            )
        one = _task_of(task, datasets[name].facts.name, limited(examples, wanted[name].limit), _OWN_WORDS)
        if isinstance(one, str):
            raise DataError(f"evaluate.retention.{name}: {one}")
        found[name] = one
    return found


def _general_texts(task: Task, left_out: dict[str, str]) -> dict[str, RetentionTask]:
    """Of each group the first source that can be used; where one cannot be fetched, none that would have to be."""
    used = {facts.name for facts in task.data.facts.values()} | {one.facts.name for one in task.data.sets.values()}
    datasets, is_offline = dict[str, Dataset](), False
    for group in GENERAL:
        source = next((source for source in group if source not in used), None)
        if source is None or (is_offline and source not in _ALWAYS_HERE) or not _can_be_asked(task, source):
            continue
        try:
            datasets[source] = read(source)
        except TunesmithError as error:
            is_offline |= isinstance(error, FetchError)
            left_out[source] = str(error)
    found = dict[str, RetentionTask]()
    for source, examples in _unseen(task, datasets).items():
        kept = limited([example for example in examples if _is_long(example)], _MOST_ROWS)
        one = _task_of(task, source, sorted(kept, key=content_key), _GENERAL_WORDS)
        if not isinstance(one, str) and len(one.examples) >= MIN_ROWS:
            found[source] = one
    return found


def _can_be_asked(task: Task, source: str) -> bool:
    if task.model.facts.num_columns:  # it reads no texts
        return False
    if source == "small-talk" and not task.model.facts.is_encoder_decoder:
        return _predicts_text(task) and bool(task.model.tokenizer.chat_template)
    return source != _QUESTIONS or _predicts_text(task)


def _unseen(task: Task, datasets: Mapping[str, Dataset]) -> dict[str, Sequence[Example]]:
    """The rows whose text is none of the run's own; none at all of a source that it trains on."""
    trained_on = {task.data.facts["train"].name, *(one.facts.name for one in task.data.sets.values())}
    found = {name: dataset.examples if dataset.facts.name not in trained_on else [] for name, dataset in datasets.items()}
    keys = {content_key(example) for examples in found.values() for example in examples}
    own = {key for split in ("train", "validation", "test") for one in task.splits[split].examples if (key := content_key(one)) in keys}
    return {name: [example for example in examples if content_key(example) not in own] for name, examples in found.items()}


def _is_long(example: Example) -> bool:
    return isinstance(example, (*_ANSWERED, Choice)) or len(text_of(example).split()) >= _LEAST_WORDS


def _task_of(task: Task, name: str, examples: Sequence[Example], most_words: int) -> RetentionTask | str:
    """What examples of one kind are asked as, or why this model cannot be asked them. `most_words`: of a text; what is answered stays whole."""
    facts, kind = task.model.facts, type(examples[0]) if examples else Text
    if kind in (*_ANSWERED, Choice):
        if not _predicts_text(task):
            return f"{name} holds answers, and {facts.name} writes none. Name texts."
        questions = [example for example in examples if isinstance(example, Choice)]
        return Questions(name, questions, "{question}" if name == _QUESTIONS else None) if questions else Likelihood(name, examples)
    if kind not in _TEXTS:
        return f"{name} gives {kind.__name__} examples; a retention set holds texts, pairs or conversations. Set its columns or its format."
    texts = [Text(first_words(text_of(example), most_words), example.origin) for example in examples]
    if not _predicts_text(task):
        return Halves(name, texts)
    if facts.is_encoder_decoder:
        return f"{name} holds texts, and {facts.name} reads a source and writes a target. Name pairs or conversations."
    return Likelihood(name, texts)


def _earlier_runs(task: Task, left_out: dict[str, str]) -> dict[str, RetentionTask]:
    """The test rows of the runs that the model comes from, the latest first."""
    found = dict[str, RetentionTask]()
    for run, recipe in _chain(task.recipe.model.source):
        try:
            one = _earlier_run(task, run, recipe)
        except TunesmithError as error:
            one = str(error)
        if isinstance(one, str):
            left_out[run.id] = one
        else:
            found[run.id] = one
    return found


def _chain(source: str) -> list[tuple[RunDirectory, Recipe]]:
    """The run that a model is, the one that this began with, and so on."""
    found = list[tuple[RunDirectory, Recipe]]()
    is_run: Callable[[str], bool] = registry.create("model_source", "run").knows
    while is_run(source):
        try:
            run = find_run(source)
            found.append((run, run_recipe(run)))
        except TunesmithError:  # a run that kept its whole model needs the one before no more
            break
        source = found[-1][1].model.source
    return found


def _earlier_run(task: Task, run: RunDirectory, recipe: Recipe) -> RetentionTask | str:
    """Its test rows, or why they cannot be asked. Raises: TunesmithError, where its data or its head is not there any more."""
    data = prepare_data(recipe)
    if data.facts["train"].sha256 == task.data.facts["train"].sha256 and data.facts["train"].name == task.data.facts["train"].name:
        return "learned from the same data as this one."
    name, objective = choose_objective(recipe.objective, data.rows, data.labels if data.sets else None)
    is_answered_by_head = isinstance(objective, HeadObjective)
    if not is_answered_by_head and not {"nll", "masked"} & objective.fills:
        return "learned from judged answers, by what its model said before it: nothing here tells whether that is kept."
    if not is_answered_by_head and not (_predicts_text(task) and "nll" in objective.fills):
        return "predicted words, and this run's model is loaded without what predicts them."
    learned = {content_key(example) for example in task.splits["train"].examples}
    examples = [example for example in data.test if content_key(example) not in learned]
    if len(examples) < MIN_ROWS:
        return f"has {len(examples)} test rows that this one does not train on: too few."
    heads, labels = load_heads(run.heads, run.heads_config) if is_answered_by_head else ({}, data.labels)
    first = sorted(limited(examples, _MOST_ROWS), key=content_key)
    leading = _leading_metric(recipe, name, objective, data) if is_answered_by_head else BITS_PER_BYTE
    measure = make_metrics(recipe, [leading], labels)[leading]
    return EarlierRun(f"test rows of {data.facts['test'].name}", first, leading, measure, recipe, objective, labels, data.asked, heads)


def _leading_metric(recipe: Recipe, name: str, objective: Objective, data: PreparedData) -> str:
    """The first that a run was measured by and that each row has, as not all rows of a question may be asked again; else the objective's own."""
    measured = make_metrics(recipe, measured_metrics(recipe, name, objective, data), data.labels)
    return next((one for one, metric in measured.items() if not isinstance(metric, QuestionMetric)), objective.headline)
