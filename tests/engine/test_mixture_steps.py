"""The steps of a mixture: each data set in its share, no row again before all came, and the same wherever they start."""

from collections import Counter

from families import facts_of, make, random_rows

from tunesmith.core.types import Row
from tunesmith.engine.packing import Part, StepPlan, rows_seen, training_steps
from tunesmith.objective.sft import SFT

FACTS = facts_of("llama", make("llama"))
ROWS = random_rows((5,) * 10, FACTS)
"""Rows 1 to 6 are the first set, 7 to 10 the second."""
PARTS = (Part(0, 6, 3), Part(6, 4, 6))
"""An epoch takes half of the first set and one and a half times the second."""


def _plan(epochs: float = 4) -> StepPlan:
    return StepPlan.of(len(ROWS), examples_per_step=3, micro_batch_tokens=20, epochs=epochs, max_steps=None, seed=3, parts=PARTS)


def _rows(plan: StepPlan, start: int = 0) -> list[list[int]]:
    steps: list[list[Row]] = [
        [row for batch in step for row in batch.rows] for step in training_steps(ROWS, plan, SFT(), FACTS, start_step=start)
    ]
    return [[row.origin.row for row in step] for step in steps]


def test_an_epoch_takes_of_each_set_what_its_part_says() -> None:
    plan = _plan()
    assert (plan.rows_per_epoch, plan.steps_per_epoch, plan.num_steps) == (9, 3, 12)
    seen = [row for step in _rows(plan) for row in step]
    for epoch in range(4):
        own = seen[9 * epoch : 9 * (epoch + 1)]
        assert (sum(row <= 6 for row in own), sum(row > 6 for row in own)) == (3, 6)


def test_no_row_comes_again_before_every_row_of_its_set_came() -> None:
    seen = [row for step in _rows(_plan()) for row in step]
    # four epochs: 12 rows of the first set are two passes over its six, 24 of the second six passes over its four
    assert Counter(row for row in seen if row <= 6) == dict.fromkeys(range(1, 7), 2)
    assert Counter(row for row in seen if row > 6) == dict.fromkeys(range(7, 11), 6)
    two_epochs = seen[:18]
    assert sorted(row for row in two_epochs if row <= 6) == [1, 2, 3, 4, 5, 6]


def test_the_second_pass_has_another_order() -> None:
    seen = [row for step in _rows(_plan(epochs=12)) for row in step]
    firsts = [row for row in seen if row <= 6]
    assert [sorted(firsts[at : at + 6]) for at in range(0, 36, 6)] == [[1, 2, 3, 4, 5, 6]] * 6
    assert len({tuple(sorted(firsts[at : at + 3])) for at in range(0, 36, 6)}) > 1


def test_steps_from_the_middle_are_the_steps_of_the_whole() -> None:
    assert _rows(_plan(), start=5) == _rows(_plan())[5:]


def test_the_rows_of_each_set_that_were_seen_are_counted() -> None:
    plan = _plan()
    for num_steps in (0, 1, 3, 5, 12):
        rows = [row for step in _rows(plan)[:num_steps] for row in step]
        assert rows_seen(plan, num_steps) == [sum(row <= 6 for row in rows), sum(row > 6 for row in rows)]


def test_without_a_mixture_nothing_is_counted_by_set() -> None:
    plan = StepPlan.of(10, examples_per_step=3, micro_batch_tokens=20, epochs=2, max_steps=None, seed=3)
    assert rows_seen(plan, 5) == []
    assert plan.rows_per_epoch == 10
