"""The small classifier says what scikit-learn's own objects say, which are never made here but to compare with."""

import io
import pickle
import warnings
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from tunesmith.core.fetch import fetch_package, read_member
from tunesmith.evaluation import offensive
from tunesmith.evaluation._joblib import read_joblib
from tunesmith.evaluation.offensive import offensive_words, read_offensive_words

NICE, RUDE = "a lovely day and a kind word", "you awful idiot, go away"
TEXTS = [NICE, RUDE, "IDIOT", "an awful day, a lovely idiot: awful, awful", "unheard of", "", "naïve café 12 x_y"]


def stored(what: object) -> bytes:
    file = io.BytesIO()
    joblib.dump(what, file)
    return file.getvalue()


def test_probabilities_are_those_of_scikit_learn() -> None:
    vectorizer = TfidfVectorizer(stop_words="english")
    learned = [f"{text} {number}" for text in (NICE, RUDE) for number in range(10, 20)]
    model = CalibratedClassifierCV(LinearSVC(), cv=3).fit(vectorizer.fit_transform(learned), [0] * 10 + [1] * 10)
    found = read_offensive_words(stored(vectorizer), stored(model))
    assert found.probabilities(TEXTS) == pytest.approx(model.predict_proba(vectorizer.transform(TEXTS))[:, 1], abs=1e-12)


@pytest.mark.embedded
def test_the_packages_own_objects_say_the_same() -> None:
    package = fetch_package(offensive.NAME, "1.9.1", "alt_profanity_check-1.9.1.tar.gz", offensive.SHA256)
    member = "alt_profanity_check-1.9.1/profanity_check/data/{}.joblib"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of objects of another version of scikit-learn
        vectorizer, model = (joblib.load(io.BytesIO(read_member(package, member.format(name)))) for name in ("vectorizer", "model"))
    assert offensive_words().probabilities(TEXTS) == pytest.approx(model.predict_proba(vectorizer.transform(TEXTS))[:, 1], abs=1e-12)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("it ran",)


def test_nothing_of_a_file_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    found = read_joblib(
        stored({"a": Harmful(), "b": np.arange(6.0).reshape(2, 3), "c": np.float64(2.5), "d": np.asfortranarray([[1, 2], [3, 4]])})
    )
    assert capsys.readouterr().out == ""
    assert found["a"].given == ("it ran",)
    assert found["b"].array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["c"] == 2.5
    assert found["d"].array.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("content", [b"", b"no pickle", stored(np.array([Harmful()], dtype=object))])
def test_what_is_no_such_file_is_refused(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((pickle.UnpicklingError, ValueError, EOFError)):
        read_joblib(content)
    assert capsys.readouterr().out == ""
