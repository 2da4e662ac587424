"""The simple classifier is scikit-learn's logistic regression, and its areas are those of the textbooks."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tunesmith.data.checks.classifier import auc, auc_interval, bag, fit, fit_softmax


def bags(*texts: str) -> list[frozenset[str]]:
    return [bag(text) for text in texts]


def points(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    answers = rng.integers(num_classes, size=120)
    return rng.normal(size=(120, 6)) + 0.6 * np.eye(num_classes, 6)[answers], answers


def test_three_classes_are_scikit_learns() -> None:
    features, answers = points(3)
    weights, bias = fit_softmax(csr_matrix(features), answers, 3, penalty=0.5)
    theirs = LogisticRegression(C=2.0, tol=1e-9, max_iter=5000).fit(features, answers)
    np.testing.assert_allclose(weights.T, theirs.coef_, atol=2e-4)
    ours = features @ weights + bias
    shares = np.exp(ours - ours.max(axis=1, keepdims=True))
    np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), theirs.predict_proba(features), atol=2e-4)


def test_two_classes_are_scikit_learns_with_half_the_penalty() -> None:
    # two vectors w/2 and -w/2 weigh half of what w weighs: penalty 1 here is C = 1 / (1/2) there
    features, answers = points(2)
    weights, _ = fit_softmax(features, answers, 2, penalty=1.0)
    theirs = LogisticRegression(C=2.0, tol=1e-9, max_iter=5000).fit(features, answers)
    np.testing.assert_allclose(weights[:, 1] - weights[:, 0], theirs.coef_[0], atol=2e-4)


def test_words_are_weighed_by_how_rare_they_are_worked_by_hand() -> None:
    learned = fit(bags("good film", "bad film", "good plot"), ["p", "n", "p"])
    assert list(learned.vocabulary) == ["film", "good"]  # bad and plot stand in one text only
    np.testing.assert_allclose(learned.idf_v, [np.log(4 / 3) + 1] * 2)
    assert learned.predict(bags("good good plot", "film")) == ["p", "p"]
    assert learned.predict([]) == []


def test_a_text_without_a_known_word_gets_what_the_biases_say() -> None:
    learned = fit(bags(*["a b"] * 3, *["c d"] * 6), ["x"] * 3 + ["y"] * 6)
    assert learned.predict(bags("zzz", "", "a b")) == ["y", "y", "x"]
    assert fit(bags("one", "two"), ["x", "y"]).predict(bags("three"))[0] in ("x", "y")  # no word stands twice: no vocabulary


def test_numbers_and_addresses_count_as_kinds() -> None:
    assert bag("Call 08001234 or 4U: http://a.b/c?d, me@x.org") == {"call", "<number>", "or", "<url>", "<e-mail>"}


def test_the_area_is_scikit_learns_ties_counted_half() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 6, 40).astype(float), rng.integers(2, 9, 70).astype(float)
    theirs = roc_auc_score([0] * 40 + [1] * 70, np.concatenate([first, second]))
    assert auc(first, second) == pytest.approx(theirs)
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0])
def test_the_interval_of_an_area_holds_the_truth_about_as_often_as_it_says(distance: float) -> None:
    from statistics import NormalDist

    truth, rng, held = NormalDist().cdf(distance / 2**0.5), np.random.default_rng(2), 0
    for _ in range(400):
        low, high = auc_interval(auc(rng.normal(size=40), rng.normal(distance, 1, size=60)), 40, 60)
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.99


def test_the_interval_keeps_its_width_at_the_ends() -> None:
    low, high = auc_interval(1.0, 50, 50)
    assert 0.9 < low < 0.99
    assert high == 1.0
    assert auc_interval(0.0, 50, 50) == pytest.approx((0.0, 1 - low))
