"""A search finds what was planted, the same each time, and takes the model as it is where nothing is better."""

import math
import random

import numpy as np
import pytest

from tunesmith.adjust.threshold import Threshold
from tunesmith.app.adjustable import num_trials
from tunesmith.comparison.optimize import Tried, best_of, search
from tunesmith.core.adjusting import Knob, Subject
from tunesmith.core.registry import create
from tunesmith.core.types import Labelled, Origin, Output

KNOBS = [Knob("x", -4.0, 4.0, 0.0), Knob("y", 0.1, 10.0, 1.0, is_log=True)]
CLASSES = ("no", "yes")


def _subject(labels: tuple[str, ...] = CLASSES, kind: str = "classification") -> Subject:
    return Subject(
        model="run:a", objective="classify", kind=kind, writes=False, max_new_tokens=8, max_length=64,
        labels=labels, knows_labels=True, trunk=None, adjusted=("threshold",),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("sampler", ["cmaes", "tpe"])
@pytest.mark.parametrize("metric_name", ["accuracy", "macro_f1"])
def test_the_threshold_that_labels_were_made_by_is_found(sampler: str, metric_name: str) -> None:
    draw, planted = random.Random(0), 1.7  # nats: yes from a probability of 0.846 on
    scores = [draw.uniform(-5, 5) for _ in range(200)]
    truth = [CLASSES[score > planted] for score in scores]
    metric, threshold = create("metric", metric_name), Threshold()
    scores_nk = np.array([[0.0, score] for score in scores])
    (knob,) = threshold.knobs(_subject(), scores_nk)
    example = Labelled("text", "no", Origin("made", 1))

    def value(number: int, values: tuple[float, ...]) -> float:
        scale, shift = threshold.affine(_subject(), values, 2)
        said = [CLASSES[int((row * scale + shift).argmax())] for row in scores_nk]
        return metric.value(np.array([metric.stats(example, Output(label=one), true) for one, true in zip(said, truth, strict=True)]))

    tried = search([knob], value, num_trials=200, sampler=sampler, higher_is_better=True, seed=0)  # type: ignore[arg-type]
    found = -tried[best_of(tried, [knob], higher_is_better=True)].values[0]
    assert max(s for s in scores if s <= planted) < found < min(s for s in scores if s > planted)
    assert threshold.shown(_subject(), [-found]) == [f"yes from {1 / (1 + math.exp(-found)):.3f} on"]


@pytest.mark.parametrize("sampler", ["cmaes", "tpe"])
def test_the_first_trial_is_the_model_as_it_is_and_a_seed_gives_the_same_search(sampler: str) -> None:
    def bowl(number: int, values: tuple[float, ...]) -> float:
        return (values[0] - 1.5) ** 2 + (math.log(values[1]) + 1) ** 2

    first, again, other = (
        search(KNOBS, bowl, num_trials=60, sampler=sampler, higher_is_better=False, seed=seed)  # type: ignore[arg-type]
        for seed in (3, 3, 4)
    )
    assert first[0].values == (0.0, 1.0)
    assert first == again != other
    best = first[best_of(first, KNOBS, higher_is_better=False)].values
    assert best == pytest.approx((1.5, math.exp(-1)), abs=0.6)
    assert all(knob.low <= value <= knob.high for one in first for knob, value in zip(KNOBS, one.values, strict=True))


def test_the_middle_of_what_is_as_good_is_taken_and_the_start_where_nothing_is_better() -> None:
    knob = [Knob("x", 0.0, 10.0, 0.0)]
    tried = [Tried((x,), value) for x, value in ((0.0, 0.5), (2.0, 0.9), (8.0, 0.7), (4.5, 0.9), (6.0, 0.9), (9.0, math.nan))]
    assert best_of(tried, knob, higher_is_better=True) == 3
    assert best_of([Tried((0.0,), 0.9), *tried[1:]], knob, higher_is_better=True) == 0
    assert best_of(tried, knob, higher_is_better=False) == 0


def test_a_trial_without_a_number_is_passed_over() -> None:
    tried = search(
        KNOBS, lambda number, values: math.nan if number % 2 else values[0], num_trials=20, sampler="cmaes", higher_is_better=True, seed=0
    )
    assert sum(math.isnan(one.value) for one in tried) == 10
    assert not math.isnan(tried[best_of(tried, KNOBS, higher_is_better=True)].value)


def test_several_labels_each_have_a_threshold_of_their_own() -> None:
    subject = _subject(("a", "b"), "multi_label")
    knobs = Threshold().knobs(subject, np.array([[-3.0, 0.1], [2.0, 0.2]]))
    assert [(knob.name, knob.high) for knob in knobs] == [("added to a", pytest.approx(3.15)), ("added to b", 1.0)]
    assert Threshold().affine(subject, [0.5, -1.0], 2) == ([1.0, 1.0], [0.5, -1.0])
    assert Threshold().shown(subject, [0.0, math.log(3)]) == ["a from 0.500 on", "b from 0.250 on"]


@pytest.mark.parametrize(("num_classes", "seed"), [(5, 0), (5, 1), (7, 0), (7, 3)])
def test_what_labels_of_many_classes_were_made_by_is_found_with_the_usual_trials(num_classes: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    scores_nk, planted_k = draw.normal(0, 2, (600, num_classes)), np.array([0.0, *draw.uniform(-3, 3, num_classes - 1)])
    truth_n = (scores_nk + planted_k).argmax(1)
    subject = _subject(tuple(f"class {number}" for number in range(num_classes)))
    knobs = Threshold().knobs(subject, scores_nk)

    def value(number: int, values: tuple[float, ...]) -> float:
        scale, shift = Threshold().affine(subject, values, num_classes)
        return float(((scores_nk * scale + shift).argmax(1) == truth_n).mean())

    tried = search(
        knobs, value, num_trials=num_trials(create("method", "direct"), len(knobs)), sampler="cmaes", higher_is_better=True, seed=0
    )
    found = tried[best_of(tried, knobs, higher_is_better=True)]
    assert found.value >= 0.985  # 1 is the best that there is


@pytest.mark.parametrize(
    ("adjust", "num_numbers", "trials"),
    [
        ("threshold", 1, 200),
        ("threshold", 2, 200),
        ("threshold", 3, 400),
        ("threshold", 9, 1600),
        ("threshold", 76, 2000),
        ("norms", 9, 40),
    ],
)
def test_trials_grow_with_the_numbers_where_they_cost_little(adjust: str, num_numbers: int, trials: int) -> None:
    assert num_trials(create("method", "direct", adjust=(adjust,)), num_numbers) == trials
    assert num_trials(create("method", "direct", adjust=(adjust,), trials=7), num_numbers) == 7
