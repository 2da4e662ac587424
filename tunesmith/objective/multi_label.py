"""Multi-label classification: of every class a new head says whether a text, or two, belongs to it.

loss = - sum over texts of the mean over classes c of y_c log s_c + (1 - y_c) log(1 - s_c), s = sigmoid(head(pooled hidden states)).
A class is said where s_c is above one half.

Source: Nam et al. (2014), "Large-scale Multi-label Text Classification", https://arxiv.org/abs/1312.5419, section 3 (cross-entropy for each class).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import DataError
from tunesmith.core.types import Encoder, Example, Forward, HeadSpec, Loss, MultiLabelled, Output, Row
from tunesmith.objective._head import HeadLoss, answer_row

__all__ = ["MultiLabel"]


@dataclass(frozen=True, kw_only=True)
class MultiLabel(HeadLoss):
    """Learn all classes of a text."""

    pooling: Literal["auto", "first", "mean", "last", "concat"] = "auto"
    """How a text's hidden states become one vector; auto: the last token of a causal model, the mean of an encoder's; concat: the last, the largest and the mean beside each other."""
    head_layers: int | None = None
    """Layers of the head; each but the last keeps the width and has a tanh; none: as many as the head of an earlier run has that is trained on, else 1."""
    head_dropout: float = 0.1
    """Dropout on what the head reads."""
    head_lr_scale: float = 10.0
    """Learning rate of the head, as a multiple of the recipe's: it starts from nothing, the trunk from what it knows."""

    accepts: ClassVar[tuple[type, ...]] = (MultiLabelled,)
    fills: ClassVar[frozenset[str]] = frozenset({"labels"})
    headline: ClassVar[str] = "labels_micro_f1"
    head: ClassVar[str] = "labels"
    reads: ClassVar[Literal["answer", "target"]] = "answer"

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """One head, `labels`, with an output a class. Raises: DataError, where the data has no class."""
        if not encoder.labels:
            raise DataError("data.train: no row has a label, so there is nothing to learn. Check data.columns.label.")
        return {"labels": HeadSpec(len(encoder.labels), self.pooling, self.head_layers, self.head_dropout, self.head_lr_scale)}

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row; an example without labels can be predicted, not learned."""
        assert isinstance(example, MultiLabelled)
        has = None if example.labels is None else set(example.labels)
        known = enumerate(encoder.labels)
        return [answer_row(example, encoder, {} if has is None else {f"labels.{at:05d}": (float(label in has),) for at, label in known})]

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Binary cross-entropy, the mean over the classes summed over the texts, in nats; a step divides it by the number of texts."""
        logits_Ac = forward.head("labels", batch)
        truth_Ac = torch.stack([batch.per_answer[name] for name in sorted(batch.per_answer)], -1).to(logits_Ac.dtype)
        return Loss({"answer": F.binary_cross_entropy_with_logits(logits_Ac, truth_Ac, reduction="none").mean(-1).sum()})

    def outputs(
        self, examples: Sequence[Example], rows: Sequence[Row], owners: Sequence[int], heard: Sequence[Tensor], encoder: Encoder
    ) -> list[Output]:
        """The classes whose probability is above one half, and the probability of each."""
        probabilities_nc = torch.cat(list(heard)).sigmoid().tolist()
        return [
            Output(
                labels=tuple(label for label, p in zip(encoder.labels, row, strict=True) if p > 0.5),
                probabilities=tuple(row),
                classes=encoder.labels,
            )
            for row in probabilities_nc
        ]

    def reference(self, example: Example) -> str:
        """The classes, parted by commas."""
        assert isinstance(example, MultiLabelled)
        return ", ".join(example.labels or ())

    def constant(self, train: Sequence[Example], asked: Sequence[Example]) -> list[Output]:
        """The classes that more than half of the texts have; where there are none, the most frequent one."""
        counts = Counter(label for example in train if isinstance(example, MultiLabelled) for label in example.labels or ())
        usual = tuple(sorted(label for label, count in counts.items() if count > len(train) / 2))
        return [Output(labels=usual or (min(counts, key=lambda label: (-counts[label], label)),))] * len(asked)
