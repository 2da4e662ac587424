"""Valid JSON: the share of answers that are one JSON value and nothing else, white space at the ends apart.

Between 0 and 1. Strict, as programs that read it are: no words around it, no fence of a code block, no NaN. An empty answer is none.
Source: RFC 8259, https://www.rfc-editor.org/rfc/rfc8259.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.strict_json import parse_json

__all__ = ["JsonValid"]


@dataclass(frozen=True, kw_only=True)
class JsonValid:
    """Share of answers that are JSON."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    reads_reference: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where the answer is JSON, else 0."""
        try:
            parse_json(output.text or "")
        except ValueError:
            return (0.0,)
        return (1.0,)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
