"""A probe of some ten seconds: what a token costs on this machine, of the recipe's own model and rows, in each kind of pass.

Every pass is the engine's own: rows are read as they are judged, steps are those of the training loop, answers are written as in evaluation. What was found is kept, so that nothing is probed twice.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean
from typing import Any

import torch

from tunesmith.app.in_context import as_read, rows_of, worded
from tunesmith.app.index import Embedder
from tunesmith.app.judged import beginning
from tunesmith.app.machine import begin_peak_memory, peak_memory_bytes, resident_bytes
from tunesmith.app.plan import step_plan
from tunesmith.app.rates import TRAINED, Measured, keep, kept, scatters
from tunesmith.app.shots import strategy_of
from tunesmith.app.stand_ins import StandIns
from tunesmith.app.task import Say, Task, attach, learning_rate, prepare, rows_to_answer
from tunesmith.app.work import training_work, virtual_tokens
from tunesmith.comparison.cost_model import Pass, Rates, Work, trained_bytes, trained_rate
from tunesmith.core.allocator import give_back_freed_memory, let_go
from tunesmith.core.batch import Batch
from tunesmith.core.errors import MemoryExhausted
from tunesmith.core.events import Stage, Warned, silence
from tunesmith.core.types import HeadObjective, Row, Text
from tunesmith.data.library import Document, read_library
from tunesmith.engine.generate import generate
from tunesmith.engine.loop import TrainingPlan, TrainingState, is_out_of_memory, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import evaluation_batches, training_steps
from tunesmith.recipe import Recipe

__all__ = ["probe"]

_SECONDS = 2.0
"""That a pass is measured for, after one that is not; at least one more."""
_ROWS = 400
"""That are read, at most."""
_WRITTEN_TOKENS = 32
"""Of an answer, at most."""
_ANSWERED = 64
"""Questions, at most."""
_PASSAGES, _PASSAGES_AT_ONCE, _PASSAGE_CHARACTERS = 512, 64, 800
_WRITING_TOKENS = 8192
"""Of prompts and answers that are kept at a time."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What running a pass showed."""

    seconds_per_token: float
    tokens: int
    """The most that were computed at a time."""
    work: Work | None = None
    """Of the steps, where it trained."""
    answer_tokens: float | None = None
    """As of `Measured`."""


