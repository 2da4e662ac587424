"""How far one set of texts lies from another: whether a classifier can tell them apart, by which words, and what accuracy that puts at risk.

A classifier of words is asked, so what it sees is the least that there is: two sets may differ in ways that words do not show. Where texts come as vectors of a
model, too, a second classifier is asked that sees those.
Source of the two-sample test by a classifier: Lopez-Paz, Oquab (2017), "Revisiting Classifier Two-Sample Tests", https://arxiv.org/abs/1610.06545.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.core.statistics import Interval, wilson
from tunesmith.core.types import Example, Labelled
from tunesmith.data.checks.classifier import Array, Bag, WordClassifier, auc, auc_interval, bag, fit, fit_softmax
from tunesmith.data.checks.finding import Finding, Place, place
from tunesmith.data.checks.texts import asked
from tunesmith.data.split import content_key, limited

__all__ = ["AtRisk", "Embedded", "Shift", "TellingWord", "Vectors", "difference_of_proportions", "find_shift", "measure_shift"]

MOST_ROWS = 4000
"""Rows of each set that are looked at, by hash."""
FOLDS = 5
NUM_WORDS = 12
NUM_REPAIR = 200
"""Rows of the other set that are added to training, to see how far they repair the fall."""
NUM_TEXTS = 3
_CLEAR = 0.75
_LEAST = 20


@dataclass(frozen=True, slots=True)
class TellingWord:
    """A word that tells a set: the shares of texts that hold it."""

    word: str
    share: float
    """Of the set that it tells."""
    share_elsewhere: float
    """Of the other set."""


@dataclass(frozen=True, slots=True)
class AtRisk:
    """What a simple classifier that learned its labels from the first set does on both, with 95 % intervals."""

    majority: float
    """Of the other set's rows, those of its most frequent label: what knowing nothing gets right."""
    own: Interval
    """Accuracy on rows of the first set that it has not seen, by cross-validation."""
    other: Interval
    """Accuracy on the other set."""
    fall: Interval
    """own minus other: the accuracy at risk."""
    reachable: Interval
    """Accuracy on the other set of one that learned from it, by cross-validation."""
    repaired: Interval | None
    """Accuracy on the rest of the other set, where `num_repair` of its rows were added to training; None where too few are there."""
    num_repair: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """The same two sets, told apart by the vectors that a model makes of their texts."""

    model: str
    auc: Interval
    """As `Shift.auc`."""
    texts_of_first: tuple[Place, ...]
    """The texts that are surest of their set, each judged by a classifier that has not seen it."""
    texts_of_other: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """Two sets of texts, told apart."""

    first: str
    other: str
    num_first: int
    num_other: int
    auc: Interval
    """Chance that a classifier which has not seen either text takes the one of the other set for it: 0.5 is no shift, 1 is always."""
    words_of_first: tuple[TellingWord, ...]
    words_of_other: tuple[TellingWord, ...]
    at_risk: AtRisk | None
    why_not: str
    """Why the accuracy at risk is not known; empty where it is."""
    embedded: Embedded | None = None


Vectors = Callable[[Sequence[str]], Array]


def measure_shift(
    first: Sequence[Example],
    other: Sequence[Example],
    names: tuple[str, str] = ("train", "other"),
    embed: tuple[str, Vectors] | None = None,
) -> Shift | str:
    """Compare two sets. Copies of a text are in one fold and count once; the result does not depend on the order of the rows.

    Args:
        embed: a model's name, and what makes vectors of texts, shape (texts, H); None: words alone are looked at.
    Returns: the shift, or, where a set has too few texts, why it cannot be measured.
    """
    one, two = _distinct(first), _distinct(other)
    for name, rows in zip(names, (one, two), strict=True):
        if len(rows) < _LEAST:
            return f"{name} has {len(rows)} distinct texts, too few to tell anything from: {_LEAST} are needed."
    bags, where = [bag(asked(row)) for row in (*one, *two)], [0] * len(one) + [1] * len(two)
    folds = [*_folds(one), *_folds(two)]

    def told_by_words(train: list[int], held: list[int]) -> Array:
        learned = fit([bags[at] for at in train], [str(where[at]) for at in train])
        scores = learned.scores([bags[at] for at in held])
        return np.asarray(scores[:, 1] - scores[:, 0])

    area, _ = _told_apart(folds, where, told_by_words)
    of_first, of_other = _telling(bags, where)
    at_risk = _at_risk(one, bags[: len(one)], two, bags[len(one) :])
    return Shift(
        *names,
        len(one),
        len(two),
        area,
        of_first,
        of_other,
        at_risk if isinstance(at_risk, AtRisk) else None,
        "" if isinstance(at_risk, AtRisk) else at_risk,
        _embedded((*one, *two), where, folds, names, *embed) if embed else None,
    )


