"""Classification: a new head on the trunk names the class of a text, or of two.

loss = - sum over texts of log softmax(head(pooled hidden states))[label].

Source: Devlin et al. (2019), "BERT", https://arxiv.org/abs/1810.04805, section 4.1. With `contrastive` the trunk learns from pairs of texts as well, or alone:
`_contrast.py`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.types import Encoder, Example, Forward, HeadSpec, Labelled, Loss, Output, Row, Segment
from tunesmith.objective._contrast import StepPairs
from tunesmith.objective._head import HeadLoss

__all__ = ["Classify"]


@dataclass(frozen=True, kw_only=True)
class Classify(HeadLoss):
    """Learn the class of a text."""

    pooling: Literal["auto", "first", "mean", "last", "concat"] = "auto"
    """How a text's hidden states become one vector; auto: the last token of a causal model, the mean of an encoder's; concat: the last, the largest and the mean beside each other."""
    head_layers: int | None = None
    """Layers of the head; each but the last keeps the width and has a tanh; none: as many as the head of an earlier run has that is trained on, else 1."""
    head_dropout: float = 0.1
    """Dropout on what the head reads."""
    head_lr_scale: float = 10.0
    """Learning rate of the head, as a multiple of the recipe's: it starts from nothing, the trunk from what it knows."""
    contrastive: float = 0.0
    """How much the trunk learns from pairs of texts, of one class or of two, in place of the head's errors: from 0 to 1, where it learns from pairs alone."""

    _pairs: StepPairs = field(default_factory=lambda: StepPairs("label"), init=False, repr=False, compare=False)

    accepts: ClassVar[tuple[type, ...]] = (Labelled,)
    fills: ClassVar[frozenset[str]] = frozenset({"label", "probabilities"})
    headline: ClassVar[str] = "accuracy"
    head: ClassVar[str] = "label"
    reads: ClassVar[Literal["answer", "target"]] = "answer"

    def __post_init__(self) -> None:
        """Raises: RecipeError, where a number is out of its range."""
        if not 0 <= self.contrastive <= 1:
            raise RecipeError(f"objective.contrastive: {self.contrastive:g}: expected a number from 0 to 1.")

    @property
    def teaches_trunk(self) -> bool:
        """Whether there is something to learn for the trunk that no head can."""
        return self.contrastive > 0

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """One head, `label`, with an output a class. Raises: DataError, where the data has fewer than two classes."""
        if len(encoder.labels) < 2:
            found = f"only {encoder.labels[0]!r}" if encoder.labels else "none"
            raise DataError(
                f"data.train: a classifier needs at least two classes; found {found}. Check data.columns.label and data.labels."
            )
        return {"label": HeadSpec(len(encoder.labels), self.pooling, self.head_layers, self.head_dropout, self.head_lr_scale)}

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row; an example without a label can be predicted, not learned."""
        assert isinstance(example, Labelled)
        encoded = encoder.encode(example)
        values = {} if example.label is None else {"label": (encoder.labels.index(example.label),)}
        return [Row((Segment(encoded.tokens, encoded.token_types, vectors=encoded.vectors),), example.origin, values=values)]

    def prepare(self, forward: Forward, batches: Sequence[Batch]) -> None:
        """With `contrastive`, see all texts of the step, of which each pair counts."""
        if self.contrastive:
            self._pairs.prepare(forward, batches)

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Cross-entropy summed over the texts, in nats; a step divides it by the number of texts.

        Pairs add to the gradient, not to the value, which stays comparable with that of the validation rows; what they cost is the metric `pairs`.
        """
        labels_A = batch.per_answer["label"]
        if batch not in self._pairs:  # not a step's: validation, or a head that is fitted alone
            return Loss({"answer": F.cross_entropy(forward.head("label", batch), labels_A, reduction="sum")})
        vectors_AH = forward.pooled("label", batch)
        read_AH = torch.lerp(vectors_AH, vectors_AH.detach(), self.contrastive)
        entropy = F.cross_entropy(forward.read("label", read_AH), labels_A, reduction="sum")
        pull, value = self._pairs.loss(vectors_AH, batch)
        return Loss({"answer": entropy + self.contrastive * pull}, {"pairs": value})

    def outputs(
        self, examples: Sequence[Example], rows: Sequence[Row], owners: Sequence[int], heard: Sequence[Tensor], encoder: Encoder
    ) -> list[Output]:
        """The most probable class, and the softmax over all."""
        probabilities_nc = torch.cat(list(heard)).softmax(-1)
        chosen_n = probabilities_nc.argmax(-1).tolist()
        return [
            Output(label=encoder.labels[c], probabilities=tuple(row), classes=encoder.labels)
            for c, row in zip(chosen_n, probabilities_nc.tolist(), strict=True)
        ]

    def reference(self, example: Example) -> str:
        """The class."""
        assert isinstance(example, Labelled)
        return example.label or ""

    def constant(self, train: Sequence[Example], asked: Sequence[Example]) -> list[Output]:
        """The most frequent class, of several the first by name, with each class as probable as it is frequent."""
        counts = Counter(self.reference(example) for example in train)
        classes = tuple(sorted(counts, key=lambda label: (-counts[label], label)))
        shares = tuple(counts[label] / len(train) for label in classes)
        return [Output(label=classes[0], probabilities=shares, classes=classes)] * len(asked)
