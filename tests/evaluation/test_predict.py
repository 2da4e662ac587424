"""What a model says to rows, with models whose numbers are known."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from families import facts_of, make, random_rows
from torch import Tensor, nn

from tunesmith.core.batch import Batch, collate
from tunesmith.core.errors import Diverged
from tunesmith.core.types import ModelFacts, Origin, Row, Segment, Targets
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.evaluation.predict import (
    choose_by_likelihood,
    hear_head,
    parted,
    score_batches,
    zero_shot_by_likelihood,
    zero_shot_by_similarity,
)

FACTS = ModelFacts("known", "Known", "known", True, False, True, 4, 1, 50, 64, 0, False, 0, 0, 0, {})


class Known(nn.Module):
    """Logits are a function of a segment's first token; log-probabilities of the label: token t has -t/10 nats. With dropout, if it were on."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.frozen = nn.Dropout(0.5).eval()
        self.scale = nn.Parameter(torch.tensor(scale))

    def head(self, name: str, batch: Batch, at: Literal["answer", "target"] = "answer") -> Tensor:
        assert (name, at) == ("label", "answer")
        starts = torch.tensor(batch.stream.bounds)[batch.segments_A]
        first_A = batch.stream.tokens_T[starts].float() * self.scale
        return self.dropout(torch.stack([first_A, torch.zeros_like(first_A), -first_A], -1) + 1)

    def logprobs(self, batch: Batch, *, with_entropy: bool = True) -> tuple[Tensor, Tensor]:
        values = self.dropout(-batch.labels_N.float() / 10 * self.scale)
        return values, torch.zeros_like(values)

    def nll(self, batch: Batch) -> Tensor:
        raise NotImplementedError


def row(*tokens: int, weights: tuple[float, ...] | None = None) -> Row:
    targets = len(tokens) - 1
    scored = Targets(tuple(range(targets)), tokens[1:], weights or (1.0,) * targets, (0,) * targets)
    return Row((Segment(tokens),), Origin("made", 1), scored)


def batches(*of_rows: tuple[Row, ...]) -> Iterator[Batch]:
    return (collate(some, FACTS) for some in of_rows)


def test_a_head_is_heard_in_row_order_without_dropout() -> None:
    forward = Known()
    found = hear_head(forward, batches((row(2, 9), row(0, 9)), (row(1, 9, 9),)), "label")
    assert [one.tolist() for one in found] == [[[3.0, 1.0, -1.0]], [[1.0, 1.0, 1.0]], [[2.0, 1.0, 0.0]]]
    assert all(one.dtype is torch.float64 and one.shape == (1, 3) for one in found)
    assert forward.dropout.training  # a module that trained trains on
    assert not forward.frozen.training  # and one that did not, does not


def test_answers_out_of_order_are_put_in_row_order() -> None:
    batch = collate((row(3, 9), row(0, 9)), FACTS)
    swapped = replace(batch, segments_A=batch.segments_A.flip(0), rows_A=batch.rows_A.flip(0))
    for one, other in zip(hear_head(Known(), [swapped], "label"), hear_head(Known(), [batch], "label"), strict=True):
        assert one.tolist() == other.tolist()


def test_a_row_with_several_answers_is_one_part() -> None:
    batch = collate((replace(row(3, 9), answers=(0, 0)), row(0, 9)), FACTS)
    found = parted(torch.arange(6.0).reshape(3, 2), batch, "answer")
    assert [one.tolist() for one in found] == [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0]]]


def test_a_head_that_is_read_at_every_target_is_parted_by_rows() -> None:
    batch = collate((row(3, 9, 9), row(0, 9)), FACTS)
    found = parted(torch.arange(6.0).reshape(3, 2), batch, "target")
    assert [one.tolist() for one in found] == [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0]]]


def test_what_cannot_be_read_off_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="needs one in every row"):
        hear_head(Known(), batches((replace(row(1, 2), answers=()),)), "label")
    with pytest.raises(Diverged):
        hear_head(Known(float("nan")), batches((row(1, 2),)), "label")


def test_scores_are_weighted_sums_of_each_row() -> None:
    rows = (row(1, 10, 20), row(1, 5, 7, 30, weights=(1.0, 0.0, 0.5)))
    found = score_batches(Known(), batches(rows, (row(4, 40),)), [11, 12, 13])
    assert [output.nll_nats for output in found] == pytest.approx([3.0, 0.5 + 1.5, 4.0], abs=1e-6)
    assert [output.num_tokens for output in found] == [2, 2, 1]
    assert [output.num_bytes for output in found] == [11, 12, 13]


