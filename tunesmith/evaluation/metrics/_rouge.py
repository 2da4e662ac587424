"""What the ROUGE metrics share: Google's rouge-score with Porter's stemmer.

The number is the F-measure, 0 to 1, of each row with the stemmer on, as in the papers since T5 and PEGASUS, averaged over rows; of several references
the one that it is largest for. The tokenizer knows the letters a-z and digits only: text in other scripts scores 0, and chrF is the metric for it. No nltk
data is downloaded.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

__all__ = ["rouge_f"]


@lru_cache(maxsize=8)
def _scorer(kind: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], use_stemmer=True)


def rouge_f(kind: str, references: Sequence[str], predicted: str) -> float:
    """F-measure of one text: `kind` is rouge1, rouge2, rougeL or rougeLsum."""
    return float(_scorer(kind).score_multi(references, predicted)[kind].fmeasure)
