"""What tuning took from a model of what it could do before: pure functions over rows that base and tuned answered alike.

n texts    h hidden size
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tunesmith.core.significance import SIGNIFICANT_P

__all__ = [
    "MIN_ROWS",
    "MeanReciprocalRank",
    "first_words",
    "halves",
    "is_fall",
    "reciprocal_ranks",
    "rows_within",
]

Array = np.ndarray[Any, np.dtype[np.float64]]

MIN_ROWS = 20
"""Fewer rows of a task could show no loss but a large one."""
_ROWS = (100, 70, 50, 35, MIN_ROWS)


class MeanReciprocalRank:
    """How well embeddings tell which two halves are of one text: the mean over texts of `reciprocal_ranks`, 1 at best.

    A proxy: it needs no labels, and says whether an encoder's vectors still rank texts by what they are about, not how well it would do a task.
    """

    higher_is_better: ClassVar[bool | None] = True
    is_proportion: ClassVar[bool] = False

    def value(self, stats_nk: Array) -> float:
        """The mean."""
        return float(stats_nk[:, 0].mean())


def first_words(text: str, num_words: int) -> str:
    """The beginning of a text, as it is written."""
    found = re.match(rf"\s*(?:\S+\s+){{0,{num_words - 1}}}\S+", text)
    return found[0] if found else text


def halves(text: str) -> tuple[str, str]:
    """A text, cut behind half of its words."""
    words = text.split()
    middle = len(words) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


def reciprocal_ranks(first_nh: Array, second_nh: Array) -> Array:
    """For each text 1 / rank of its second half among all second halves by cosine to its first, averaged with the same the other way round.

        rank(i) = 1 + #{j: s_ij > s_ii} + #{j != i: s_ij = s_ii} / 2,    s_ij = cos(first_i, second_j)

    Args:
        first_nh, second_nh: vectors of the texts' halves, a row a text.
    Returns: shape (n,), in (0, 1].
    Source: two pieces of one document as a pair that belongs together: Izacard et al. (2022), https://arxiv.org/abs/2112.09118;
        Lee, Chang, Toutanova (2019), https://arxiv.org/abs/1906.00300. The reciprocal rank: Voorhees (1999), "The TREC-8 Question
        Answering Track Report".
    """
    first, second = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12) for vectors in (first_nh, second_nh))
    similarity_nn = first @ second.T
    return (_one_way(similarity_nn) + _one_way(similarity_nn.T)) / 2


def _one_way(similarity_nn: Array) -> Array:
    own_n1 = similarity_nn.diagonal()[:, None]
    above_n, equal_n = (similarity_nn > own_n1).sum(1), (similarity_nn == own_n1).sum(1) - 1  # itself is one of the equal ones
    found: Array = 1 / (1 + above_n + equal_n / 2)
    return found


def rows_within(lengths: Mapping[str, Sequence[int]], most_tokens: float) -> dict[str, int]:
    """How many of the first rows of each task to ask: as many as fit, 100 at most and 20 at least.

    Args:
        lengths: of each task the tokens of its rows, in the order in which they are taken; the tasks that matter most first.
        most_tokens: of all tasks together.
    Returns: rows by task, fewest for all alike; the last tasks are left out where not even 20 rows of each fit.
    """
    names = list(lengths)
    while names:
        for count in _ROWS:
            if sum(sum(lengths[name][:count]) for name in names) <= most_tokens:
                return {name: len(lengths[name][:count]) for name in names}
        names.pop()
    return {}


def is_fall(difference: float, p: float, *, higher_is_better: bool | None) -> bool:
    """Whether a task certainly got worse. `p`: adjusted for the number of tasks."""
    return p < SIGNIFICANT_P and (difference < 0) == higher_is_better
