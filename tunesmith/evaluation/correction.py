"""p-values of one report, corrected for how many of them there are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunesmith.core.statistics import holm

__all__ = ["add_corrected"]

Metrics = Mapping[str, Mapping[str, Any]]
"""METRIC -> its entry of report.json, the one that leads first."""


def add_corrected(own: Metrics, others: Sequence[Metrics]) -> None:
    """Give every difference a `p_holm`: its p-value, corrected together with those that answer the same question.

    The first metric of the own test split is what the run was made for: it stands alone. Whether the model changed elsewhere is asked once for each
    other data set: their first metrics are one family. What else moved on a data set is asked of its other metrics: on each they are one family. So
    in each family a difference that is none is called one in at most 5 % of runs, and a long list of metrics does not hide a task that fell.

    Args:
        others: of tasks and domains.
    """
    _correct([*own.values()][:1])
    _correct([entry for metrics in others for entry in [*metrics.values()][:1]])
    for metrics in (own, *others):
        _correct([*metrics.values()][1:])


def _correct(entries: Iterable[Mapping[str, Any]]) -> None:
    family = [entry["difference"] for entry in entries if entry["difference"] is not None]
    for difference, p in zip(family, holm([difference["p"] for difference in family]), strict=True):
        difference["p_holm"] = p
