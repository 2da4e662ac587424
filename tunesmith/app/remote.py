"""A model behind an endpoint, and a recipe made ready for it. Nothing of a model is loaded."""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tunesmith.app.chosen_objective import choose_objective, kind_of
from tunesmith.app.concurrent import as_they_come
from tunesmith.app.dataset import PreparedData, prepare_data
from tunesmith.app.fitting import measured_metrics
from tunesmith.app.judging import EncodedSplit
from tunesmith.app.kept_answers import Answer, KeptAnswers
from tunesmith.app.measurable import BaseKind
from tunesmith.app.spending import Price, Spending
from tunesmith.app.task import Say, label_texts
from tunesmith.core.addresses import ENDPOINT_PREFIX
from tunesmith.core.endpoint import Endpoint, NoAnswer
from tunesmith.core.events import Notice, Stage, Warned
from tunesmith.core.types import Choice, Example, HeadObjective, Objective, Output
from tunesmith.data import UNKNOWN_WINDOW, ChatEncoder, Request, StoredTexts
from tunesmith.evaluation.naming import named
from tunesmith.recipe import Recipe

__all__ = ["Heard", "RemoteModel", "RemoteTask", "chat_encoder", "hear", "prepare_remote", "remote_model"]

_AT_A_TIME = 4
"""Requests that are sent without waiting for the one before."""
_MOST_FAILURES = 3
"""So many requests in a row that get no answer, and no more are sent."""

Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """Everything that a run with a model behind an endpoint works with. Implements `Measurable`."""

    recipe: Recipe
    data: PreparedData
    encoder: ChatEncoder
    objective_name: str
    objective: Objective
    metrics: list[str]
    splits: Mapping[str, EncodedSplit]

    @property
    def kind(self) -> str:
        """What is asked for: one of the values of `chosen_objective.KINDS`."""
        return kind_of(self.objective)

    @property
    def base_kind(self) -> BaseKind:
        """How the base is asked."""
        return "zero_shot" if self.kind == "classification" else "as_it_is"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a model said to examples, and to how many it said nothing that counts."""

    outputs: list[Output]
    answers: list[Answer]
    """Those that it gave."""
    num_unnamed: int
    """Answers that name none of the labels, or choices, or several."""

    @property
    def num_cut(self) -> int:
        """Answers that had not ended when they were as long as they may be."""
        return sum(answer.is_cut for answer in self.answers)

    @property
    def num_unanswered(self) -> int:
        """Examples that it gave no answer to."""
        return len(self.outputs) - len(self.answers)

    @property
    def seconds(self) -> float:
        """Of all answers, one after the other, as they were when they were asked for."""
        return sum(answer.seconds for answer in self.answers)


class RemoteModel:
    """Asks, a few at a time, and keeps count of what was paid for, what came from the cache, and what changed meanwhile."""

    def __init__(self, answers: KeptAnswers, spending: Spending) -> None:
        """`answers`: of the endpoint; `spending`: what its requests are noted in."""
        self.endpoint, self._answers, self.spending = answers.endpoint, answers, spending
        self.num_kept = 0
        self.fingerprints = dict[str, None]()
        self.trouble = ""
        """The last request that got no answer, and why."""

    def ask(self, requests: Sequence[Request], max_tokens: int, tick: Tick = lambda done: None, *, number: int = 0) -> list[Answer | None]:
        """The answer to each; None where the endpoint gives none to this request. Of equal ones the first alone is asked.

        Args:
            number: as of `KeptAnswers.answer`.
        Raises: FetchError, where it gives none to any, or to three in a row; TunesmithError, where the budget is spent. No more are sent then.
        """
        asked = list(dict.fromkeys(requests))
        found, num_failures = dict[Request, Answer](), 0
        outcomes = as_they_come(lambda place: self._answer(asked[place], max_tokens, number), len(asked), _AT_A_TIME)
        with contextlib.closing(outcomes):
            for count, (place, outcome) in enumerate(outcomes, start=1):
                if isinstance(outcome, NoAnswer):
                    self.trouble, num_failures = str(outcome), num_failures + 1
                    if num_failures == _MOST_FAILURES:
                        raise outcome
                elif isinstance(outcome, Exception):
                    raise outcome
                else:
                    found[asked[place]], is_kept = outcome
                    num_failures, self.num_kept = 0, self.num_kept + is_kept
                    self.fingerprints[found[asked[place]].fingerprint or "none"] = None
                tick(count)
        return [found.get(request) for request in requests]

    def _answer(self, request: Request, max_tokens: int, number: int) -> tuple[Answer, bool]:
        """The answer, and whether it was kept."""
        kept = self._answers.kept(request.messages, max_tokens=max_tokens, number=number)
        if kept is not None:
            return kept, True
        reserved, answer = self.spending.reserve(request.messages, max_tokens), None
        try:
            answer = self._answers.ask(request.messages, max_tokens=max_tokens, number=number)
        finally:
            self.spending.settle(reserved, answer)
        return answer, False


class _Pauses:
    """Tells of pauses, from whatever thread, and of one at a time."""

    def __init__(self, say: Say) -> None:
        self._say, self._until, self._lock = say, 0.0, threading.Lock()

    def __call__(self, seconds: float, why: str) -> None:
        with self._lock:
            is_told = monotonic() + seconds <= self._until or not seconds
            self._until = max(self._until, monotonic() + seconds)
        if not is_told:
            self._say(Notice(f"the endpoint is asked again in {seconds:g} s: {why}."))


def remote_model(recipe: Recipe, say: Say, noted: Path | None = None) -> RemoteModel:
    """The recipe's model. `noted`: a file that knows what was spent before, and is told of what is. Raises: UsageError, for an address with a login in it."""
    spec = recipe.model
    endpoint = Endpoint.named(spec.source.removeprefix(ENDPOINT_PREFIX), what="model.source")
    price = None
    if spec.price_per_million_input is not None and spec.price_per_million_output is not None:
        price = Price(spec.price_per_million_input, spec.price_per_million_output)
    return RemoteModel(KeptAnswers(endpoint, spec.requests_per_minute, _Pauses(say)), Spending(price, recipe.budget_usd, noted))


