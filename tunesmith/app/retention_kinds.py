"""The kinds of retention task: texts and answers by their likelihood, questions by the likeliest choice, halves of texts by their embeddings, and what an earlier run learned."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np

from tunesmith.app.judging import EncodedSplit, choose, embed, read_head, score
from tunesmith.app.retention import Stats
from tunesmith.app.task import Task, text_encoder
from tunesmith.core import registry
from tunesmith.core.types import Choice, Encoder, Example, HeadObjective, Labelled, Metric, Objective, Output, Row, Text
from tunesmith.data import Asked, TextEncoder
from tunesmith.engine.forward import PackedForward
from tunesmith.evaluation.forgetting import MeanReciprocalRank, halves, reciprocal_ranks
from tunesmith.evaluation.score import Measure
from tunesmith.model.heads import Head
from tunesmith.recipe import Recipe

__all__ = ["BITS_PER_BYTE", "EarlierRun", "Halves", "Likelihood", "Questions"]

Tick = Callable[[int], None]
BITS_PER_BYTE = "bits_per_byte"
E = TypeVar("E", bound=Example)


@dataclass(frozen=True, slots=True)
class _Rows(Generic[E]):
    """Rows of a source."""

    source: str
    examples: Sequence[E]

    def first(self, count: int) -> Self:
        """The same with its first rows only."""
        return replace(self, examples=self.examples[:count])


@dataclass(frozen=True, slots=True)
class Likelihood(_Rows[Example]):
    """Bits per byte of texts, or of the answers of pairs and conversations: for models that predict text."""

    metric: str = BITS_PER_BYTE

    @property
    def measure(self) -> Measure:
        """Bits per byte."""
        return _metric(self.metric)

    def lengths(self, task: Task) -> list[int]:
        """Tokens that the model reads of each row."""
        return _lengths(self._rows(task))

    def ask(self, task: Task, tick: Tick) -> Stats:
        """Nats and bytes of each row."""
        rows, owners = _flat(self._rows(task))
        speaker = replace(task, encoder=_plain(task.encoder))
        outputs = score(speaker, EncodedSplit(self.examples, rows, owners, ()), tick)
        return _stats(_metric(self.metric), self.examples, outputs, [""] * len(outputs))

    def _rows(self, task: Task) -> list[list[Row]]:
        encoder = replace(_plain(task.encoder), labelled_as="answer")
        objectives: dict[bool, Objective] = {
            is_text: registry.create("objective", "causal_lm" if is_text else "sft") for is_text in (True, False)
        }
        return [objectives[isinstance(example, Text)].encode(example, encoder) for example in self.examples]


@dataclass(frozen=True, slots=True)
class Questions(_Rows[Choice]):
    """How often the right choice is the likeliest: for models that predict text."""

    template: str | None = None
    """Of the question; None: the choices are listed below it."""
    metric: str = "accuracy"

    @property
    def measure(self) -> Measure:
        """Accuracy."""
        return _metric(self.metric)

    def lengths(self, task: Task) -> list[int]:
        """Tokens that the model reads of each row: the question, and every choice."""
        encoder = self._encoder(task)
        return [len(encoder.prompt(example)) + sum(map(len, encoder.answers(example))) for example in self.examples]

    def ask(self, task: Task, tick: Tick) -> Stats:
        """Whether each row is answered right."""
        encoder = self._encoder(task)
        outputs = choose(replace(task, encoder=encoder), self.examples, tick)
        return _stats(_metric(self.metric), self.examples, outputs, [encoder.reference(example) for example in self.examples])

    def _encoder(self, task: Task) -> TextEncoder:
        return replace(_plain(task.encoder), template=self.template)


@dataclass(frozen=True, slots=True)
class Halves(_Rows[Text]):
    """How well the mean of the last hidden states tells which two halves are of one text: for models that predict no text."""

    metric: str = "mean_reciprocal_rank"

    @property
    def measure(self) -> Measure:
        """The mean of the reciprocal ranks."""
        return MeanReciprocalRank()

    def lengths(self, task: Task) -> list[int]:
        """Tokens that the model reads of each row."""
        encoder = _plain(task.encoder)
        return [sum(len(encoder.encode(half).tokens) for half in pair) for pair in zip(*self._halves(), strict=True)]

    def ask(self, task: Task, tick: Tick) -> Stats:
        """The reciprocal rank of each row."""
        speaker, total = replace(task, encoder=_plain(task.encoder)), len(self.examples)
        first, second = self._halves()
        vectors = embed(speaker, first, lambda done: tick(done // 2)), embed(speaker, second, lambda done: tick((total + done) // 2))
        return [(rank,) for rank in reciprocal_ranks(*(np.asarray(part.double().numpy()) for part in vectors)).tolist()]

    def _halves(self) -> tuple[list[Labelled], list[Labelled]]:
        cut = [(halves(example.text), example.origin) for example in self.examples]
        first, second = ([Labelled(pair[side], None, origin) for pair, origin in cut] for side in (0, 1))
        return first, second


@dataclass(frozen=True, slots=True)
class EarlierRun(_Rows[Example]):
    """The test rows of a run that the model comes from: with its head by its leading metric, else by bits per byte of the right answers."""

    metric: str
    measure: Metric
    recipe: Recipe
    objective: Objective
    labels: tuple[str, ...]
    tasks: Mapping[str, Asked]
    heads: Mapping[str, Head]

    def lengths(self, task: Task) -> list[int]:
        """Tokens that the model reads of each row."""
        return _lengths(self._rows(self._encoder(task)))

    def ask(self, task: Task, tick: Tick) -> Stats:
        """What each row contributes to the metric."""
        encoder = self._encoder(task)
        rows, owners = _flat(self._rows(encoder))
        speaker = replace(task, encoder=encoder)
        if not isinstance(self.objective, HeadObjective):
            outputs = score(speaker, EncodedSplit(self.examples, rows, owners, ()), tick)
            return _stats(self.measure, self.examples, outputs, [""] * len(outputs))
        references = [self.objective.reference(example) for example in self.examples]
        with self._own_heads(task):
            outputs = read_head(speaker, self.objective, self.examples, rows, owners, tick)
        return _stats(self.measure, self.examples, outputs, references)

    def _rows(self, encoder: Encoder) -> list[list[Row]]:
        return [self.objective.encode(example, encoder) for example in self.examples]

    def _encoder(self, task: Task) -> TextEncoder:
        encoder = text_encoder(self.recipe, task.model, self.labels, self.tasks)
        return replace(encoder, labelled_as="answer") if self.objective.uses_lm_head else encoder

    @contextlib.contextmanager
    def _own_heads(self, task: Task) -> Iterator[None]:
        """The run's heads in place of the model's; where the model's were trained on from them, those, for the labels that the run has."""
        forward: PackedForward = task.forward
        before, labels = dict[str, Any](forward.heads.items()), task.encoder.labels
        heads: Mapping[str, Head] = self.heads
        if set(self.labels) <= set(labels) and before.keys() >= heads.keys():
            places = [labels.index(label) for label in self.labels]
            heads = before if labels == self.labels else {name: before[name].rearranged(places) for name in heads}
        forward.heads.clear()
        forward.heads.update({name: head.to(task.device) for name, head in heads.items()})
        try:
            yield
        finally:
            forward.heads.clear()
            forward.heads.update(before)


def _plain(encoder: TextEncoder) -> TextEncoder:
    """Of the same model, without what the recipe says of its own data."""
    return replace(encoder, labels=(), template=None, system=None, loss_on="assistant", tasks={}, window_tokens=0, overlap_tokens=1)


def _lengths(rows: Sequence[Sequence[Row]]) -> list[int]:
    return [sum(row.num_tokens for row in own) for own in rows]


def _flat(rows: Sequence[Sequence[Row]]) -> tuple[list[Row], list[int]]:
    """All rows, and the example of each."""
    return [row for own in rows for row in own], [owner for owner, own in enumerate(rows) for _ in own]


def _stats(metric: Metric, examples: Sequence[Example], outputs: Sequence[Output], references: Sequence[str]) -> Stats:
    return [metric.stats(*row) for row in zip(examples, outputs, references, strict=True)]


def _metric(name: str) -> Metric:
    made: Metric = registry.create("metric", name)
    return made
