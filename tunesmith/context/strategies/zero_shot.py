"""Zero-shot: the question alone, in the best of several wordings.

Source: Brown et al. (2020), "Language Models are Few-Shot Learners", https://arxiv.org/abs/2005.14165; calibration: Zhao et al. (2021), "Calibrate Before Use",
https://arxiv.org/abs/2102.09690.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunesmith.core.context import Array, Variant

__all__ = ["ZeroShot"]


@dataclass(frozen=True, kw_only=True)
class ZeroShot:
    """No examples: the wording is all that there is to choose."""

    templates: tuple[str, ...] = ()
    """Wordings to try on validation rows, as `data.template` has them; none: that of the recipe alone."""
    calibrate: bool = False
    """Of labels, divide each one's probability by what the model gives it after texts without content: `N/A`, `[MASK]` and an empty one."""
    validation_rows: int = 200
    """The most validation rows that each wording is tried on."""

    embedding_model: ClassVar[str] = ""
    pool_rows: ClassVar[int] = 0
    index: ClassVar[str] = ""
    documents: ClassVar[str] = ""
    embedded_by: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Raises: ValueError, for an option out of its range."""
        if self.validation_rows < 1:
            raise ValueError(f"validation_rows: expected at least 1, found {self.validation_rows}.")

    def variants(self) -> list[Variant]:
        """One a wording."""
        return [Variant(template) for template in self.templates or (None,)]

    def choose(
        self,
        num_asked: int,
        labels: Sequence[str],
        pool_ph: Array | None,
        asked_qh: Array | None,
        rng: np.random.Generator,
        num_spare: int = 0,
    ) -> list[list[int]]:
        """No examples for any question."""
        return [[]] * num_asked
