"""Grades of answers, worked by hand: rows, loss and gradient, units, what is missing."""

from typing import Any

import pytest
import torch
from families import facts_of, make
from judged_answers import HERE

from tunesmith.core.batch import Batch, collate
from tunesmith.core.errors import DataError
from tunesmith.core.types import Encoded, Graded, Message, Output, Row
from tunesmith.objective.grade import Grade, grade_loss

FACTS = facts_of("llama", make("llama"))


class _Encoder:
    """A conversation is the numbers that its messages hold."""

    facts = FACTS
    labels = ("relevance", "coherence")
    grades = ((3.0, 0.5), (50.0, 20.0))

    def prompt(self, example: Any) -> tuple[int, ...]:
        return tuple(int(number) for message in example.messages for number in message.content.split())

    def encode(self, example: Any) -> Encoded:
        whole = [(int(n), message.learned) for message in example.messages for n in message.content.split()][:6]
        return Encoded(tuple(n for n, _ in whole), (0,) * len(whole), tuple(learned for _, learned in whole))


ENCODER: Any = _Encoder()


def answer(*grades: tuple[str, float | None], prompt: str = "5 6 7") -> Graded:
    return Graded((Message("user", prompt),), (Message("assistant", "20 21"),), grades, HERE)


def row_of(example: Graded) -> Row:
    (row,) = Grade().encode(example, ENCODER)
    return row


class _Forward:
    def __init__(self, said: torch.Tensor) -> None:
        self._said = said

    def head(self, name: str, batch: Batch, at: str = "answer") -> torch.Tensor:
        assert (name, at) == ("grades", "answer")
        return self._said


def test_an_answer_is_a_row_with_a_target_for_each_grade_that_is_there() -> None:
    row = row_of(answer(("coherence", 60.0), ("relevance", None)))
    assert [(segment.tokens, segment.parent) for segment in row.segments] == [((5, 6, 7), -1), ((20, 21), 0)]
    assert row.answers == (1,)
    assert (row.targets.positions, row.targets.labels, row.targets.answers) == ((4,), (1,), (0,))
    assert (row.values["grade.1"], row.values["unit.1"]) == ((60.0,), (20.0,))
    assert row_of(answer()).targets.labels == ()  # to be predicted
    assert Grade().encode(answer(prompt="1 2 3 4 5 6"), ENCODER) == []  # the prompt leaves the answer no room


def test_the_loss_and_its_gradient_are_those_worked_by_hand() -> None:
    rows = [
        row_of(answer(("relevance", 4.0), ("coherence", 30.0))),
        row_of(answer(("relevance", None), ("coherence", 70.0))),
        row_of(answer(("relevance", 2.0), ("coherence", None))),
    ]
    batch = collate(rows, FACTS)
    assert batch.counts["target"] == 4  # grades, not answers
    said = torch.tensor([[3.0, 40.0], [9.0, 65.0], [2.5, 0.0]], dtype=torch.float64, requires_grad=True)
    ((name, value),) = Grade().loss(_Forward(said), batch).sums.items()  # type: ignore[arg-type]
    # ((3 - 4) / 0.5)^2 + ((40 - 30) / 20)^2 + ((65 - 70) / 20)^2 + ((2.5 - 2) / 0.5)^2
    assert (name, float(value.detach())) == ("target", 4.0 + 0.25 + 0.0625 + 1.0)
    value.backward()
    # 2 (said - true) / unit^2, and nothing where no grade is
    expected = torch.tensor([[-8.0, 0.05], [0.0, -0.025], [4.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(said.grad, expected, atol=1e-15, rtol=1e-14)


def test_attributes_on_any_scale_weigh_the_same() -> None:
    draw = torch.Generator().manual_seed(0)
    said, true, places = torch.randn(5, 2, generator=draw), torch.randn(5, 2, generator=draw), torch.arange(5)
    losses = [
        grade_loss(said * unit, true * unit, unit.expand(5, 2), places, torch.full((5,), place), torch.ones(5))
        for unit in (torch.tensor([1.0, 1.0]), torch.tensor([0.01, 400.0]))
        for place in (0, 1)
    ]
    assert [float(loss) for loss in losses[2:]] == pytest.approx([float(loss) for loss in losses[:2]], rel=1e-5)


def test_a_head_has_an_output_an_attribute_and_begins_where_the_grades_are() -> None:
    spec = Grade().heads(ENCODER)["grades"]
    assert (spec.outputs, spec.shift, spec.scale) == (2, (3.0, 50.0), (0.5, 20.0))


@pytest.mark.parametrize(
    ("labels", "grades", "said"),
    [
        ((), (), "no attributes that all answers are graded on"),
        (("a", "b"), ((1.0, 2.0), (4.0, 0.0)), "every training row has the grade 4 of b"),
        (("a",), ((float("nan"), 0.0),), "no training row has a grade of a"),
    ],
)
def test_what_cannot_be_learned_is_refused(labels: Any, grades: Any, said: str) -> None:
    encoder: Any = _Encoder()
    encoder.labels, encoder.grades = labels, grades
    with pytest.raises(DataError, match=said):
        Grade().heads(encoder)


def test_outputs_references_and_the_best_constant_are_told_by_name() -> None:
    asked = [answer(), answer()]
    said = Grade().outputs(asked, [], (1,), [torch.tensor([[1.5, 40.0]])], ENCODER)
    assert said == [Output(), Output(grades={"relevance": 1.5, "coherence": 40.0})]
    assert Grade().reference(answer(("relevance", 4.0), ("coherence", None), ("tone", 2.5))) == "relevance 4, tone 2.5"
    train = [answer(("relevance", 1.0), ("coherence", None)), answer(("relevance", 2.0), ("coherence", 8.0))]
    assert Grade().constant(train, asked) == [Output(grades={"relevance": 1.5, "coherence": 8.0})] * 2