def prepare_remote(recipe: Recipe, say: Say) -> RemoteTask:
    """Read the data, and word it. Raises whatever is wrong with it, before anything is written or sent."""
    say(Stage("data", recipe.data.named))
    data = prepare_data(recipe)
    for warning in data.warnings:
        say(Warned(warning))
    name, objective = choose_objective(recipe.objective, data.train, data.labels if data.sets else None)
    metrics = measured_metrics(recipe, name, objective, data)
    encoder = chat_encoder(recipe, objective, data.labels)
    reference = objective.reference if isinstance(objective, HeadObjective) else encoder.reference
    named_splits = {"train": data.train, "validation": data.validation, "test": data.test, **data.domains}
    splits = {split: EncodedSplit(examples, (), (), StoredTexts(examples, reference)) for split, examples in named_splits.items()}
    return RemoteTask(recipe, data, encoder, name, objective, metrics, splits)


def chat_encoder(recipe: Recipe, objective: Objective, labels: Sequence[str], template: str | None = None) -> ChatEncoder:
    """What words examples as the recipe says. `template`: in place of the recipe's."""
    own = tuple(recipe.data.template) if isinstance(recipe.data.template, list) else recipe.data.template
    return ChatEncoder(
        tuple(labels),
        recipe.model.max_length or UNKNOWN_WINDOW,
        own if template is None else template,
        recipe.data.system,
        tuple(label_texts(recipe, labels)) if isinstance(objective, HeadObjective) else (),
    )


def hear(model: RemoteModel, encoder: ChatEncoder, examples: Sequence[Example], max_tokens: int, tick: Tick = lambda done: None) -> Heard:
    """What the model says to examples: a label, one of the answers to choose among, or a text. What it does not answer is wrong, and counted."""
    found = model.ask(encoder.prompts(examples), max_tokens, tick)
    outputs = [_output(encoder, example, answer) for example, answer in zip(examples, found, strict=True)]
    num_unnamed = sum(output.label == "" and answer is not None for output, answer in zip(outputs, found, strict=True))
    return Heard(outputs, [answer for answer in found if answer is not None], num_unnamed)


def _output(encoder: ChatEncoder, example: Example, answer: Answer | None) -> Output:
    text = "" if answer is None else answer.text.strip()
    if isinstance(example, Choice):
        place, labels = named(text, example.choices), example.choices
    elif encoder.names:
        place, labels = named(text, encoder.names), encoder.labels
        place = named(text, labels) if place is None else place  # by the label's own name, where words stand for it
    else:
        return Output(text=text)
    return Output(label="" if place is None else labels[place], text=text)
