"""Packing loses nothing, breaks nothing, and depends on the seed alone."""

import random
from itertools import islice

import pytest
import torch
from families import facts_of, make, random_rows
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.batch import collate
from tunesmith.core.types import Origin, Row, Segment, Targets
from tunesmith.engine.packing import StepPlan, evaluation_batches, pack, training_steps
from tunesmith.objective.sft import SFT

FACTS = facts_of("llama", make("llama"))
ROWS = random_rows((9, 14, 5, 9, 7, 3, 11, 8, 12, 6), FACTS)


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 80))
def test_every_sequence_lands_in_exactly_one_group_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = pack(lengths, budget)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in group) <= budget or len(group) == 1 for group in groups)


def test_best_fit_fills_the_fullest_group_that_still_has_room() -> None:
    # 7 opens a group, 6 a second; 4 fits only beside 6 (10 of 10), 3 beside 7 (10 of 10).
    assert pack([3, 7, 4, 6], budget=10) == [[1, 0], [3, 2]]


def test_padded_groups_count_what_padding_costs() -> None:
    groups = pack([100, 10, 10, 10, 10, 10, 90], 200, is_padded=True)
    assert groups == [[0, 6], [1, 2, 3, 4, 5]]


def _plan(**changes: int) -> StepPlan:
    options = {"examples_per_step": 4, "micro_batch_tokens": 20, "seed": 3} | changes
    return StepPlan.of(len(ROWS), epochs=2, max_steps=None, **options)


def test_an_epoch_sees_every_row_once_and_the_next_one_in_another_order() -> None:
    steps = [[row.origin.row for batch in step for row in batch.rows] for step in training_steps(ROWS, _plan(), SFT(), FACTS)]
    assert [len(step) for step in steps] == [4, 4, 2, 4, 4, 2]
    first, second = (sum(steps[:3], []), sum(steps[3:], []))
    assert sorted(first) == sorted(second) == list(range(1, 11))
    assert first != second


def test_steps_from_the_middle_are_the_steps_of_the_whole() -> None:
    whole = list(training_steps(ROWS, _plan(), SFT(), FACTS))
    tail = list(training_steps(ROWS, _plan(), SFT(), FACTS, start_step=4))
    assert [[b.rows for b in step] for step in whole[4:]] == [[b.rows for b in step] for step in tail]


def test_another_seed_is_another_order() -> None:
    one, other = (next(iter(training_steps(ROWS, _plan(seed=seed), SFT(), FACTS))) for seed in (0, 1))
    assert [b.rows for b in one] != [b.rows for b in other]


def test_fractions_of_an_epoch_and_max_steps_count_steps() -> None:
    options = {"examples_per_step": 4, "micro_batch_tokens": 20, "seed": 0}
    assert StepPlan.of(10, epochs=0.5, max_steps=None, **options).num_steps == 2
    assert StepPlan.of(10, epochs=9, max_steps=5, **options).num_steps == 5
    assert len(list(islice(training_steps(ROWS, StepPlan.of(10, epochs=9, max_steps=5, **options), SFT(), FACTS), 99))) == 5


def test_evaluation_sees_every_row_once_and_says_which() -> None:
    seen = [(index, row) for batch, indices in evaluation_batches(ROWS, 20, FACTS) for index, row in zip(indices, batch.rows, strict=True)]
    assert sorted(index for index, _ in seen) == list(range(10))
    assert all(ROWS[index] is row for index, row in seen)


def test_collate_lays_rows_end_to_end_with_positions_that_restart() -> None:
    shared = Row(
        (Segment((5, 6, 7)), Segment((8, 9), parent=0), Segment((10,), parent=0)),
        Origin("x", 1),
        Targets((2, 3), (8, 9), (1.0, 0.5), (0, 0)),
        answers=(1, 2),
        values={"gain": (0.25, 4.0)},
    )
    batch = collate([Row((Segment((1, 2)),), Origin("x", 2), values={"gain": (1.0,)}), shared], FACTS)
    assert batch.stream.tokens_T.tolist() == [1, 2, 5, 6, 7, 8, 9, 10]
    assert batch.stream.positions_T.tolist() == [0, 1, 0, 1, 2, 3, 4, 3]
    assert batch.stream.bounds == (0, 2, 5, 7, 8)
    assert batch.stream.parents == (-1, -1, 1, 1)
    assert batch.predict_N.tolist() == [4, 5]
    assert batch.answers_N.tolist() == [1, 1]
    assert batch.segments_A.tolist() == [0, 2, 3]
    assert batch.rows_A.tolist() == [0, 1, 1]
    assert batch.per_answer["gain"].tolist() == [1.0, 0.25, 4.0]
    assert batch.counts == {"target": 1.5, "answer": 3.0, "row": 2.0}


def test_positions_start_where_the_model_starts_counting() -> None:
    roberta = facts_of("roberta", make("roberta"))
    assert collate([ROWS[5]], roberta).stream.positions_T.tolist() == [2, 3, 4]


def test_a_batch_splits_into_halves_that_hold_the_same_rows() -> None:
    batch = collate(ROWS, FACTS)
    left, right = batch.split()
    assert left.rows + right.rows == batch.rows
    assert 0 < left.stream.num_tokens < batch.stream.num_tokens
    torch.testing.assert_close(torch.cat([left.labels_N, right.labels_N]), batch.labels_N)
    with pytest.raises(ValueError, match="cannot be split"):
        collate(ROWS[:1], FACTS).split()


@pytest.mark.parametrize("segments", [(Segment(()),), (Segment((1,), parent=0),), (Segment((1,)), Segment((2,), parent=1))])
def test_an_empty_segment_or_a_parent_behind_its_child_is_a_programmers_mistake(segments: tuple[Segment, ...]) -> None:
    with pytest.raises(ValueError, match="segment"):
        collate([Row(segments, Origin("x", 1))], FACTS)


def test_packing_puts_the_longest_first_into_the_fullest_group_that_takes_it() -> None:
    def by_the_rule(lengths: list[int], budget: int) -> list[list[int]]:
        groups = list[list[int]]()
        for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
            sizes = [sum(lengths[i] for i in group) for group in groups]
            fitting = [place for place, size in enumerate(sizes) if size + lengths[index] <= budget]
            if fitting:
                groups[max(fitting, key=lambda place: (sizes[place], -place))].append(index)
            else:
                groups.append([index])
        return groups

    draw = random.Random(0)
    for _ in range(50):
        lengths = [draw.randint(1, 30) for _ in range(draw.randint(0, 40))]
        assert pack(lengths, 25) == by_the_rule(lengths, 25)
