"""Exact match: the share of rows whose text is the reference, or one of several, letter for letter.

Between 0 and 1. White space at the ends and the way Unicode composes a letter (NFC) do not count; case and punctuation do.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.references import references_of

__all__ = ["ExactMatch"]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


@dataclass(frozen=True, kw_only=True)
class ExactMatch:
    """Share of texts that equal their reference."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where the text is a reference, else 0."""
        said = _plain(output.text or "")
        return (float(any(said == _plain(true) for true in references_of(example, reference))),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
