"""Graded answers: a head on the trunk gives an answer to a conversation a grade on each of several attributes, as people did.

loss = sum over the grades that are there of ((y_k - f_k(x)) / deviation_k)^2, where f_k(x) = mean_k + deviation_k * head_k(x): mean and standard deviation of the
training grades of attribute k, so that attributes of any scale weigh the same, and the head starts where the grades are. A grade that is missing weighs nothing.

Source: Wang et al. (2023), "HelpSteer: Multi-attribute Helpfulness Dataset for SteerLM", https://arxiv.org/abs/2311.09528, for the grades; Dong et al. (2023), "SteerLM",
https://arxiv.org/abs/2310.05344, for a model that predicts them (there written as text, here as numbers).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import DataError
from tunesmith.core.types import Encoder, Example, Forward, Graded, HeadSpec, Loss, Output, Row, Segment, Targets
from tunesmith.objective._answers import encoded_answers, pairs_of_texts
from tunesmith.objective._head import HeadLoss

__all__ = ["Grade"]


@dataclass(frozen=True, kw_only=True)
class Grade(HeadLoss):
    """Learn the grades that people give an answer."""

    pooling: Literal["auto", "first", "mean", "last", "concat"] = "auto"
    """How an answer's hidden states become one vector; auto: the last token of a causal model, the mean of an encoder's."""
    head_layers: int | None = None
    """Layers of the head; each but the last keeps the width and has a tanh; none: as many as the head of an earlier run has that is trained on, else 1."""
    head_dropout: float = 0.0
    """Dropout on what the head reads: it moves the grades themselves, so that there is none unless it is asked for."""
    head_lr_scale: float = 10.0
    """Learning rate of the head, as a multiple of the recipe's: it starts from nothing, the trunk from what it knows."""

    accepts: ClassVar[tuple[type, ...]] = (Graded,)
    fills: ClassVar[frozenset[str]] = frozenset({"grades"})
    headline: ClassVar[str] = "grade_spearman"
    head: ClassVar[str] = "grades"
    reads: ClassVar[Literal["answer", "target"]] = "answer"

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """One head, `grades`, with an output an attribute, each in its own unit.

        Raises: DataError, where there is no attribute, or one of which no grades are there, or all are the same.
        """
        if not encoder.labels:
            raise DataError(
                "data.train: no attributes that all answers are graded on. Name them in data.columns, the same for every set of data.mix."
            )
        units = _units(encoder)
        for name, (mean, deviation) in zip(encoder.labels, units, strict=True):
            if not deviation:
                found = "no training row has a grade of" if math.isnan(mean) else f"every training row has the grade {mean:g} of"
                raise DataError(
                    f"data.train: {found} {name}, so there is nothing to learn. Name the other attributes alone, as data.columns.NAME=COLUMN."
                )
        means, deviations = zip(*units, strict=True)
        return {"grades": HeadSpec(len(units), self.pooling, self.head_layers, self.head_dropout, self.head_lr_scale, means, deviations)}

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row, with a target for each grade that is there; none where cutting left nothing of the answer.

        A causal model reads the conversation and the answer that continues it, an encoder both as a pair of texts.
        """
        assert isinstance(example, Graded)
        if encoder.facts.is_causal:
            shared, (whole,) = encoded_answers(example, encoder)
            if not shared or not any(whole.scored):
                return []
            segments: tuple[Segment, ...] = (Segment(shared), Segment(whole.tokens[len(shared) :], parent=0))
        else:
            segments = pairs_of_texts(example, encoder)
        found, values, there = dict(example.grades), dict[str, tuple[float, ...]](), list[int]()
        for place, (name, (_, deviation)) in enumerate(zip(encoder.labels, _units(encoder), strict=True)):
            grade = found.get(name)
            if grade is not None:
                there.append(place)
            values |= {f"grade.{place}": (grade or 0.0,), f"unit.{place}": (deviation,)}
        end = sum(len(segment.tokens) for segment in segments) - 1
        targets = Targets((end,) * len(there), tuple(there), (1.0,) * len(there), (0,) * len(there))
        return [Row(segments, example.origin, targets, (len(segments) - 1,), values)]

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Squared error in units of the attributes' deviations, summed over the grades; a step divides it by the number of grades that are there."""
        found_AK = forward.head("grades", batch)
        grades_AK, units_AK = (
            torch.stack([batch.per_answer[f"{name}.{place}"] for place in range(found_AK.shape[1])], -1) for name in ("grade", "unit")
        )
        return Loss({"target": grade_loss(found_AK, grades_AK, units_AK, batch.answers_N, batch.labels_N, batch.weights_N)})

    def outputs(
        self, examples: Sequence[Example], rows: Sequence[Row], owners: Sequence[int], heard: Sequence[Tensor], encoder: Encoder
    ) -> list[Output]:
        """The grade of each attribute, in its unit; none of an example without a row, as its prompt left its answer no room."""
        found = [Output()] * len(examples)
        for owner, one in zip(owners, heard, strict=True):
            found[owner] = Output(grades=dict(zip(encoder.labels, one[0].tolist(), strict=True)))
        return found

    def reference(self, example: Example) -> str:
        """The grades by their names; a missing one is left out."""
        assert isinstance(example, Graded)
        return ", ".join(f"{name} {grade:g}" for name, grade in example.grades if grade is not None)

    def constant(self, train: Sequence[Example], asked: Sequence[Example]) -> list[Output]:
        """The mean of each attribute, which has the least squared error of all constants."""
        found = dict[str, list[float]]()
        for example in train:
            assert isinstance(example, Graded)
            for name, grade in example.grades:
                if grade is not None:
                    found.setdefault(name, []).append(grade)
        return [Output(grades={name: fmean(grades) for name, grades in found.items()})] * len(asked)


def grade_loss(found_AK: Tensor, grades_AK: Tensor, units_AK: Tensor, answers_N: Tensor, attributes_N: Tensor, weights_N: Tensor) -> Tensor:
    """Squared errors of the grades that are there, each in the unit of its attribute, summed.

    Args:
        found_AK: what the head says, (answers, attributes).
        grades_AK: what people said; what stands where a grade is missing does not matter.
        units_AK: standard deviation of each attribute's grades, > 0.
        answers_N, attributes_N: which grades are there, (grades,).
        weights_N: what each counts.
    Returns: scalar, without a unit.
    """
    errors_AK = (found_AK - grades_AK) / units_AK
    return (weights_N * errors_AK[answers_N, attributes_N].square()).sum()


def _units(encoder: Encoder) -> tuple[tuple[float, float], ...]:
    """Mean and deviation of each attribute; where grades are to be predicted, which need neither, 0 and 1."""
    return encoder.grades or ((0.0, 1.0),) * len(encoder.labels)
