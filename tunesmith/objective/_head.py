"""What the objectives share whose answers are read off a head: nothing is drawn and nothing prepared."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tunesmith.core.batch import Batch
from tunesmith.core.types import Encoder, Forward, MultiLabelled, Rated, Row, Segment

__all__ = ["HeadLoss", "answer_row"]


class HeadLoss:
    """Reads hidden states, never the model's vocabulary head."""

    uses_lm_head: ClassVar[bool] = False

    def draw(self, row: Row, rng: np.random.Generator) -> Row:
        """The row as it is: nothing is drawn."""
        return row

    def prepare(self, forward: Forward, batches: Sequence[Batch]) -> None:
        """Nothing to prepare."""


def answer_row(example: Rated | MultiLabelled, encoder: Encoder, values: dict[str, tuple[float, ...]]) -> Row:
    """A text, or two, as one segment, which the head reads as a whole."""
    encoded = encoder.encode(example)
    return Row((Segment(encoded.tokens, encoded.token_types),), example.origin, values=values)
