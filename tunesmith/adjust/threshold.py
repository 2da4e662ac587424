"""Decision thresholds: what each class has to score to be said.

A number is added to each class's score (one is left as it is where the likeliest class is said). Of two classes it is the threshold t of the second one's probability, -ln(t / (1 - t)); of
several it is the correction for classes that are more or less frequent than where the head was trained.

Source: Saerens, Latinne, Decaestecker (2002), "Adjusting the Outputs of a Classifier to New a Priori Probabilities", https://doi.org/10.1162/089976602753284446, eq. 4; for thresholds by F1: Lipton,
Elkan, Naryanaswamy (2014), "Optimal Thresholding of Classifiers to Maximize F1 Measure", https://arxiv.org/abs/1402.1892.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunesmith.adjust._scores import refusal
from tunesmith.core.adjusting import Array, Knob, Subject, Trial

__all__ = ["Threshold"]

_KINDS = ("classification", "multi_label", "token_classification")
_LEAST = 1.0
"""The range of an added number, nats, where the scores lie closer together."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Add a number to each class's score."""

    moves: ClassVar[frozenset[str]] = frozenset({"label", "labels", "tags", "probabilities"})
    trial: ClassVar[Trial] = "scores"

    def refusal(self, subject: Subject) -> str:
        """Why there is no threshold: the model names no class, or has no head for these."""
        if subject.kind not in _KINDS:
            what = "writes text" if subject.writes else "names no class"
            return f"a threshold is of a class, and a model of {subject.objective} {what}"
        return refusal(subject)

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One a class, as far as the scores of the rows reach; none for the first where the likeliest class is said."""
        assert scores_nk is not None
        independent = subject.kind == "multi_label"
        apart_nk = scores_nk if independent else scores_nk[:, 1:] - scores_nk[:, :1]
        reach = [max(_LEAST, 1.05 * float(np.abs(column).max())) for column in apart_nk.T]
        labels = subject.labels if independent else subject.labels[1:]
        return [Knob(f"added to {label}", -far, far, 0.0) for label, far in zip(labels, reach, strict=True)]

    def affine(self, subject: Subject, values: Sequence[float], num_outputs: int) -> tuple[list[float], list[float]]:
        """The numbers as they are added."""
        return [1.0] * num_outputs, [0.0] * (num_outputs - len(values)) + list(values)

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """Of two classes, and where each is said by itself, from which probability on; else what is added."""
        if subject.kind == "multi_label":
            return [f"{label} from {_threshold(value):.3f} on" for label, value in zip(subject.labels, values, strict=True)]
        if len(subject.labels) == 2:
            return [f"{subject.labels[1]} from {_threshold(values[0]):.3f} on"]
        return [f"{label} {value:+.3f}" for label, value in zip(subject.labels[1:], values, strict=True)]


def _threshold(added: float) -> float:
    """The probability from which a class is said to whose score so much is added."""
    return 0.5 * (1 - math.tanh(added / 2))  # the logistic function of -added, which cannot overflow
