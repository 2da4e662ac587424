"""The loss that supervised tuning and continued pretraining have in common: they differ in what they score."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from tunesmith.core.batch import Batch
from tunesmith.core.types import Encoder, Forward, HeadSpec, Loss, Row

__all__ = ["LanguageModelLoss"]


class LanguageModelLoss:
    """Negative log-likelihood of the scored tokens through the model's own vocabulary head; needs no other head."""

    uses_lm_head: ClassVar[bool] = True
    need: ClassVar[str] = "lm"
    """What a model is loaded for: `lm`, to go on with text, or `mlm`, to fill it in."""

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """None."""
        return {}

    def draw(self, row: Row, rng: np.random.Generator) -> Row:
        """The row as it is: nothing is drawn."""
        return row

    def prepare(self, forward: Forward, batches: Sequence[Batch]) -> None:
        """Nothing to prepare."""

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Sum over the scored tokens of -log p, in nats; a step divides it by the number of scored tokens."""
        return Loss({"target": forward.nll(batch)})
