"""Which label a written answer names."""

import pytest

from tunesmith.evaluation.naming import named

SENTIMENT = ("negative", "positive", "very positive")


@pytest.mark.parametrize(
    ("answer", "names", "place"),
    [
        ("positive", SENTIMENT, 1),
        (" POSITIVE\n", SENTIMENT, 1),
        ("**Positive.**", SENTIMENT, 1),
        ("The answer is positive.", SENTIMENT, 1),
        ("I say very positive", SENTIMENT, 2),
        ("positive, indeed very positive", SENTIMENT, None),
        ("positive or negative", SENTIMENT, None),
        ("no idea", SENTIMENT, None),
        ("", SENTIMENT, None),
        ("nonpositive", SENTIMENT, None),
        ("Not entailment", ("entailment", "not_entailment"), 1),
        ("C++", ("C", "C++"), 1),
        ("It is C", ("C", "C++"), None),  # in words the two are the same
        ("1.", ("0", "1"), 1),
        ("ｙｅｓ", ("yes", "no"), 0),
        (":-)", (":-)", ":-("), 0),
    ],
)
def test_one_name_and_no_other(answer: str, names: tuple[str, ...], place: int | None) -> None:
    assert named(answer, names) == place
