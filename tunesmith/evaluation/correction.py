"""p-values of one report, corrected for how many of them there are."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunesmith.core.statistics import holm

__all__ = ["add_corrected", "correct", "families"]

Metrics = Mapping[str, Mapping[str, Any]]
"""METRIC -> what was measured by it, the one that leads first."""


def families(own: Metrics, others: Sequence[Metrics]) -> list[list[Mapping[str, Any]]]:
    """The entries that answer the same question, to be corrected together.

    The first metric of the own test split is what the run was made for: it stands alone. Whether the model changed elsewhere is asked once for each
    other data set: their first metrics are one family. What else moved on a data set is asked of its other metrics: on each they are one family. So
    in each family a difference that is none is called one in at most 5 % of runs, and a long list of metrics does not hide a task that fell.

    Args:
        others: of tasks and domains.
    """
    leading = [[*own.values()][:1], [entry for metrics in others for entry in [*metrics.values()][:1]]]
    return leading + [[*metrics.values()][1:] for metrics in (own, *others)]


def add_corrected(own: Metrics, others: Sequence[Metrics]) -> None:
    """Give the difference of every entry of a report.json a `p_holm`: its p-value, corrected together with those of its family. Arguments as `families`."""
    for family in families(own, others):
        correct(entry["difference"] for entry in family)


def correct(family: Iterable[dict[str, Any] | None]) -> None:
    """Give every difference of a family a `p_holm`, its p-value corrected for them all; None in the family is no test, and a p that is not known stays so."""
    differences = [difference for difference in family if difference is not None]
    known = [math.nan if difference["p"] is None else difference["p"] for difference in differences]
    for difference, p in zip(differences, holm(known), strict=True):
        difference["p_holm"] = difference["p"] if math.isnan(p) else p
