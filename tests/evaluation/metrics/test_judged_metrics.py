"""Metrics of judged answers, worked by hand and against scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tunesmith.core import registry
from tunesmith.core.types import Example, Message, Origin, Output, Preference, Ranked, Unpaired
from tunesmith.evaluation.score import compare, evaluate_metric

HERE = Origin("x", 1)
ASK, YES, NO = ((Message(role, text),) for role, text in (("user", "Sky?"), ("assistant", "Blue."), ("assistant", "Green.")))  # type: ignore[arg-type]
PAIR = Preference(ASK, YES, NO, HERE)


def ranked(*ranks: int) -> Ranked:
    return Ranked(ASK, tuple(f"answer {i}" for i in range(len(ranks))), ranks, HERE)


def value(name: str, examples: list[Example], scores: list[tuple[float, ...]]) -> float:
    outputs = [Output(liked=one[0]) if name == "liked_auc" else Output(scores=one) for one in scores]
    return evaluate_metric(registry.create("metric", name), examples, outputs, [""] * len(examples), seed=0).interval.value


def test_pairs_in_the_right_order_count_one_and_equal_ones_a_half() -> None:
    assert value("pair_accuracy", [PAIR] * 4, [(2.0, 1.0), (1.0, 2.0), (0.0, 0.0), (3.0, -1.0)]) == 2.5 / 4


def test_of_ranked_answers_every_two_of_different_rank_are_a_pair() -> None:
    assert value("pair_accuracy", [ranked(1, 1, 3)], [(0.0, 2.0, 1.0)]) == 1 / 2  # of the tie nothing is asked
    assert value("pair_accuracy", [ranked(1, 2, 3), PAIR], [(3.0, 2.0, 1.0), (0.0, 1.0)]) == 3 / 4


def test_the_log_loss_of_a_pair_is_that_of_its_margin() -> None:
    expected = (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(1.0))) / 2
    assert value("pair_log_loss", [PAIR] * 2, [(2.0, 1.0), (1.0, 2.0)]) == pytest.approx(expected, rel=1e-12)
    assert value("pair_log_loss", [PAIR], [(0.0, 0.0)]) == pytest.approx(math.log(2), rel=1e-12)
    assert math.isfinite(value("pair_log_loss", [PAIR], [(-1e4, 1e4)]))


def test_liked_auc_is_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    scores, liked = np.round(draw.normal(size=60), 1), draw.random(60) < 0.4  # rounded: some are equal
    examples: list[Example] = [Unpaired(ASK, YES, bool(one), Origin("x", i)) for i, one in enumerate(liked)]
    assert value("liked_auc", examples, [(float(one),) for one in scores]) == pytest.approx(roc_auc_score(liked, scores), rel=1e-12)
    assert math.isnan(value("liked_auc", [Unpaired(ASK, YES, True, HERE)] * 12, [(1.0,)] * 12))


def test_of_answers_that_are_all_liked_alike_nothing_is_said() -> None:
    examples: list[Example] = [PAIR, ranked(1, 1)]
    outputs = [Output(scores=(2.0, 1.0)), Output(scores=(1.0, 2.0))]
    for name in ("pair_accuracy", "pair_log_loss"):
        found = compare(registry.create("metric", name), None, outputs, examples, ["", ""], seed=0)
        assert (found["rows"], found["excluded"]) == (1, 1)
