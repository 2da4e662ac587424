"""Token classification (entities, parts of speech): a new head on the trunk gives every word a tag.

loss = - sum over words w of log softmax(head(hidden state of the first token of w))[tag of w].

Source: Devlin et al. (2019), "BERT", https://arxiv.org/abs/1810.04805, section 5.3 (the first sub-token stands for the word).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import DataError
from tunesmith.core.types import Encoder, Example, Forward, HeadSpec, Loss, Output, Row, Segment, Tagged, Targets
from tunesmith.objective._head import HeadLoss

__all__ = ["TokenClassify"]

OUTSIDE = "O"
"""The tag of words that belong to nothing, in every scheme of entity tags."""


@dataclass(frozen=True, kw_only=True)
class TokenClassify(HeadLoss):
    """Learn the tag of every word."""

    head_layers: int | None = None
    """Layers of the head; each but the last keeps the width and has a tanh; none: as many as the head of an earlier run has that is trained on, else 1."""
    head_dropout: float = 0.1
    """Dropout on what the head reads."""
    head_lr_scale: float = 10.0
    """Learning rate of the head, as a multiple of the recipe's: it starts from nothing, the trunk from what it knows."""

    accepts: ClassVar[tuple[type, ...]] = (Tagged,)
    fills: ClassVar[frozenset[str]] = frozenset({"tags"})
    headline: ClassVar[str] = "entity_f1"
    head: ClassVar[str] = "tag"
    reads: ClassVar[Literal["answer", "target"]] = "target"

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """One head, `tag`, with an output a tag. Raises: DataError, where the data has fewer than two tags."""
        if len(encoder.labels) < 2:
            raise DataError(
                f"data.train: tagging needs at least two tags; found {', '.join(encoder.labels) or 'none'}. Check data.columns.tags."
            )
        return {"tag": HeadSpec(len(encoder.labels), "auto", self.head_layers, self.head_dropout, self.head_lr_scale)}

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row with a target a word that was not cut off; none where no word was left."""
        assert isinstance(example, Tagged)
        found = encoder.words(example.words)
        kept = [(first, word) for word, first in enumerate(found.firsts) if first >= 0]
        if not kept:
            return []
        tags = example.tags or (encoder.labels[0],) * len(example.words)
        targets = Targets(
            positions=tuple(first for first, _ in kept),
            labels=tuple(encoder.labels.index(tags[word]) for _, word in kept),
            weights=(1.0,) * len(kept),
            answers=(0,) * len(kept),
        )
        return [Row((Segment(found.encoded.tokens, found.encoded.token_types),), example.origin, targets)]

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Cross-entropy summed over the words, in nats; a step divides it by the number of words."""
        logits_Nc = forward.head("tag", batch, "target")
        return Loss({"target": (F.cross_entropy(logits_Nc, batch.labels_N, reduction="none") * batch.weights_N).sum()})

    def outputs(
        self, examples: Sequence[Example], rows: Sequence[Row], owners: Sequence[int], heard: Sequence[Tensor], encoder: Encoder
    ) -> list[Output]:
        """The most probable tag of each word; of words that were never read, as they were cut off, O, or the first tag."""
        unread = OUTSIDE if OUTSIDE in encoder.labels else encoder.labels[0]
        said = [[unread] * len(example.words) for example in examples if isinstance(example, Tagged)]
        for owner, logits_wc in zip(owners, heard, strict=True):
            example = examples[owner]
            assert isinstance(example, Tagged)
            read = [word for word, first in enumerate(encoder.words(example.words).firsts) if first >= 0]
            for word, tag in zip(read, logits_wc.argmax(-1).tolist(), strict=True):
                said[owner][word] = encoder.labels[tag]
        return [Output(tags=tuple(tags)) for tags in said]

    def reference(self, example: Example) -> str:
        """The tags, parted by spaces."""
        assert isinstance(example, Tagged)
        return " ".join(example.tags or ())

    def constant(self, train: Sequence[Example], asked: Sequence[Example]) -> list[Output]:
        """The most frequent tag for every word."""
        counts = Counter(tag for example in train if isinstance(example, Tagged) for tag in example.tags or ())
        usual = min(counts, key=lambda tag: (-counts[tag], tag))
        return [Output(tags=(usual,) * len(example.words)) for example in asked if isinstance(example, Tagged)]
