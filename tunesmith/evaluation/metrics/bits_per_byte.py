"""Bits per byte: the negative log-likelihood of the reference in bits, for each byte of its UTF-8 text.

Lower is better; it compares models whatever their tokenizers.
Source: Gao et al. (2020), "The Pile", https://arxiv.org/abs/2101.00027, sect. 3.1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["BitsPerByte"]


@dataclass(frozen=True, kw_only=True)
class BitsPerByte:
    """nats / (ln 2 x bytes), over all scored text."""

    needs: ClassVar[Literal["label", "text", "nll"]] = "nll"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Nats and bytes of the reference."""
        return output.nll_nats, float(output.num_bytes)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """NaN where there is no text."""
        nats, num_bytes = stats_nk.sum(axis=0)
        return float(nats / (np.log(2) * num_bytes)) if num_bytes > 0 else float("nan")
