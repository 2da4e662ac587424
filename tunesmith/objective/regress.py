"""Regression: a new head on the trunk gives a text, or two, a number.

loss = sum over texts of (y - f(x))^2, where f(x) = mean + deviation * head(pooled hidden states): the mean and the standard deviation of
the training numbers, so that the head starts where the numbers are, whatever their unit.

Source: Devlin et al. (2019), "BERT", https://arxiv.org/abs/1810.04805, appendix B.1 (STS-B).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import DataError
from tunesmith.core.types import Encoder, Example, Forward, HeadSpec, Loss, Output, Rated, Row
from tunesmith.objective._head import HeadLoss, answer_row

__all__ = ["Regress"]


@dataclass(frozen=True, kw_only=True)
class Regress(HeadLoss):
    """Learn the number of a text."""

    pooling: Literal["auto", "first", "mean", "last", "concat"] = "auto"
    """How a text's hidden states become one vector; auto: the last token of a causal model, the mean of an encoder's; concat: the last, the largest and the mean beside each other."""
    head_layers: int | None = None
    """Layers of the head; each but the last keeps the width and has a tanh; none: as many as the head of an earlier run has that is trained on, else 1."""
    head_dropout: float = 0.0
    """Dropout on what the head reads: it moves the numbers themselves, so that there is none unless it is asked for."""
    head_lr_scale: float = 10.0
    """Learning rate of the head, as a multiple of the recipe's: it starts from nothing, the trunk from what it knows."""

    accepts: ClassVar[tuple[type, ...]] = (Rated,)
    fills: ClassVar[frozenset[str]] = frozenset({"number"})
    headline: ClassVar[str] = "pearson"
    head: ClassVar[str] = "number"
    reads: ClassVar[Literal["answer", "target"]] = "answer"

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """One head, `number`, with one output in the unit of the data. Raises: DataError, where all numbers are the same."""
        mean, deviation = encoder.numbers
        if not deviation:
            raise DataError(f"data.train: every row has the number {mean:g}, so there is nothing to learn. Check data.columns.value.")
        return {"number": HeadSpec(1, self.pooling, self.head_layers, self.head_dropout, self.head_lr_scale, mean, deviation)}

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row; an example without a number can be predicted, not learned."""
        assert isinstance(example, Rated)
        return [answer_row(example, encoder, {} if example.value is None else {"number": (example.value,)})]

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Squared error summed over the texts; a step divides it by the number of texts."""
        found_A = forward.head("number", batch)[:, 0]
        return Loss({"answer": (found_A - batch.per_answer["number"]).square().sum()})

    def outputs(
        self, examples: Sequence[Example], rows: Sequence[Row], owners: Sequence[int], heard: Sequence[Tensor], encoder: Encoder
    ) -> list[Output]:
        """The number, in the unit of the data."""
        return [Output(number=float(one[0, 0])) for one in heard]

    def reference(self, example: Example) -> str:
        """The number as text."""
        assert isinstance(example, Rated)
        return "" if example.value is None else repr(example.value)

    def constant(self, train: Sequence[Example], asked: Sequence[Example]) -> list[Output]:
        """The mean, which has the least squared error of all constants."""
        values = [example.value for example in train if isinstance(example, Rated) and example.value is not None]
        return [Output(number=sum(values) / len(values))] * len(asked)
