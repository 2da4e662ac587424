"""chrF: precision and recall of character n-grams up to six, over the whole corpus, recall weighing twice.

0 to 100, equal to `sacrebleu.corpus_chrf` with its defaults, one reference a row. It needs no words, so it serves every script.
Source: Popovic (2015), "chrF: character n-gram F-score for automatic MT evaluation", https://aclanthology.org/W15-3049.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["ChrF"]


_ORDER = 6
_BETA_SQUARED = 4


@dataclass(frozen=True, kw_only=True)
class ChrF:
    """Corpus chrF2 from the rows' summed n-gram counts."""

    needs: ClassVar[Literal["label", "text", "nll"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """N-grams of the output, of the reference, and those in both, for each order from 1 to 6."""
        from sacrebleu.metrics.helpers import extract_all_char_ngrams

        counts: list[float] = []
        for ours, theirs in zip(
            extract_all_char_ngrams(output.text or "", _ORDER), extract_all_char_ngrams(reference, _ORDER), strict=True
        ):
            # As in sacrebleu: where the reference is too short for an order, the output's n-grams of that order do not count.
            counts += [ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()]
        return tuple(float(count) for count in counts)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Precision and recall averaged over the orders that both sides have, then their F-score."""
        ours, theirs, both = stats_nk.sum(axis=0).reshape(_ORDER, 3).T
        known = (ours > 0) & (theirs > 0)
        if not both[known].any():
            return 0.0
        precision, recall = float((both[known] / ours[known]).mean()), float((both[known] / theirs[known]).mean())
        return 100 * (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)
