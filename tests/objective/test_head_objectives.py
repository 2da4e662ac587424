"""The objectives that read a head of their own, worked by hand or against torch's own losses."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from families import facts_of, make

from tunesmith.core.batch import collate
from tunesmith.core.errors import DataError
from tunesmith.core.types import (
    Encoded,
    EncodedContext,
    EncodedWords,
    Labelled,
    MultiLabelled,
    Origin,
    Output,
    Rated,
    SpanQuestion,
    Tagged,
)
from tunesmith.objective.classify import Classify
from tunesmith.objective.multi_label import MultiLabel
from tunesmith.objective.regress import Regress
from tunesmith.objective.span_qa import SpanQA
from tunesmith.objective.token_classify import TokenClassify

HERE = Origin("x", 1)
FACTS = facts_of("bert", make("bert"))


class _Encoder:
    """A token a word, behind one special token."""

    numbers = (10.0, 2.0)

    def __init__(self, labels: tuple[str, ...] = (), num_words_kept: int = 99, window: int = 99) -> None:
        self.labels, self._kept, self._window = labels, num_words_kept, window

    def _of(self, count: int) -> Encoded:
        return Encoded((5,) * count, (0,) * count, (False,) * count)

    def encode(self, example: Any) -> Encoded:
        return self._of(1 + len(example.text.split()))

    def words(self, words: Any) -> EncodedWords:
        kept = min(len(words), self._kept)
        return EncodedWords(self._of(1 + kept), tuple(1 + at if at < kept else -1 for at in range(len(words))))

    def contexts(self, question: str, context: str) -> list[EncodedContext]:
        spans, at = [], 0
        for word in context.split():
            at = context.index(word, at)
            spans.append((at, at + len(word)))
        parts = [spans[start : start + self._window] for start in range(0, len(spans), self._window)]
        return [EncodedContext(self._of(2 + len(part)), 2, tuple(part)) for part in parts]


class _Forward:
    def __init__(self, said: torch.Tensor) -> None:
        self._said = said

    def head(self, name: str, batch: object, at: str = "answer") -> torch.Tensor:
        return self._said


def loss_of(objective: Any, rows: list[Any], said: torch.Tensor) -> tuple[str, torch.Tensor]:
    ((name, value),) = objective.loss(_Forward(said), collate(rows, FACTS)).sums.items()
    return name, value


def test_regression_is_the_squared_error_in_the_unit_of_the_data() -> None:
    encoder: Any = _Encoder()
    rows = [row for value in (9.0, 14.0) for row in Regress().encode(Rated("a b", value, HERE), encoder)]
    assert loss_of(Regress(), rows, torch.tensor([[10.0], [12.0]])) == ("answer", torch.tensor(1.0 + 4.0))
    spec = Regress().heads(encoder)["number"]
    assert (spec.outputs, spec.shift, spec.scale) == (1, 10.0, 2.0)


def test_numbers_that_are_all_the_same_are_refused() -> None:
    encoder: Any = _Encoder()
    encoder.numbers = (3.0, 0.0)
    with pytest.raises(DataError, match="every row has the number 3"):
        Regress().heads(encoder)


def test_multi_label_is_binary_cross_entropy_over_more_than_ten_classes_in_their_order() -> None:
    labels = tuple(f"class {letter}" for letter in "abcdefghijkl")
    encoder: Any = _Encoder(labels)
    has = [("class l", "class b"), ()]
    rows = [row for some in has for row in MultiLabel().encode(MultiLabelled("a b", some, HERE), encoder)]
    logits = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([[float(label in some) for label in labels] for some in has])
    name, value = loss_of(MultiLabel(), rows, logits)
    assert name == "answer"
    assert float(value) == pytest.approx(12 / 12 * float(F.binary_cross_entropy_with_logits(logits, truth)) * 2, rel=1e-6)


def test_multi_label_says_every_class_above_one_half_or_none() -> None:
    encoder: Any = _Encoder(("a", "b"))
    asked = [MultiLabelled("x", None, HERE)] * 2
    said = MultiLabel().outputs(asked, [], (0, 1), [torch.tensor([[0.1, 2.0]]), torch.tensor([[-1.0, -0.1]])], encoder)
    assert [output.labels for output in said] == [("a", "b"), ()]
    assert said[0].probabilities == pytest.approx((1 / (1 + math.exp(-0.1)), 1 / (1 + math.exp(-2.0))), abs=1e-6)


def test_tags_are_learned_at_the_first_token_of_each_word_that_was_read() -> None:
    encoder: Any = _Encoder(("O", "B-X"), num_words_kept=2)
    (row,) = TokenClassify().encode(Tagged(("a", "b", "c"), ("O", "B-X", "O"), HERE), encoder)
    assert (row.targets.positions, row.targets.labels) == ((1, 2), (0, 1))
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    name, value = loss_of(TokenClassify(), [row], logits)
    assert name == "target"
    assert float(value) == pytest.approx(math.log(1 + math.exp(1.0)) + math.log(1 + math.exp(2.0)), rel=1e-6)


def test_words_that_were_cut_off_get_the_tag_of_nothing() -> None:
    encoder: Any = _Encoder(("B-X", "O"), num_words_kept=1)
    (output,) = TokenClassify().outputs([Tagged(("a", "b"), None, HERE)], [], (0,), [torch.tensor([[3.0, 1.0]])], encoder)
    assert output.tags == ("B-X", "O")


QUESTION = SpanQuestion("who", "the old cat sat", ((8, "cat"),), HERE)


def test_the_ends_of_an_answer_are_learned_among_the_tokens_of_its_window() -> None:
    encoder: Any = _Encoder()
    (row,) = SpanQA().encode(QUESTION, encoder)
    assert row.targets.positions == (0, 2, 3, 4, 5)
    assert (row.values["begin"], row.values["end"]) == ((3,), (3,))  # 0 is "no answer"
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    _, value = loss_of(SpanQA(), [row], logits)
    by_hand = 0.5 * (F.cross_entropy(logits[:, 0][None], torch.tensor([3])) + F.cross_entropy(logits[:, 1][None], torch.tensor([3])))
    assert float(value) == pytest.approx(float(by_hand), rel=1e-6)


def test_windows_without_the_answer_learn_that_there_is_none_and_batches_do_not_mix() -> None:
    encoder: Any = _Encoder(window=2)
    rows = SpanQA().encode(QUESTION, encoder)
    assert [(row.values["begin"], row.values["end"]) for row in rows] == [((0,), (0,)), ((1,), (1,))]
    logits = 50 * torch.randn(6, 2, generator=torch.Generator().manual_seed(2))
    together = loss_of(SpanQA(), rows, logits)[1]
    alone = loss_of(SpanQA(), rows[:1], logits[:3])[1] + loss_of(SpanQA(), rows[1:], logits[3:])[1]
    assert float(together) == pytest.approx(float(alone), rel=1e-6)


def test_the_best_piece_over_all_windows_is_the_answer_unless_nothing_scores_more() -> None:
    encoder: Any = _Encoder(window=2)
    rows = SpanQA().encode(QUESTION, encoder)
    quiet = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    loud = torch.tensor([[-1.0, -1.0], [5.0, 1.0], [0.0, 4.0]])
    (said,) = SpanQA().outputs([QUESTION], rows, (0, 0), [quiet, loud], encoder)
    assert said.span == "cat sat"
    (short,) = SpanQA(max_answer_tokens=1).outputs([QUESTION], rows, (0, 0), [quiet, loud], encoder)
    assert short.span == "cat"
    (nothing,) = SpanQA().outputs([QUESTION], rows, (0, 0), [quiet + 9 * (torch.arange(3) == 0)[:, None], loud + 20], encoder)
    assert nothing.span == "cat sat"
    (none,) = SpanQA().outputs([QUESTION], rows, (0, 0), [quiet, torch.tensor([[9.0, 9.0], [0.0, 0.0], [0.0, 0.0]])], encoder)
    assert none.span == ""


def test_the_best_constant_answers() -> None:
    asked = [Labelled("x", "b", HERE)] * 3
    usual = Output(label="b", probabilities=(2 / 3, 1 / 3), classes=("b", "a"))  # as probable as they are frequent
    assert Classify().constant([Labelled("t", label, HERE) for label in ("b", "a", "b")], asked) == [usual] * 3
    assert Classify().constant([Labelled("t", label, HERE) for label in ("b", "a")], asked[:1])[0].label == "a"
    assert Regress().constant([Rated("t", value, HERE) for value in (1.0, 2.0, 6.0)], asked[:1]) == [Output(number=3.0)]
    many = [MultiLabelled("t", some, HERE) for some in (("a", "b"), ("a",), ("a", "c"))]
    assert MultiLabel().constant(many, asked[:1]) == [Output(labels=("a",))]
    words = [Tagged(("a", "b"), None, HERE)]
    assert TokenClassify().constant([Tagged(("a", "b", "c"), ("O", "X", "O"), HERE)], words) == [Output(tags=("O", "O"))]
    assert SpanQA().constant([], [QUESTION]) == [Output(span="")]