def test_a_row_of_several_answers_is_scored_whole_and_one_of_no_targets_as_nothing() -> None:
    two = Row((Segment((1, 10)), Segment((1, 20))), Origin("made", 1), Targets((0, 2), (10, 20), (1.0, 1.0), (0, 1)), answers=(0, 1))
    found = score_batches(Known(), batches((two, Row((Segment((3,)),), Origin("made", 2)))), [4, 0])
    assert [(output.nll_nats, output.num_tokens) for output in found] == [(pytest.approx(3.0), 2), (0.0, 0)]


def test_scores_keep_precision_over_long_texts() -> None:
    found = score_batches(Known(), batches((row(0, *([1] * 63)),) * 40), [1] * 40)
    assert [output.nll_nats for output in found] == pytest.approx([63 * float(np.float32(0.1))] * 40, abs=1e-12)


def test_scores_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        score_batches(Known(), batches((row(1, 2),)), [1, 2])
    with pytest.raises(Diverged):
        score_batches(Known(float("inf")), batches((row(1, 2),)), [1])


def test_scores_of_packed_rows_are_those_of_each_row_alone_under_a_real_model() -> None:
    model = make("llama", torch.float64)
    facts = facts_of("llama", model)
    forward, rows = PackedForward(model, {}, facts, probe(model, facts)), random_rows((9, 14, 5), facts)
    packed = score_batches(forward, [collate(rows, facts)], [1, 1, 1])
    alone = [float(forward.nll(collate([one], facts)).detach()) for one in rows]
    assert [output.nll_nats for output in packed] == pytest.approx(alone, rel=1e-9)


def test_no_gradient_is_kept() -> None:
    graph: list[Any] = []

    class Watched(Known):
        def logprobs(self, batch: Batch, *, with_entropy: bool = True) -> tuple[Tensor, Tensor]:
            found = super().logprobs(batch, with_entropy=with_entropy)
            graph.append(found[0].requires_grad)
            return found

    score_batches(Watched(), batches((row(1, 2),)), [1])
    assert graph == [False]


def test_zero_shot_by_similarity_is_the_cosine_whatever_the_length() -> None:
    texts, names = torch.tensor([[3.0, 0.0], [0.1, 0.1], [-1.0, 5.0]]), torch.tensor([[10.0, 0.0], [0.0, 0.2]])
    found = zero_shot_by_similarity(texts, names, ["east", "north"])
    assert [output.label for output in found] == ["east", "east", "north"]
    assert found[0].probabilities == pytest.approx((1 / (1 + math.exp(-20)), 1 / (1 + math.exp(20))))
    assert found[1].probabilities == pytest.approx((0.5, 0.5))
    with pytest.raises(ValueError, match="2 embeddings for 3 labels"):
        zero_shot_by_similarity(texts, names, ["east", "north", "west"])


def test_zero_shot_by_likelihood_is_per_token() -> None:
    scores = torch.tensor([[-2.0, -3.0], [-2.0, -9.0]])  # the second label has three tokens: -1 and -3 nats each
    found = zero_shot_by_likelihood(scores, ["bad", "very good indeed"], [1, 3])
    assert [output.label for output in found] == ["very good indeed", "bad"]
    assert found[0].probabilities == pytest.approx((1 / (1 + math.e), math.e / (1 + math.e)))


def test_zero_shot_by_likelihood_refuses_negated_scores_and_labels_without_tokens() -> None:
    with pytest.raises(ValueError, match="not their negatives"):
        zero_shot_by_likelihood(torch.tensor([[2.0, 3.0]]), ["a", "b"], [1, 1])
    with pytest.raises(ValueError, match="lengths"):
        zero_shot_by_likelihood(torch.tensor([[-2.0, -3.0]]), ["a", "b"], [1, 0])
    with pytest.raises(Diverged):
        zero_shot_by_likelihood(torch.tensor([[-2.0, -math.inf]]), ["a", "b"], [1, 1])


def test_the_likeliest_answer_is_chosen_per_token_whatever_the_number_of_answers() -> None:
    # means: -1.0 and -0.9; then -2.0, -0.5 and -1.0
    one, other = choose_by_likelihood([[-2.0, -3.6], [-2.0, -1.0, -3.0]], [[2, 4], [1, 2, 3]], [("short", "a longer one"), ("x", "y", "z")])
    assert (one.label, other.label) == ("a longer one", "y")
    assert one.probabilities == pytest.approx((1 / (1 + math.exp(0.1)), 1 / (1 + math.exp(-0.1))))
    assert sum(other.probabilities) == pytest.approx(1)


def test_scores_that_do_not_fit_their_answers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 scores and lengths \[1\] for 2 answers"):
        choose_by_likelihood([[-1.0, -2.0]], [[1]], [("x", "y")])
    with pytest.raises(Diverged):
        choose_by_likelihood([[-math.inf, float("nan")]], [[1, 1]], [("x", "y")])
