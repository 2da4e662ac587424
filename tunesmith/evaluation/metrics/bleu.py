"""BLEU: precision of word n-grams up to four, over the whole corpus, with a penalty for short output.

0 to 100, equal to `sacrebleu.corpus_bleu` with its defaults (13a tokenizer, exponential smoothing), with one reference a row or several: an n-gram counts as
often as the reference that has it most often, and the nearest length is the reference's. It is 0 where no output has four tokens, even a perfect one: for
answers of a word or two see exact match and chrF.
Sources: Papineni et al. (2002), https://aclanthology.org/P02-1040; Post (2018), https://aclanthology.org/W18-6319.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.references import references_of

__all__ = ["BLEU"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@lru_cache(maxsize=1)
def _sacrebleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU as SacreBLEU

    return SacreBLEU(effective_order=True)  # only silences a warning about single sentences: their counts are the same


@dataclass(frozen=True, kw_only=True)
class BLEU:
    """Corpus BLEU from the rows' summed n-gram counts."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Length of output and nearest reference in tokens, then matching and all n-grams of orders 1 to 4."""
        score = _sacrebleu().sentence_score(output.text or "", list(references_of(example, reference)))
        return tuple(float(number) for number in (score.sys_len, score.ref_len, *score.counts, *score.totals))

    def value(self, stats_nk: Array) -> float:
        """From the summed counts."""
        return float(_of_counts(stats_nk).score)

    def details(self, stats_nk: Array) -> Mapping[str, float]:
        """The precisions of 1- to 4-grams, 0 to 100, smoothed as in the score, and the brevity penalty, 0 to 1."""
        score = _of_counts(stats_nk)
        precisions = {f"precision_{order}": float(precision) for order, precision in enumerate(score.precisions, start=1)}
        return {**precisions, "brevity_penalty": float(score.bp)}


def _of_counts(stats_nk: Array) -> Any:
    hypothesis_tokens, reference_tokens, *ngrams = (int(total) for total in stats_nk.sum(axis=0))
    return _sacrebleu().compute_bleu(ngrams[:4], ngrams[4:], hypothesis_tokens, reference_tokens, smooth_method="exp")
