"""Whether two runs' numbers that are per token are of the same tokens: of different tokenizers they cannot be compared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.app.fitting import is_per_token
from tunesmith.core import registry

__all__ = ["same_tokens", "token_counts"]

_OF_A_SPLIT = ("tokens", "lengths")
"""What report.json says of a split that another tokenizer would change."""

Stats = Mapping[str, Sequence[Any]]


def same_tokens(metric: str, reports: tuple[Mapping[str, Any], Mapping[str, Any]], stats: tuple[Stats, Stats], split: str = "test") -> bool:
    """Whether two runs, which were measured on the same rows, can be compared by a metric as far as their tokens go; True of one that is not per token.

    Args:
        reports: report.json of each.
        stats: what the rows of each contributed to the metric, as `stats_of` gives it.
        split: of the report, which the rows are of.
    """
    if not is_per_token(metric):
        return True
    if registry.load("metric", metric).needs == "nll":
        one, other = map(token_counts, stats)
        return one == other
    # how many tokens were masked or written is drawn, and says nothing of the tokenizer: how many it makes of the same rows does
    first, second = (report["data"]["splits"].get(split, {}) for report in reports)
    return all(first.get(key) == second.get(key) for key in _OF_A_SPLIT)


def token_counts(found: Stats) -> Counter[tuple[str, float | None]]:
    """Of each row its name and how many tokens it was measured of, by a metric that keeps that."""
    return Counter((name, numbers and numbers[1]) for name, numbers in zip(found["row"], found["tuned"], strict=True))
