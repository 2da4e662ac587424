"""Contains answer: the share of answers in which a reference stands, whole and word for word, whatever is said around it.

Between 0 and 1; letter case, punctuation and the English articles apart, as SQuAD compares. A right word in a whole sentence is right, which no exact match holds it for; so is one among
many wrong ones, which token_f1 beside it shows. A reference that is nothing but punctuation and articles is looked for as it is written.
Source: Mallen et al. (2023), "When Not to Trust Language Models", https://arxiv.org/abs/2212.10511.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._squad import normal
from tunesmith.evaluation.references import references_of

__all__ = ["ContainsAnswer"]


@dataclass(frozen=True, kw_only=True)
class ContainsAnswer:
    """Share of answers that say a reference among what they say."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True
    on_request: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where a reference stands in the answer, else 0."""
        said = output.text or ""
        return (float(any(_stands_in(true, said) for true in references_of(example, reference))),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())


def _stands_in(true: str, said: str) -> bool:
    words, wanted = normal(said), normal(true)
    if not wanted:
        return bool(true.strip()) and true.strip() in said
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1))
