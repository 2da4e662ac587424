"""A metric of answers as a reward, answer by answer: exact_match, json_schema, instructions_followed, rougeL, ...

A verifiable reward: what a run is measured by (docs/metrics.md) is what it is trained by. Source: Lambert et al. (2024), "Tulu 3", https://arxiv.org/abs/2411.15124, section 6
(reinforcement learning with verifiable rewards).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.metrics import Metric as Measured
from tunesmith.core.metrics import Output
from tunesmith.core.registry import OtherOptions
from tunesmith.core.rewards import Ask, Response

__all__ = ["Metric"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a metric says of each answer."""

    metric: str
    """The metric, one that reads text; its own options stand beside it."""
    weight: float = 1.0
    """What it counts beside the recipe's other rewards; below 0 it is a penalty."""
    options: OtherOptions
    """Of the metric."""

    def __post_init__(self) -> None:
        """Raises: UsageError, where there is no such metric, it refuses its options, or reads something else than text."""
        made = self._made()
        if made.needs != "text":
            fitting = [name for name in registry.names("metric") if registry.load("metric", name).needs == "text"]
            raise UsageError(f"metric: {self.metric} reads {made.needs}, and an answer is text. Use one of: {', '.join(fitting)}.")

    def _made(self) -> Measured:
        made: Measured = registry.create("metric", self.metric, **self.options)
        return made

    def score(self, responses: Sequence[Response], ask: Ask) -> list[float]:
        """The metric's value of each answer alone, lower ones counted as better where the metric's are; 0 of an answer that it says nothing of."""
        made = self._made()
        sign = -1.0 if made.higher_is_better is False else 1.0
        return [sign * _value(made, response) for response in responses]


def _value(metric: Measured, response: Response) -> float:
    applies = getattr(metric, "applies", None)
    if applies is not None and not applies(response.example, response.reference):
        return 0.0
    stats = metric.stats(response.example, Output(text=response.text), response.reference)
    return float(metric.value(np.array([stats], dtype=np.float64)))
