"""Extractive question answering: a new head points at the beginning and the end of the answer in a text that is given with the question.

loss = - 1/2 sum over windows of (log p_begin(first token of the answer) + log p_end(its last token)), each a softmax over the window's
tokens of the context and its first token, which stands for "no answer here". A long context is read in overlapping windows.

Source: Devlin et al. (2019), "BERT", https://arxiv.org/abs/1810.04805, sections 4.2 and 4.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.types import EncodedContext, Encoder, Example, Forward, HeadSpec, Loss, Output, Row, Segment, SpanQuestion, Targets
from tunesmith.objective._head import HeadLoss

__all__ = ["SpanQA"]


@dataclass(frozen=True, kw_only=True)
class SpanQA(HeadLoss):
    """Learn which piece of a text answers a question."""

    max_answer_tokens: int = 30
    """The most tokens of an answer."""
    head_dropout: float = 0.1
    """Dropout on what the head reads."""
    head_lr_scale: float = 10.0
    """Learning rate of the head, as a multiple of the recipe's: it starts from nothing, the trunk from what it knows."""

    accepts: ClassVar[tuple[type, ...]] = (SpanQuestion,)
    fills: ClassVar[frozenset[str]] = frozenset({"span"})
    headline: ClassVar[str] = "squad_f1"
    head: ClassVar[str] = "span"
    reads: ClassVar[Literal["answer", "target"]] = "target"

    def heads(self, encoder: Encoder) -> Mapping[str, HeadSpec]:
        """One head, `span`, with two outputs at a token: does the answer begin here, does it end here."""
        return {"span": HeadSpec(2, dropout=self.head_dropout, lr_scale=self.head_lr_scale)}

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """A row a window. Its targets are the window's first token and its tokens of the context; its values, where the answer begins and ends among them."""
        assert isinstance(example, SpanQuestion)
        rows = []
        for window in encoder.contexts(example.question, example.context):
            positions = (0, *range(window.first, window.first + len(window.spans)))
            begin, end = _place(window, example)
            targets = Targets(positions, (0,) * len(positions), (1.0,) * len(positions), (0,) * len(positions))
            segment = Segment(window.encoded.tokens, window.encoded.token_types)
            rows.append(Row((segment,), example.origin, targets, values={"begin": (begin,), "end": (end,)}))
        return rows

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        """Half the cross-entropies of beginning and end, summed over the windows, in nats; a step divides it by the number of windows."""
        logits_N2 = forward.head("span", batch, "target")
        num_answers = len(batch.segments_A)
        sizes_A = torch.bincount(batch.answers_N, minlength=num_answers)
        starts_A = sizes_A.cumsum(0) - sizes_A
        chosen_A2 = torch.stack([starts_A + batch.per_answer[name] for name in ("begin", "end")], -1)
        said_A2 = logits_N2.gather(0, chosen_A2)
        # a softmax over each answer's own targets; their largest is taken off first, so that nothing overflows
        index_N2 = batch.answers_N[:, None].expand(-1, 2)
        largest_A2 = torch.full_like(said_A2, -torch.inf).scatter_reduce(0, index_N2, logits_N2.detach(), "amax")
        sums_A2 = torch.zeros_like(said_A2).scatter_add(0, index_N2, (logits_N2 - largest_A2[batch.answers_N]).exp())
        return Loss({"answer": 0.5 * (sums_A2.log() + largest_A2 - said_A2).sum()})

    def outputs(
        self, examples: Sequence[Example], rows: Sequence[Row], owners: Sequence[int], heard: Sequence[Tensor], encoder: Encoder
    ) -> list[Output]:
        """The piece with the largest sum of begin and end logits over all windows; empty where "no answer" has more in every window."""
        best = [(-float("inf"), "")] * len(examples)
        nothing = [float("inf")] * len(examples)
        at_window = dict[int, int]()
        for owner, logits in zip(owners, heard, strict=True):
            example = examples[owner]
            assert isinstance(example, SpanQuestion)
            number = at_window.get(owner, 0)
            at_window[owner] = number + 1
            window = encoder.contexts(example.question, example.context)[number]
            nothing[owner] = min(nothing[owner], float(logits[0].sum()))
            score, begin, end = self._best(logits[1:])
            if score > best[owner][0]:
                best[owner] = score, example.context[window.spans[begin][0] : window.spans[end][1]]
        return [Output(span=text if score >= none else "") for (score, text), none in zip(best, nothing, strict=True)]

    def _best(self, logits_n2: Tensor) -> tuple[float, int, int]:
        """(score, begin, end) of the best piece of at most `max_answer_tokens`."""
        count = len(logits_n2)
        if not count:
            return -float("inf"), 0, 0
        sums_nn = logits_n2[:, 0][:, None] + logits_n2[:, 1][None, :]
        reach = torch.ones(count, count, dtype=torch.bool).triu().tril(self.max_answer_tokens - 1)
        at = int(sums_nn.masked_fill(~reach, -torch.inf).argmax())
        return float(sums_nn[at // count, at % count]), at // count, at % count

    def reference(self, example: Example) -> str:
        """The first of the answers; empty where the context holds none."""
        assert isinstance(example, SpanQuestion)
        return example.answers[0][1] if example.answers else ""

    def constant(self, train: Sequence[Example], asked: Sequence[Example]) -> list[Output]:
        """That there is no answer."""
        return [Output(span="")] * len(asked)


def _place(window: EncodedContext, example: SpanQuestion) -> tuple[int, int]:
    """Of the window's targets those where the first answer that lies in it begins and ends; (0, 0) where none does."""
    for start, text in example.answers or ():
        stop = start + len(text)
        touched = [at for at, (begin, end) in enumerate(window.spans) if begin < stop and end > start]
        if touched and window.spans[touched[0]][0] <= start and window.spans[touched[-1]][1] >= stop:
            return touched[0] + 1, touched[-1] + 1
    return 0, 0
