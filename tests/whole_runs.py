"""Whole runs on tiny models, of which most would go into intervals and into measuring the machine."""

import functools
import gc
from collections.abc import Iterator

import pytest

__all__ = ["quick_runs"]

_DRAWS = 400
"""Of a bootstrap, in place of 2,000: enough for five arms, corrected, to differ. Its coverage is held in tests/core."""


@pytest.fixture(scope="module", autouse=True)
def quick_runs() -> Iterator[None]:
    """Intervals come from fewer draws, what is run is probed for a moment, and the machine's rate is measured once a module."""
    from tunesmith.app import plan, probe
    from tunesmith.core import statistics

    draws = statistics.drawn_rows
    gc.collect()
    gc.freeze()  # as in tests/conftest.py, what tests before left behind too
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "drawn_rows", lambda rows, groups, resamples, seed: draws(rows, groups, min(resamples, _DRAWS), seed))
        patch.setattr(probe, "_SECONDS", 0.02)
        patch.setattr(plan, "matmul_flops_per_second", functools.cache(plan.matmul_flops_per_second))
        yield
