"""ROUGE-Lsum: overlap of the longest common subsequences with the reference, sentence by sentence, as for summaries of several sentences.

The F-measure, 0 to 1, with Porter's stemmer, by Google's rouge-score. Sentences are lines: where a text has one line, it is ROUGE-L. Words of the letters
a-z and digits only (other scripts: chrF).
Source: Lin (2004), "ROUGE: A Package for Automatic Evaluation of Summaries", https://aclanthology.org/W04-1013, section 3.2.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._rouge import rouge_f
from tunesmith.evaluation.references import references_of

__all__ = ["RougeLsum"]


@dataclass(frozen=True, kw_only=True)
class RougeLsum:
    """F-measure of the union of each line's longest common subsequences, averaged over rows."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False
    on_request: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The row's F-measure."""
        return (rouge_f("rougeLsum", references_of(example, reference), output.text or ""),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