def probe(recipes: Mapping[Pass, Recipe], say: Say, *, for_all: bool = False) -> None:
    """Measure passes, and keep what they showed. Where memory runs out, that is said, and what was not measured stays unknown.

    Args:
        recipes: for each pass a recipe that has it, of the same model and rows.
        for_all: as of `keep`.
    """
    trained = [name for name in recipes if name in TRAINED]
    embedded: list[Pass] = ["embed"] if "embed" in recipes else []
    asked = [name for name in recipes if name not in (*trained, *embedded)]
    sittings: list[list[Pass]] = [[*asked, *trained[:1]], *([name] for name in trained[1:]), embedded]
    for sitting in filter(None, sittings):
        say(Stage("probe", ", ".join(_PASSES[name][0] for name in sitting)))
        try:
            _probe(recipes[sitting[-1]], sitting, for_all=for_all)
        except (MemoryExhausted, torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not (isinstance(error, MemoryExhausted) or is_out_of_memory(error)):
                raise
            say(Warned("the probe ran out of memory: what it takes to train this model is not known, and not predicted."))
        let_go()


def _probe(recipe: Recipe, passes: Sequence[Pass], *, for_all: bool) -> None:
    """Run passes with one model; what trains comes last, as it changes it. Raises: MemoryExhausted; what torch raises where memory runs out."""
    started = time.perf_counter()
    task = prepare(recipe, silence)
    prepared = time.perf_counter() - started
    for name in passes:
        asked = as_read(task) if name in TRAINED else task
        give_back_freed_memory()
        before = resident_bytes(task.device)
        begin_peak_memory(task.device)
        shown = _PASSES[name][1](asked)
        peak = peak_memory_bytes(task.device)
        if shown.work is None:
            keep(
                task,
                name,
                Measured(shown.seconds_per_token, (max(0, peak - before) if before else 0) / shown.tokens, prepared, shown.answer_tokens),
                for_all=for_all,
            )
            continue
        read = kept(task, "read")
        rates = Rates(
            prepare_seconds=prepared,
            seconds_per_token={"read": read.seconds_per_token if read else 0.0},
            resident_bytes=before,
            scatters=scatters(task.device),
        )
        per_token = trained_bytes(shown.work, rates, peak) if before else 0.0
        rate = trained_rate(shown.work, rates, shown.seconds_per_token * shown.work.train_tokens)
        keep(task, name, Measured(rate, per_token, prepared), for_all=for_all)


def _reading(task: Task) -> _Shown:
    """Rows as they are judged."""
    rows = _some(task.splits["train"].rows, _ROWS)
    counts, seconds, most = list[int](), list[float](), 1
    task.forward.eval()
    with torch.no_grad():
        for batch, _ in evaluation_batches(rows, task.micro_batch_tokens, task.model.facts):
            started = time.perf_counter()
            on_device = batch.to(task.device)
            said = (
                task.forward.hidden(on_device)
                if isinstance(task.objective, HeadObjective)
                else task.forward.logprobs(on_device, with_entropy=False)[0]
            )
            float(said.sum())  # a GPU is waited for
            seconds.append(time.perf_counter() - started)
            counts.append(_num_tokens(batch))
            most = max(most, counts[-1])
            if sum(seconds[1:]) > _SECONDS:
                break
    return _Shown(_rate(seconds, counts), most)


def _training(task: Task) -> _Shown:
    """Whole steps of the loop. Raises: MemoryExhausted, where they had to be cut."""
    whole, groups = training_work(task), attach(task)
    settings, steps = task.recipe.train, step_plan(task)
    optimizer = make_optimizer(
        groups, name=settings.optimizer, weight_decay=settings.weight_decay, momentum=settings.momentum, betas=settings.betas
    )
    plan = TrainingPlan(
        max(2, steps.num_steps), steps.steps_per_epoch, learning_rate(task.recipe, task.method), "constant", 0, settings.max_grad_norm
    )
    batches = training_steps(task.splits["train"].rows, replace(steps, num_steps=max(2, steps.num_steps)), task.objective, task.model.facts)
    counts, seconds, state = list[list[int]](), list[float](), TrainingState(optimizer)
    for step in train(task.forward, task.objective, _seen(batches, counts, virtual_tokens(task)), plan, state):
        seconds.append(step.seconds)
        if sum(seconds[1:]) > _SECONDS or (len(seconds) > 1 and seconds[0] > _SECONDS):
            break
    if state.max_micro_batch_tokens is not None:
        raise MemoryExhausted(f"no more than {state.max_micro_batch_tokens:,} tokens at a time fit into memory.")
    totals, most = [sum(count) for count in counts[: len(seconds)]], max(max(count) for count in counts)
    done = replace(
        whole, num_steps=len(seconds), train_tokens=sum(totals), epoch_tokens=min(whole.epoch_tokens, sum(totals)), step_tokens=most
    )
    return _Shown(_rate(seconds, totals), most, done)


def _writing(task: Task) -> _Shown:
    """Answers to validation rows, with as much before each question as there will be, as many at a time as there will be."""
    prompts, most = _prompts(task), task.recipe.evaluate.max_new_tokens
    count = min(most, _WRITTEN_TOKENS)
    room = round(fmean(map(len, prompts))) + most
    some = prompts[: max(1, _WRITING_TOKENS // room)]
    generate(task.forward, some[:1], max_new_tokens=2, stop_tokens=())  # the first one tries the cache
    started = time.perf_counter()
    generate(task.forward, some, max_new_tokens=1, stop_tokens=())
    read = time.perf_counter() - started
    started = time.perf_counter()
    answers = generate(
        task.forward, some, max_new_tokens=most, stop_tokens=task.stop_tokens, ends=lambda tokens: len(tokens) >= count
    )  # with room for as many as there may be
    seconds = max(0.0, time.perf_counter() - started - read)
    ended = [len(answer) for answer in answers if len(answer) < count]
    whole = sum(ended) + most * (len(answers) - len(ended))
    is_known = 2 * len(ended) > len(answers) or count == most
    written = sum(min(count, len(answer) + 1) - 1 for answer in answers)  # the first was read with the prompts
    return _Shown(seconds / max(1, written), len(some) * room, answer_tokens=whole / len(answers) if is_known else None)


def _prompts(task: Task) -> list[tuple[int, ...]]:
    """Of validation rows, as they are answered, with room for an answer as long as it may be; of an encoder-decoder what it reads."""
    questions = task.splits["validation"].examples or rows_of(task)
    places = rows_to_answer(task, questions)[:_ANSWERED] or range(
        min(_ANSWERED, len(questions))
    )  # where only `evaluate.prompts` are answered
    examples, encoder = [questions[place] for place in places], task.encoder
    if task.kind == "language_modelling":
        examples = [Text(beginning(example)[0], example.origin) for example in examples]
    elif task.recipe.context is not None:
        stand_ins = StandIns.of(task)
        examples, encoder = stand_ins.asked(examples, stand_ins.longest), worded(encoder, stand_ins.longest.template)
    if task.model.facts.is_encoder_decoder:
        return [encoder.encode(example).source for example in examples]
    room = max(1, task.encoder.max_length - task.recipe.evaluate.max_new_tokens)
    return [prompt[-room:] for prompt in encoder.prompts(examples)]


def _embedding(task: Task) -> _Shown:
    """Vectors of the documents that an index is made of: of characters, not of tokens."""
    strategy = strategy_of(task.recipe)
    embedder, texts = Embedder(strategy.embedded_by), list[str]()
    for one in read_library(strategy.documents):
        if isinstance(one, Document) and len(texts) < _PASSAGES:
            texts += [one.text[at : at + _PASSAGE_CHARACTERS] for at in range(0, len(one.text), _PASSAGE_CHARACTERS)]
    counts, seconds = list[int](), list[float]()
    for at in range(0, min(len(texts), _PASSAGES), _PASSAGES_AT_ONCE):
        some = texts[at : at + _PASSAGES_AT_ONCE]
        started = time.perf_counter()
        for text in some:
            embedder.token_starts(text)  # by which documents are cut
        embedder.vectors(some)
        seconds.append(time.perf_counter() - started)
        counts.append(sum(map(len, some)))
        if sum(seconds[1:]) > _SECONDS:
            break
    return _Shown(_rate(seconds, counts), max(counts))


_PASSES: Mapping[Pass, tuple[str, Callable[[Task], _Shown]]] = {
    "read": ("reading", _reading),
    "write": ("writing", _writing),
    "full": ("training all", _training),
    "adapter": ("training a small part", _training),
    "embed": ("making vectors of documents", _embedding),
}


def _seen(steps: Iterator[Any], counts: list[list[int]], virtual: int) -> Iterator[Any]:
    for step in steps:
        counts.append([_num_tokens(batch, virtual) for batch in step])
        yield step


def _num_tokens(batch: Batch, virtual: int = 0) -> int:
    """As `Work` counts them. `virtual`: learned tokens before every row."""
    source = 0 if batch.source is None else batch.source.num_tokens
    return batch.stream.num_tokens + source + virtual * len(batch.rows)


def _rate(seconds: Sequence[float], counts: Sequence[int]) -> float:
    """Without the first, which warms up what the others find warm, unless it is alone."""
    at = 1 if len(seconds) > 1 else 0
    return sum(seconds[at:]) / sum(counts[at:])


def _some(rows: Sequence[Row], most: int) -> list[Row]:
    return [rows[place] for place in islice(range(0, len(rows), math.ceil(len(rows) / most)), most)]