def _told_apart(folds: Sequence[int], where: Sequence[int], tell: Callable[[list[int], list[int]], Array]) -> tuple[Interval, Array]:
    """The AUC over the folds, and of each text how far it is told to be of the other set, by a classifier that has not seen it.

    Args:
        tell: learns from the places of some texts, and says it of those of others.
    """
    margins, sides, areas = np.zeros(len(where)), np.array(where), []
    for fold in range(FOLDS):
        train = [at for at in range(len(where)) if folds[at] != fold]
        held = [at for at in range(len(where)) if folds[at] == fold]
        margins[held] = tell(train, held)
        areas.append(auc(margins[held][sides[held] == 0], margins[held][sides[held] == 1]))
    value = sum(areas) / FOLDS
    return Interval(value, *auc_interval(value, where.count(0), where.count(1))), margins


def _embedded(
    rows: Sequence[Example], where: Sequence[int], folds: Sequence[int], names: tuple[str, str], model: str, vectors: Vectors
) -> Embedded:
    made = vectors([asked(row) for row in rows])
    sides = np.array(where)

    def told_by_vectors(train: list[int], held: list[int]) -> Array:
        middle, spread = made[train].mean(axis=0), made[train].std(axis=0) + 1e-12
        weights, bias = fit_softmax((made[train] - middle) / spread, sides[train], 2, penalty=float(made.shape[1]))
        scores = (made[held] - middle) / spread @ weights + bias
        return np.asarray(scores[:, 1] - scores[:, 0])

    area, margins = _told_apart(folds, where, told_by_vectors)
    order = np.argsort(margins, kind="stable").tolist()
    surest = [[at for at in ranked if where[at] == side][:NUM_TEXTS] for side, ranked in ((0, order), (1, order[::-1]))]
    of_first, of_other = (tuple(place(name, rows[at]) for at in found) for name, found in zip(names, surest, strict=True))
    return Embedded(model, area, of_first, of_other)


def _distinct(examples: Sequence[Example]) -> list[Example]:
    return list(limited(list({content_key(example): example for example in reversed(examples)}.values())[::-1], MOST_ROWS))


def _folds(examples: Sequence[Example]) -> list[int]:
    """A fold for each example: by hash, as many in each."""
    ranked = sorted(range(len(examples)), key=lambda at: hashlib.sha256(content_key(examples[at]).encode()).digest())
    folds = [0] * len(examples)
    for rank, at in enumerate(ranked):
        folds[at] = rank % FOLDS
    return folds


def _telling(bags: Sequence[Bag], where: Sequence[int]) -> tuple[tuple[TellingWord, ...], tuple[TellingWord, ...]]:
    """The words of each set that weigh most: weight of the classifier times the difference of the shares of texts that hold the word."""
    learned = fit(bags, [str(side) for side in where])
    holding = np.zeros((2, len(learned.vocabulary)))
    for words, side in zip(bags, where, strict=True):
        holding[side, [learned.vocabulary[word] for word in words if word in learned.vocabulary]] += 1
    shares = holding / np.array([[where.count(0)], [where.count(1)]])
    weight = (learned.weights_vk[:, 1] - learned.weights_vk[:, 0]) * learned.idf_v
    names, found = list(learned.vocabulary), []
    for side, sign in ((0, -1.0), (1, 1.0)):
        apart = np.maximum(shares[side] - shares[1 - side], 0.0) * np.maximum(sign * weight, 0.0)
        order = [at for at in np.argsort(-apart, kind="stable")[:NUM_WORDS].tolist() if apart[at] > 0]
        found.append(tuple(TellingWord(names[at], float(shares[side, at]), float(shares[1 - side, at])) for at in order))
    return found[0], found[1]


