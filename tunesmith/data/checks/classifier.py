"""A simple classifier: logistic regression on the words of a text. It says what words alone can tell, in seconds and without a model.

n texts    v words of the vocabulary    k classes
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.core.language import words

__all__ = ["Array", "Bag", "WordClassifier", "auc", "auc_interval", "bag", "fit", "fit_softmax"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Bag = frozenset[str]
"""The distinct words of a text."""

MOST_WORDS = 10_000
_LONGEST = 5000
"""Words of a text that are read."""
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+", re.I)
_MAIL = re.compile(r"\S+@\S+\.\S+")
_NUMBER = re.compile(r"\d")


def bag(text: str) -> Bag:
    """The distinct words of a text; an address of the web or of a person, and a word with digits in it, count as kinds and not as themselves."""
    text = _MAIL.sub(" emailaddress ", _ADDRESS.sub(" webaddress ", text))
    return frozenset(_KINDS.get(word, "<number>" if _NUMBER.search(word) else word) for word in words(text)[:_LONGEST])


_KINDS = {"emailaddress": "<e-mail>", "webaddress": "<url>"}


@dataclass(frozen=True, slots=True)
class WordClassifier:
    """What was learned: weights of the words, and how rare each is."""

    vocabulary: Mapping[str, int]
    idf_v: Array
    weights_vk: Array
    bias_k: Array
    classes: tuple[str, ...]

    def scores(self, bags: Sequence[Bag]) -> Array:
        """Log-odds up to a constant of each class, shape (n, k)."""
        found: Array = _features(bags, self.vocabulary, self.idf_v) @ self.weights_vk + self.bias_k
        return found

    def predict(self, bags: Sequence[Bag]) -> list[str]:
        """The likeliest class of each text."""
        return [self.classes[at] for at in self.scores(bags).argmax(axis=1)] if bags else []


def fit(bags: Sequence[Bag], labels: Sequence[str], *, penalty: float = 1.0) -> WordClassifier:
    """Learn labels from the words of texts.

    A text is the set of its words, each weighing log((1 + n) / (1 + texts with it)) + 1, divided by the length of the whole; words that stand in
    one text only are left out. Source: Salton, Buckley (1988), "Term-weighting approaches in automatic text retrieval".
    """
    counts = Counter(word for found in bags for word in found)
    kept = [word for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count > 1][:MOST_WORDS]
    vocabulary = {word: at for at, word in enumerate(kept)}
    idf_v = np.array([np.log((1 + len(bags)) / (1 + counts[word])) + 1 for word in kept])
    classes = tuple(sorted(set(labels)))
    place = {label: at for at, label in enumerate(classes)}
    answers_n = np.array([place[label] for label in labels])
    weights_vk, bias_k = fit_softmax(_features(bags, vocabulary, idf_v), answers_n, len(classes), penalty)
    return WordClassifier(vocabulary, idf_v, weights_vk, bias_k, classes)


def fit_softmax(features_nv: Any, answers_n: np.ndarray[Any, np.dtype[Any]], num_classes: int, penalty: float = 1.0) -> tuple[Array, Array]:
    """The minimum of the summed cross-entropy plus penalty / 2 times the squared weights, by L-BFGS.

    Args:
        features_nv: a matrix, sparse or dense, shape (n, v).
        answers_n: the class of each row, from 0.
    Returns: weights, shape (v, k), and biases, shape (k,), which no penalty holds.
    Source: Böhning (1992), "Multinomial logistic regression algorithm", https://doi.org/10.1007/BF00048682.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    num_words = features_nv.shape[1]
    is_binary = num_classes == 2  # at the minimum the weights of two classes are opposite: half as many numbers to find
    signs_k = np.array([[-0.5, 0.5]]) if is_binary else np.eye(num_classes)
    num_free = len(signs_k)
    wanted_nk = np.eye(num_classes)[answers_n]
    transposed = features_nv.T.tocsr() if hasattr(features_nv, "tocsr") else features_nv.T
    penalty_of_free = penalty / 2 if is_binary else penalty

    def loss(parameters: Array) -> tuple[float, Array]:
        free_vf = parameters[: num_words * num_free].reshape(num_words, num_free)
        logits_nk = (features_nv @ free_vf + parameters[num_words * num_free :]) @ signs_k
        logs_nk = logits_nk - logsumexp(logits_nk, axis=1, keepdims=True)
        value = -(logs_nk * wanted_nk).sum() + penalty_of_free / 2 * (free_vf**2).sum()
        error_nf = (np.exp(logs_nk) - wanted_nk) @ signs_k.T
        slope_vf = transposed @ error_nf + penalty_of_free * free_vf
        return float(value), np.concatenate([slope_vf.ravel(), error_nf.sum(axis=0)])

    start = np.zeros((num_words + 1) * num_free)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300, "ftol": 1e-9, "gtol": 1e-5}).x
    return found[: num_words * num_free].reshape(num_words, num_free) @ signs_k, found[num_words * num_free :] @ signs_k


def _features(bags: Sequence[Bag], vocabulary: Mapping[str, int], idf_v: Array) -> Any:
    """A sparse matrix, shape (n, v); rows have length 1, or 0 where no word is known."""
    from scipy.sparse import csr_matrix

    columns_of = [sorted(vocabulary[word] for word in found if word in vocabulary) for found in bags]
    columns = np.array([at for found in columns_of for at in found], dtype=np.int64)
    ends = np.cumsum([0, *map(len, columns_of)])
    values = idf_v[columns] if len(columns) else np.zeros(0)
    squares = np.add.reduceat(np.append(values**2, 0.0), ends[:-1]) if len(ends) > 1 else np.zeros(0)
    lengths = np.sqrt(np.where(np.diff(ends) > 0, squares, 1.0))
    return csr_matrix((values / np.repeat(lengths, np.diff(ends)), columns, ends), shape=(len(bags), len(vocabulary)))


def auc(scores_of_first: Array, scores_of_second: Array) -> float:
    """The chance that a row of the second set scores above one of the first, ties counting half: the area under the ROC curve.

    Source: Hanley, McNeil (1982), "The meaning and use of the area under a receiver operating characteristic (ROC) curve".
    """
    from scipy.stats import rankdata

    num_first, num_second = len(scores_of_first), len(scores_of_second)
    ranks = rankdata(np.concatenate([scores_of_second, scores_of_first]))
    return float((ranks[:num_second].sum() - num_second * (num_second + 1) / 2) / (num_first * num_second))


def auc_interval(value: float, num_first: int, num_second: int, z: float = 1.959964) -> tuple[float, float]:
    """The areas that a score test would not reject given `value`: bounds that stay in [0, 1] and have a width at 1 too.

    Source: Newcombe (2006), "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2", Stat. Med. 25:559, method 5.
    """
    size = (num_first + num_second) / 2 - 1

    def distance(area: float) -> float:
        spread = area * (1 - area) * (1 + size * (1 - area) / (2 - area) + size * area / (1 + area)) / (num_first * num_second)
        return (value - area) ** 2 - z**2 * spread

    def boundary(outside: float) -> float:
        inside = value
        if distance(outside) <= 0:  # at 0 and 1 the spread is nothing: only the value itself lies there
            return outside
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if distance(middle) <= 0 else (inside, middle)
        return (inside + outside) / 2

    return boundary(0.0), boundary(1.0)
