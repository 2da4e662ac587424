"""Recall, overlap and discounted gain, by hand."""

import math

import pytest

from tunesmith.context.measures import iou, ndcg, recall

WANTED = {1, 2, 3, 4}
FIRST, SECOND, OTHER = {3, 4, 5, 6}, {1, 2, 3, 4}, {7, 8}


def test_recall_is_the_share_of_the_references_that_is_held() -> None:
    found = [OTHER, FIRST, SECOND]
    assert [recall(WANTED, found, k) for k in (1, 2, 3, 9)] == [0, 0.5, 1, 1]


def test_what_is_not_wanted_lowers_the_overlap() -> None:
    assert iou(WANTED, [SECOND], 1) == 1
    assert iou(WANTED, [SECOND, OTHER], 2) == 4 / 6
    assert iou(WANTED, [FIRST, SECOND], 2) == 4 / 6  # a token that two hold is one
    assert iou(WANTED, [], 1) == 0


def test_gain_is_of_what_is_new_and_fades_with_the_rank() -> None:
    passages = [FIRST, SECOND, OTHER]
    assert ndcg(WANTED, [SECOND, FIRST], 2, passages) == 1
    assert ndcg(WANTED, [FIRST, SECOND], 2, passages) == pytest.approx(0.5 + 0.5 / math.log2(3))
    assert ndcg(WANTED, [FIRST, FIRST], 2, passages) == 0.5
    assert ndcg(WANTED, [OTHER], 1, passages) == 0
    assert ndcg(WANTED, [OTHER], 1, [OTHER]) == 0
    halves = [{1, 2}, {3, 4}]
    assert ndcg(WANTED, [OTHER, *halves], 3, [*halves, OTHER]) == pytest.approx((1 / math.log2(3) + 0.5) / (1 + 1 / math.log2(3)))
    assert ndcg(WANTED, [{1, 2}], 1, halves) == 1  # one alone can do no better


def test_no_ranking_is_better_than_ideal() -> None:
    b, a, c = set(range(200)), set(range(160, 260)), set(range(220, 420))
    assert ndcg(set(range(101, 319)), [b, c], 2, [b, a, c]) <= 1


def test_references_have_tokens() -> None:
    with pytest.raises(ValueError, match="references without tokens"):
        recall(set(), [FIRST], 1)
