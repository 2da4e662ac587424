"""A model with numbers of it set otherwise: asked what it says so, or left so.

n validation rows    K outputs of a head
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.app.decoding import drawn_by
from tunesmith.app.judging import EncodedSplit, Tick, Written, as_texts, choose, hear, like_answers, score, write_answers
from tunesmith.app.measured import pick
from tunesmith.app.task import Task, rows_to_answer
from tunesmith.core.adjusting import Adjustment, DecodingAdjustment, Knob, ScoreAdjustment, Subject, WeightAdjustment
from tunesmith.core.errors import MethodError
from tunesmith.core.types import AnswerObjective, Example, HeadObjective, Metric, Output
from tunesmith.engine.sampling import Sampling
from tunesmith.evaluation.score import is_measured, unit_stats
from tunesmith.model.heads import Head

__all__ = ["Settings"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Values = tuple[float, ...]


@dataclass
class Settings:
    """A task's model, and what can be set of it. Nothing but the validation rows is ever asked."""

    task: Task
    subject: Subject
    adjustments: Mapping[str, Adjustment]
    metric: Metric
    split: EncodedSplit
    """The validation rows that are asked."""
    knobs: Mapping[str, Sequence[Knob]] = field(default_factory=dict)
    _own: dict[str, Tensor] = field(default_factory=dict)
    """The trunk's parameters that change, as they were."""
    _own_head: dict[str, Tensor] = field(default_factory=dict)
    _heard: tuple[Values, list[Tensor]] | None = None
    _wrote: tuple[tuple[Values, Sampling | None], Written] | None = None
    """What was written of open questions, each answer as long as any setting lets it be, and what it was written by, but for the length."""
    _measured: list[int] | None = None
    _at: Values | None = None
    """The values that the trunk's parameters have."""

    @classmethod
    def of(cls, task: Task, subject: Subject, adjustments: Mapping[str, Adjustment], metric: Metric, tick: Tick) -> "Settings":
        """Asks the model as it is once, where a head is read. Its method was applied, its heads attached."""
        made = cls(task, subject, adjustments, metric, _asked(task, metric))
        own = dict(task.model.trunk.named_parameters())
        touched = [name for one in adjustments.values() if isinstance(one, WeightAdjustment) for name in one.touches(task.model.trunk)]
        made._own = {name: own[name].detach().clone() for name in touched}
        scores = None
        if isinstance(task.objective, HeadObjective):
            made._own_head = {name: tensor.clone() for name, tensor in made._head.state_dict().items()}
            heard = hear(task, task.objective, made.split.rows, tick)
            made._heard = ((), heard)
            scores = torch.cat(heard).numpy()
        made.knobs = {name: one.knobs(subject, scores) for name, one in adjustments.items()}
        made._at = made._of_weights(made.start)
        if isinstance(task.objective, HeadObjective):
            made._heard = (made._at, heard)
        return made

    @property
    def all_knobs(self) -> list[Knob]:
        """Of every adjustment, in their order."""
        return [knob for knobs in self.knobs.values() for knob in knobs]

    @property
    def start(self) -> Values:
        """The model as it is."""
        return tuple(knob.start for knob in self.all_knobs)

    def by_adjustment(self, values: Sequence[float]) -> dict[str, Values]:
        """The values of each."""
        ends = list(accumulate(len(knobs) for knobs in self.knobs.values()))
        return {name: tuple(values[end - len(knobs) : end]) for (name, knobs), end in zip(self.knobs.items(), ends, strict=True)}

    def shown(self, values: Sequence[float]) -> list[str]:
        """The values in words."""
        return [text for name, own in self.by_adjustment(values).items() for text in self.adjustments[name].shown(self.subject, own)]

    def stats(self, values: Values) -> tuple[Array, list[Example]]:
        """What each unit of the metric contributes, shape (units, k), and the example that it is of."""
        outputs, references = self._outputs(values), self.split.references
        if self._measured is None:
            self._measured = [
                row
                for row, (example, output, reference) in enumerate(zip(self.split.examples, outputs, references, strict=True))
                if is_measured(self.metric, example, output, reference)
            ]
        if not self._measured:
            raise MethodError("method.metric: says nothing of any validation row. Name another, or bring rows with answers.")
        examples = pick(self.split.examples, self._measured)
        stats_nk, places = unit_stats(self.metric, examples, pick(outputs, self._measured), pick(references, self._measured))
        return stats_nk, pick(examples, places)

    def put(self, values: Values) -> None:
        """Let the model be as the values say, until others are put."""
        self._put_weights(values)
        if isinstance(self.task.objective, HeadObjective):
            head = self._head
            scale, shift = (torch.tensor(numbers, dtype=torch.float64) for numbers in self._affine(values))
            last = head.layers[-1]
            head.load_state_dict(self._own_head)
            assert isinstance(last, torch.nn.Linear)
            with torch.no_grad():
                weight, bias = last.weight.double().cpu() * scale[:, None], last.bias.double().cpu() * scale + shift
                last.weight.copy_(weight)
                last.bias.copy_(bias)
        self.task.forward.decoding = self._sampling(values)

    def decoding(self, values: Sequence[float]) -> dict[str, float]:
        """How answers are drawn, as fields of `Sampling`; empty where that is not adjusted."""
        of_each = self.by_adjustment(values)
        of_answers = {name: one for name, one in self.adjustments.items() if isinstance(one, DecodingAdjustment)}
        found = {key: value for name, one in of_answers.items() for key, value in one.decoding(of_each[name]).items()}
        return {"temperature": 0.0, **found} if of_answers else {}

    @property
    def _head(self) -> Head:
        assert isinstance(self.task.objective, HeadObjective)
        head = self.task.forward.heads[self.task.objective.head]
        assert isinstance(head, Head)
        return head

    def _sampling(self, values: Sequence[float]) -> Sampling | None:
        return drawn_by(self.decoding(values), self.task.recipe.seed)

    def _of_weights(self, values: Sequence[float]) -> Values:
        of_each = self.by_adjustment(values)
        return tuple(value for name, one in self.adjustments.items() if isinstance(one, WeightAdjustment) for value in of_each[name])

    def _put_weights(self, values: Sequence[float]) -> None:
        wanted, trunk = self._of_weights(values), self.task.model.trunk
        if wanted == self._at:
            return
        here, of_each, is_start = dict(trunk.named_parameters()), self.by_adjustment(values), wanted == self._of_weights(self.start)
        with torch.no_grad():
            for name, own in self._own.items():
                here[name].copy_(own)
            for name, one in {} if is_start else self.adjustments.items():
                if isinstance(one, WeightAdjustment):
                    for path, tensor in one.changed(trunk, of_each[name], self._own).items():
                        here[path].copy_(tensor)
        self._at = wanted

    def _affine(self, values: Sequence[float]) -> tuple[list[float], list[float]]:
        """What all adjustments of scores make of an output together, one after the other."""
        num = self._head.num_outputs
        scale, shift, of_each = [1.0] * num, [0.0] * num, self.by_adjustment(values)
        for name, one in self.adjustments.items():
            if isinstance(one, ScoreAdjustment):
                by, add = one.affine(self.subject, of_each[name], num)
                scale = [x * b for x, b in zip(scale, by, strict=True)]
                shift = [x * b + a for x, b, a in zip(shift, by, add, strict=True)]
        return scale, shift

    def _outputs(self, values: Values) -> list[Output]:
        task, objective, split = self.task, self.task.objective, self.split
        if isinstance(objective, HeadObjective):
            wanted = self._of_weights(values)
            if self._heard is None or self._heard[0] != wanted:
                self._put_weights(values)
                self._heard = (wanted, hear(task, objective, split.rows))
            scale, shift = (torch.tensor(numbers, dtype=torch.float64) for numbers in self._affine(values))
            heard = [said * scale + shift for said in self._heard[1]]
            return objective.outputs(split.examples, split.rows, split.owners, heard, task.encoder)
        self._put_weights(values)
        task.forward.decoding = self._sampling(values)
        if self.metric.needs in ("text", "label"):
            return self._answered(values)
        return like_answers(task, objective, split) if isinstance(objective, AnswerObjective) else score(task, split)

    def _answered(self, values: Values) -> list[Output]:
        """What is chosen among answers that are given, and written of the others."""
        task, split = self.task, self.split
        closed = [row for row, example in enumerate(split.examples) if task.encoder.choices(example)]
        others = sorted({*range(len(split.examples))} - {*closed})
        found = dict(zip(closed, choose(task, pick(split.examples, closed)), strict=True))
        if others:
            found |= dict(zip(others, self._written(pick(split.examples, others), values), strict=True))
        return [found[row] for row in range(len(split.examples))]

    def _written(self, examples: Sequence[Example], values: Values) -> list[Output]:
        """A shorter answer is the beginning of a longer one: settings that differ in the length alone are written once."""
        task, drawn = self.task, self._sampling(values)
        by = self._of_weights(values), None if drawn is None else replace(drawn, max_new_tokens=None)
        if self._wrote is None or self._wrote[0] != by:
            longest = self._sampling([knob.high for knob in self.all_knobs])
            most = longest.max_new_tokens if longest is not None else None
            self._wrote = by, write_answers(task, examples, most or task.recipe.evaluate.max_new_tokens)
        written = self._wrote[1]
        if drawn is None or drawn.max_new_tokens is None:
            return written.outputs
        return as_texts(task, [answer[: drawn.max_new_tokens] for answer in written.tokens])


def _asked(task: Task, metric: Metric) -> EncodedSplit:
    """The validation rows; of those that are to be answered in words as many as a test would ask."""
    split = task.splits["validation"]
    if isinstance(task.objective, HeadObjective) or metric.needs not in ("text", "label"):
        return split
    closed = [row for row, example in enumerate(split.examples) if task.encoder.choices(example)]
    places = sorted({*closed, *(rows_to_answer(task, split.examples) if metric.needs == "text" else ())})
    return EncodedSplit(pick(split.examples, places), (), (), pick(split.references, places))