def _at_risk(first: Sequence[Example], first_bags: Sequence[Bag], other: Sequence[Example], other_bags: Sequence[Bag]) -> AtRisk | str:
    """What changing the set costs a simple classifier, or why that is not known."""
    one, two = _labels(first), _labels(other)
    if None in one or None in two:
        return "the accuracy at risk is known only where both sets have labels."
    own_labels, labels = [str(label) for label in one], [str(label) for label in two]
    if not set(labels) <= set(own_labels) or len(set(own_labels)) < 2:
        return f"the accuracy at risk is known only where the sets have the same labels: {_names(own_labels)}; {_names(labels)}."
    own = _cross_validated(first, first_bags, own_labels)
    elsewhere = _accuracy(fit(first_bags, own_labels), other_bags, labels)
    added = {content_key(row) for row in limited(other, NUM_REPAIR)}
    few = [at for at, row in enumerate(other) if content_key(row) in added]
    rest = [at for at, row in enumerate(other) if content_key(row) not in added]
    repaired = None
    if len(rest) >= _LEAST:
        again = fit([*first_bags, *(other_bags[at] for at in few)], [*own_labels, *(labels[at] for at in few)])
        repaired = _accuracy(again, [other_bags[at] for at in rest], [labels[at] for at in rest])
    return AtRisk(
        max(Counter(labels).values()) / len(labels),
        own,
        elsewhere,
        difference_of_proportions(own, elsewhere),
        _cross_validated(other, other_bags, labels),
        repaired,
        len(few),
    )


def _labels(examples: Sequence[Example]) -> list[str | None]:
    return [example.label if isinstance(example, Labelled) else None for example in examples]


def _names(labels: Sequence[str]) -> str:
    return ", ".join(sorted(set(labels))[:6])


def _accuracy(classifier: WordClassifier, bags: Sequence[Bag], labels: Sequence[str]) -> Interval:
    return wilson(sum(map(str.__eq__, classifier.predict(bags), labels)), len(labels))


def _cross_validated(rows: Sequence[Example], bags: Sequence[Bag], labels: Sequence[str]) -> Interval:
    folds, right = _folds(rows), 0
    for fold in range(FOLDS):
        train = [at for at in range(len(rows)) if folds[at] != fold]
        held = [at for at in range(len(rows)) if folds[at] == fold]
        told = fit([bags[at] for at in train], [labels[at] for at in train]).predict([bags[at] for at in held])
        right += sum(map(str.__eq__, told, (labels[at] for at in held)))
    return wilson(right, len(rows))


def difference_of_proportions(one: Interval, other: Interval) -> Interval:
    """one minus other, of two proportions measured on different rows, each with its Wilson interval.

    Source: Newcombe (1998), "Interval estimation for the difference between independent proportions", Stat. Med. 17:873, method 10.
    """
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    return Interval(value, low, value + math.hypot(one.high - one.value, other.value - other.low))


def find_shift(shift: Shift) -> list[Finding]:
    """A warning where the sets are told apart well, or accuracy is at risk; else a note."""
    clear = shift.auc.low > _CLEAR
    text = f"a classifier of words tells {shift.other} from {shift.first} with an AUC of {shift.auc.value:.3f} ({shift.auc.low:.3f} to {shift.auc.high:.3f}; 0.5 is no difference)."
    if shift.embedded is not None:
        area = shift.embedded.auc
        clear = clear or area.low > _CLEAR
        text += f" One of the vectors of {shift.embedded.model}: {area.value:.3f} ({area.low:.3f} to {area.high:.3f})."
    risk = shift.at_risk
    if risk is not None:
        text += (
            f" One that learned its labels from {shift.first} has an accuracy of {risk.own.value:.3f} there and of {risk.other.value:.3f} on {shift.other}: "
            f"{_signed(risk.fall.value)} is at risk ({_signed(risk.fall.low)} to {_signed(risk.fall.high)})."
        )
    elif shift.why_not:
        text += f" {shift.why_not[:1].upper()}{shift.why_not[1:]}"
    is_warning = clear or (risk is not None and risk.fall.low > 0.02)
    return [Finding("shift", "warning" if is_warning else "note", f"{shift.first}/{shift.other}", shift.num_other, text)]


def _signed(share: float) -> str:
    return f"{share:.3f}".replace("-", "\u2212")
