"""How likely a text is offensive, by a small classifier that a package of the package index carries.

Linear support vector machines on the words of a text, trained by the package's authors on 200,000 comments and tweets that people marked. It knows words and not their
order: what is cruel in plain words is missed, quotations and films about killers are found. The package is pinned by its hash and read as data; its code never runs.

P(offensive) = mean over k of 1 / (1 + exp(a_k (w_k x + c_k) + b_k))    x = f / |f|,  f_v = count_v idf_v over the words that it knows

Source: https://github.com/dimitrismistriotis/alt-profanity-check (MIT), after Zhou (2019), https://victorzhou.com/blog/better-profanity-detection-with-scikit-learn/.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tunesmith.core.fetch import fetch_package, read_member
from tunesmith.evaluation._joblib import read_joblib

__all__ = ["NAME", "SHA256", "OffensiveWords", "offensive_words", "read_offensive_words"]

Array = np.ndarray[Any, np.dtype[np.float64]]

NAME = "alt-profanity-check"
"""By which users call it: the package's."""
_VERSION = "1.9.1"
SHA256 = "215fca893fa19cb4f7d474369593711646499dd230fad3d6cd449222a11c1fdf"
_FILE = f"alt_profanity_check-{_VERSION}"
_WORD = re.compile(r"\b\w\w+\b")


@dataclass(frozen=True, slots=True)
class OffensiveWords:
    """V words; K machines, each with the sigmoid that makes its score a probability."""

    places: Mapping[str, int]
    """Word -> its place among V."""
    idf_V: Array
    weights_KV: Array
    intercepts_K: Array
    sigmoids_K2: Array
    """a and b."""

    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """That each text is offensive; one without a word that it knows is as likely as its authors' comments are."""
        return [self._probability(text) for text in texts]

    def _probability(self, text: str) -> float:
        known = [place for word in _WORD.findall(text.lower()) if (place := self.places.get(word)) is not None]
        places, counts = np.unique(np.array(known, dtype=np.int64), return_counts=True)
        found = counts * self.idf_V[places]
        length = float(np.linalg.norm(found))
        scores_K = self.weights_KV[:, places] @ (found / length if length else found) + self.intercepts_K
        return float((1 / (1 + np.exp(self.sigmoids_K2[:, 0] * scores_K + self.sigmoids_K2[:, 1]))).mean())


@cache
def offensive_words() -> OffensiveWords:
    """The classifier out of its pinned package. Raises: FetchError, where that cannot be had."""
    package = fetch_package(NAME, _VERSION, f"{_FILE}.tar.gz", SHA256)
    vectorizer, model = (read_member(package, f"{_FILE}/profanity_check/data/{name}.joblib") for name in ("vectorizer", "model"))
    return read_offensive_words(vectorizer, model)


def read_offensive_words(vectorizer: bytes, model: bytes) -> OffensiveWords:
    """The classifier out of scikit-learn's objects in joblib files: a `TfidfVectorizer`, and a `CalibratedClassifierCV` of `LinearSVC`."""
    words, machines = read_joblib(vectorizer), read_joblib(model).calibrated_classifiers_
    calibrators = [machine.calibrators[0] for machine in machines]
    return OffensiveWords(
        words.vocabulary_,
        words._tfidf.idf_.array,
        np.concatenate([machine.estimator.coef_.array for machine in machines]),
        np.concatenate([machine.estimator.intercept_.array for machine in machines]),
        np.array([[one.a_, one.b_] for one in calibrators], dtype=np.float64),
    )
