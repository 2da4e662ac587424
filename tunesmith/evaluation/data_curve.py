"""What a learning curve by data size says: how much each size gains over the one before, and whether more rows of these data would help."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from tunesmith.core.crossed import Stats, contrast
from tunesmith.core.types import Metric
from tunesmith.evaluation.correction import correct
from tunesmith.evaluation.differences import paired_difference, verdict

__all__ = ["Trend", "data_curve"]

Trend = Literal["helps", "helped", "flat", "harms"]
"""The last step's gain is clear; an earlier one's, or that of all steps together; none; a step made it clearly worse, and none clearly better."""


def data_curve(metric: Metric, num_rows: Sequence[int], found: Sequence[Mapping[str, Sequence[Any]]]) -> dict[str, Any]:
    """The trend of a metric over the rows that were trained on.

    Args:
        num_rows: training rows of each size, rising.
        found: for each size what the test rows contributed, as `paired_difference` takes it.
    Returns: `steps`, each size against the one before, and `whole`, the largest against the smallest: `{from_rows, to_rows, value, low, high, p,
        p_holm, test, verdict}`, p corrected for all of them, and the verdict by that; `per_doubling`: `{value, low, high}`, the least-squares slope of the metric over the binary logarithm of the rows, its
        interval by drawing test rows again; `trend`, as `Trend` says. One training a size: none of the intervals covers what another seed would change.
    """

    def step(one: int, other: int) -> dict[str, Any]:
        return {"from_rows": num_rows[one], "to_rows": num_rows[other], **paired_difference(metric, found[one], found[other])}

    steps = [step(at - 1, at) for at in range(1, len(num_rows))]
    tested = [*steps, step(0, len(num_rows) - 1)] if len(steps) > 1 else steps  # of two sizes the only step is the whole
    correct(tested)
    for one in tested:
        one["verdict"] = verdict(one, metric.higher_is_better, one["p_holm"])
    whole = tested[-1]
    doublings = np.log2(np.array(num_rows, dtype=np.float64))
    centred = doublings - doublings.mean()
    slope = contrast([Stats.of({0: one}) for one in found], (centred / (centred**2).sum()).tolist(), metric.value)
    return {"steps": steps, "whole": whole, "per_doubling": asdict(slope), "trend": _trend([one["verdict"] for one in (whole, *steps)])}


def _trend(verdicts: Sequence[str]) -> Trend:
    if verdicts[-1] == "better":
        return "helps"
    return "helped" if "better" in verdicts else "harms" if "worse" in verdicts else "flat"
