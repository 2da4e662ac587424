"""Metrics asked of made-up rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.core import registry
from tunesmith.core.types import Completion, Example, Metric, Origin, Output
from tunesmith.evaluation.score import unit_stats

HERE = Origin("made", 1)
EXAMPLE = Completion("", "", HERE)


def stats_of(metric: Metric, outputs: Sequence[Output], references: Sequence[str], examples: Sequence[Example] = ()) -> Any:
    """What the rows, or the questions that they are of, contribute, shape (rows, k)."""
    return unit_stats(metric, list(examples) or [EXAMPLE] * len(outputs), outputs, references)[0]


def value_of(name: str, outputs: Sequence[Output], references: Sequence[str], examples: Sequence[Example] = (), **options: Any) -> float:
    """The metric `name` of the rows."""
    metric: Metric = registry.create("metric", name, **options)
    return float(metric.value(stats_of(metric, outputs, references, examples)))


def of_labels(name: str, true: Sequence[str], predicted: Sequence[str]) -> float:
    """A metric of labels."""
    return value_of(name, [Output(label=label) for label in predicted], true)


def of_texts(name: str, texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """A metric of texts, each with one reference or several."""
    examples = [Completion("asked", first, HERE, tuple(others)) for first, *others in references]
    return value_of(name, [Output(text=text) for text in texts], [first for first, *_ in references], examples)


def of_probabilities(name: str, classes: Sequence[str], probabilities: Sequence[Sequence[float]], true: Sequence[str]) -> float:
    """A metric of the probabilities of classes."""
    outputs = [
        Output(label=classes[int(np.argmax(row))], probabilities=tuple(map(float, row)), classes=tuple(classes)) for row in probabilities
    ]
    return value_of(name, outputs, true)
