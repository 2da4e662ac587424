"""How far a judge agrees with people, and people with each other, beyond chance.

n rows    k kinds of verdicts    r raters
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from tunesmith.core.statistics import Interval, bootstrap, wilson

__all__ = ["Agreement", "Distance", "agreement", "alpha", "among", "cohens_kappa", "krippendorffs_alpha", "majority"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Distance = Literal["nominal", "ordinal", "interval"]
"""How far two values are apart: different or not; by how many values lie between them; by their squared difference."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two raters over the same rows: the share on which they agree, and Cohen's kappa, with 95 % intervals."""

    rows: int
    share: Interval
    kappa: Interval


def majority(votes: Sequence[str]) -> str | None:
    """What more than half of the votes say; None where nothing has so many."""
    vote, count = Counter(votes).most_common(1)[0]
    return vote if 2 * count > len(votes) else None


def agreement(first: Sequence[str], second: Sequence[str], *, seed: int) -> Agreement:
    """Wilson's interval of the share; the percentile bootstrap of kappa over rows.

    Raises: ValueError, where there are no rows, or the numbers of rows differ.
    """
    if not first:
        raise ValueError("no rows")
    kinds = sorted({*first, *second})
    pairs = list(zip(first, second, strict=True))
    places = [kinds.index(one) * len(kinds) + kinds.index(other) for one, other in pairs]
    kappa = bootstrap(np.eye(len(kinds) ** 2)[places], _kappa, seed=seed)
    return Agreement(len(pairs), wilson(sum(one == other for one, other in pairs), len(pairs)), kappa)


def among(raters: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Mean share of agreement and mean kappa over the pairs of raters, each a sequence of what it said to the same rows."""
    pairs = list(combinations(raters, 2))
    shares = [float(np.mean([x == y for x, y in zip(a, b, strict=True)])) for a, b in pairs]
    return float(np.mean(shares)), float(np.mean([cohens_kappa(a, b) for a, b in pairs]))


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Agreement beyond chance: 1 for raters that always agree, 0 for what their own shares of verdicts would give by chance; NaN where both always say
    the same one.

    Source: Cohen (1960), "A Coefficient of Agreement for Nominal Scales", https://doi.org/10.1177/001316446002000104.
    """
    kinds = sorted({*first, *second})
    counts_kk = np.zeros((len(kinds), len(kinds)))
    for one, other in zip(first, second, strict=True):
        counts_kk[kinds.index(one), kinds.index(other)] += 1
    return _kappa(counts_kk.reshape(1, -1))


def _kappa(cells_n: Array) -> float:
    """Kappa of rows that each count in one cell of the table of both raters' verdicts, shape (rows, k * k)."""
    k = round(cells_n.shape[1] ** 0.5)
    shares_kk = cells_n.sum(0).reshape(k, k) / cells_n.sum()
    by_chance = float(shares_kk.sum(1) @ shares_kk.sum(0))
    beyond = round(float(shares_kk.trace()) - by_chance, 12)  # what is only rounding is no agreement, and no spread of it
    return beyond / (1 - by_chance) if by_chance < 1 else float("nan")


def krippendorffs_alpha(values_rn: Array, distance: Distance) -> float:
    """Agreement of any number of raters beyond chance, who need not have rated everything: 1 for raters that always agree, 0 for chance.

    Args:
        values_rn: what each rater said of each row, shape (raters, rows); NaN where nothing. Of kinds without an order, a number for each kind.
    Returns: NaN where no row has two values, or all values are the same.
    Source: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", https://repository.upenn.edu/asc_papers/43.
    """
    counts_nk, values_k = _counted(values_rn)
    return _alpha(counts_nk, values_k, distance)


def alpha(values_rn: Array, distance: Distance, *, seed: int) -> Interval:
    """Krippendorff's alpha, as above, with the percentile bootstrap over rows that have two values or more."""
    counts_nk, values_k = _counted(values_rn)
    return bootstrap(counts_nk, lambda drawn_nk: _alpha(drawn_nk, values_k, distance), seed=seed)


def _counted(values_rn: Array) -> tuple[Array, Array]:
    """How often each value was given to each row that has two or more, shape (rows, k), and the values in their order."""
    values_k = np.unique(values_rn[~np.isnan(values_rn)])
    counts_nk = (values_rn[:, :, None] == values_k).sum(0).astype(np.float64)
    return counts_nk[counts_nk.sum(1) > 1], values_k


def _alpha(counts_nk: Array, values_k: Array, distance: Distance) -> float:
    """Step by step as the paper has it: coincidences o_ck within rows, their margins n_c, and distances delta_ck."""
    weighed_nk = counts_nk / (counts_nk.sum(1, keepdims=True) - 1)
    coincidences_kk = weighed_nk.T @ counts_nk - np.diag(weighed_nk.sum(0))
    margins_k = coincidences_kk.sum(1)
    distances_kk = _distances(margins_k, values_k, distance)
    expected = float(margins_k @ distances_kk @ margins_k)
    if not expected > 0:
        return float("nan")
    return 1 - (float(margins_k.sum()) - 1) * float((coincidences_kk * distances_kk).sum()) / expected


def _distances(margins_k: Array, values_k: Array, distance: Distance) -> Array:
    if distance == "nominal":
        return 1 - np.eye(len(values_k))
    if distance == "interval":
        return (values_k[:, None] - values_k) ** 2
    # the values from one to the other, each of both counted half
    up_to_k = np.cumsum(margins_k) - margins_k / 2
    return (up_to_k[:, None] - up_to_k) ** 2
