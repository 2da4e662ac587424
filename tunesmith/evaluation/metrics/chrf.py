"""chrF: precision and recall of character n-grams up to six, over the whole corpus, recall weighing twice.

0 to 100, equal to `sacrebleu.corpus_chrf` with its defaults; of several references a row is compared with the one that it is nearest to by its own chrF. It
needs no words, so it serves every script.
Source: Popovic (2015), "chrF: character n-gram F-score for automatic MT evaluation", https://aclanthology.org/W15-3049.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.references import references_of

__all__ = ["ChrF"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_ORDER = 6
_BETA_SQUARED = 4


@dataclass(frozen=True, kw_only=True)
class ChrF:
    """Corpus chrF2 from the rows' summed n-gram counts."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """N-grams of the output, of the nearest reference, and those in both, for each order from 1 to 6."""
        from sacrebleu.metrics.helpers import extract_all_char_ngrams

        ours = extract_all_char_ngrams(output.text or "", _ORDER)
        found = [_counts(ours, extract_all_char_ngrams(true, _ORDER)) for true in references_of(example, reference)]
        return max(found, key=lambda counts: _f_score(np.array(counts))) if len(found) > 1 else found[0]

    def value(self, stats_nk: Array) -> float:
        """From the summed counts."""
        return _f_score(stats_nk.sum(axis=0))


def _counts(ours: Sequence[Counter[str]], theirs: Sequence[Counter[str]]) -> tuple[float, ...]:
    counts: list[float] = []
    for mine, true in zip(ours, theirs, strict=True):
        # As in sacrebleu: where the reference is too short for an order, the output's n-grams of that order do not count.
        counts += [mine.total() if true else 0, true.total(), (mine & true).total()]
    return tuple(float(count) for count in counts)


def _f_score(counts_k: Array) -> float:
    """Precision and recall averaged over the orders that both sides have, then their F-score."""
    ours, theirs, both = counts_k.reshape(_ORDER, 3).T
    known = (ours > 0) & (theirs > 0)
    if not both[known].any():
        return 0.0
    precision, recall = float((both[known] / ours[known]).mean()), float((both[known] / theirs[known]).mean())
    return 100 * (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)
