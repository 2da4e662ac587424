"""How many rows of each data set an epoch of a mixture takes.

An epoch passes once over the data set with the largest share (of several such, the largest); of the others it takes as many rows as their
shares ask for, so that a small one comes more than once and a large one in part.
"""

import math
from collections.abc import Mapping
from typing import Literal

__all__ = ["MixingRule", "rows_per_epoch"]

MixingRule = Literal["weights", "temperature", "epochs"]


def rows_per_epoch(num_rows: Mapping[str, int], weights: Mapping[str, float], rule: MixingRule, temperature: float = 1.0) -> dict[str, int]:
    """Rows of each data set in one epoch, at least one.

    Args:
        num_rows: training rows of each data set, at least one.
        weights: of each data set. `weights`: its share of the epoch's rows is weight / sum of weights. `epochs`: how many times the
            epoch passes over it. `temperature`: not looked at.
        temperature: T of `temperature`: a share is proportional to rows ** (1 / T), so that 1 is each row once and a large T equal shares.
    Source: Raffel et al. (2020), "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (T5),
        https://arxiv.org/abs/1910.10683, section 3.5.2; Xue et al. (2021), "mT5", https://arxiv.org/abs/2010.11934, section 3.1, where
        alpha = 1 / T.
    """
    if rule == "epochs":
        return {name: _rounded(weights[name] * rows) for name, rows in num_rows.items()}
    largest = max(num_rows.values())  # divided by, so that no power overflows
    masses = {name: (rows / largest) ** (1 / temperature) if rule == "temperature" else weights[name] for name, rows in num_rows.items()}
    main = max(num_rows, key=lambda name: (masses[name], num_rows[name]))
    return {name: _rounded(num_rows[main] * mass / masses[main]) for name, mass in masses.items()}


def _rounded(rows: float) -> int:
    return max(1, math.floor(rows + 0.5))
