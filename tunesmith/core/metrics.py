"""What a model says to an example, and the contract of a metric that makes a number of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from tunesmith.core.examples import Example

__all__ = ["Metric", "Output", "QuestionMetric"]


@dataclass(frozen=True, slots=True)
class Output:
    """What a model said to one example.

    An objective with a head fills one of the first eight, perhaps with `probabilities`. Language models fill `text` (generated) and `nll_nats` with
    `num_tokens` and `num_bytes` (of the scored reference).
    """

    label: str | None = None
    labels: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    number: float | None = None
    scores: tuple[float, ...] | None = None
    """Of each answer of the example, in its order: the higher, the better the model likes it."""
    liked: float | None = None
    """The same of the one answer of an example that was judged by itself."""
    grades: Mapping[str, float] | None = None
    """Of the one answer of an example, by attribute."""
    span: str | None = None
    """A piece of the context; empty where the answer is that there is none."""
    probabilities: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    """What `probabilities` are of, in their order."""
    text: str | None = None
    rewarded: float | None = None
    """What an answer of its own is rewarded, by what it is trained by."""
    held_out_reward: float | None = None
    """The same by a judge that it is not trained by."""
    kl_nats: float | None = None
    """How much likelier it finds that answer than the model before training does."""
    num_written: int = 0
    """Tokens of that answer."""
    nll_nats: float = float("nan")
    num_tokens: int = 0
    num_bytes: int = 0


@runtime_checkable
class Metric(Protocol):
    """A number with an interval. A file in `evaluation/metrics/`.

    It may have beside:
    `on_request` (ClassVar, bool): measured only where a recipe names it;
    `is_per_token` (ClassVar, bool): models with different tokens cannot be compared by it;
    `file_options` (ClassVar, tuple of names): options that name files; a run keeps their whole paths;
    `reads_reference` (ClassVar, bool): of a metric of texts, False where it says something of an answer without a reference, too;
    `applies(example, reference) -> bool`: whether it says anything of such a row; the others are left out and counted;
    `details(stats_nk) -> Mapping[str, float]`: numbers that explain its value.
    """

    needs: ClassVar[
        Literal[
            "label", "probabilities", "labels", "tags", "number", "scores", "liked", "grades", "span", "text", "rewarded", "nll", "masked"
        ]
    ]
    """What it reads of an Output; a run evaluates the metrics whose need its objective fills."""
    higher_is_better: ClassVar[bool | None]
    """None where more is neither better nor worse."""
    is_proportion: ClassVar[bool]
    """A mean of zeros and ones: its interval is Wilson's and its paired test McNemar's."""

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """What one example contributes; the bootstrap resamples these. `reference`: the example's label or the text it should give."""

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """The metric of these examples, from their stats, shape (examples, k)."""


@runtime_checkable
class QuestionMetric(Metric, Protocol):
    """A metric that judges several rows as one: a question whose answers stand in rows of their own."""

    def question(self, example: Example) -> Hashable:
        """What the row belongs to."""

    def merge(self, stats_mk: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, ...]:
        """What a question contributes, from the stats of its rows, shape (its rows, k); `value` and the bootstrap take these."""
