"""Answers as SQuAD compares them."""

import re
import string
from collections import Counter

from tunesmith.core.types import SpanQuestion

__all__ = ["normal", "overlap", "true_answers"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normal(text: str) -> tuple[str, ...]:
    """The words in lower case, without ASCII punctuation and the English articles."""
    return tuple(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def true_answers(example: SpanQuestion) -> tuple[str, ...]:
    """The texts of the marked answers; the empty one, where there is none."""
    return tuple(text for _, text in example.answers or ()) or ("",)


def overlap(said: tuple[str, ...], true: tuple[str, ...]) -> float:
    """F1 score of the words of two answers; 1 for two empty ones."""
    if not said or not true:
        return float(said == true)
    return 2 * (Counter(said) & Counter(true)).total() / (len(said) + len(true))
