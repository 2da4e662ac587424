"""Which examples are chosen, by their labels and by their vectors."""

from collections.abc import Sequence

import numpy as np
import pytest

from tunesmith.context.strategies.few_shot import FewShot
from tunesmith.context.strategies.zero_shot import ZeroShot
from tunesmith.core import registry
from tunesmith.core.context import Array, Strategy, Variant
from tunesmith.core.errors import UsageError


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _unit(rows: Sequence[Sequence[float]]) -> Array:
    found = np.array(rows, dtype=np.float64)
    unit: Array = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def test_balanced_examples_take_the_labels_by_turns() -> None:
    labels = ["a"] * 90 + ["b"] * 8 + ["c"] * 2
    chosen = FewShot(shots=(9,)).choose(3, labels, None, None, _rng())
    assert chosen[0] == chosen[1] == chosen[2]
    for num in (3, 6):
        assert sorted(labels[place] for place in chosen[0][:num]) == sorted("abc" * (num // 3))
    assert sorted(labels[place] for place in chosen[0]) == list("aaaabbbcc") or sorted(labels[place] for place in chosen[0]) == list(
        "aaabbbbcc"
    )
    assert len(set(chosen[0])) == 9


def test_fewer_examples_are_the_first_of_more() -> None:
    labels = ["a", "b"] * 20
    for by in ("random", "balanced"):
        few = FewShot(shots=(2,), choose_by=by).choose(1, labels, None, None, _rng(3))[0]
        more = FewShot(shots=(2, 8), choose_by=by).choose(1, labels, None, None, _rng(3))[0]
        assert more[:2] == few
        assert len(more) == 8


@pytest.mark.parametrize("by", ["random", "balanced", "nearest", "diverse"])
def test_spare_examples_come_behind_those_that_would_be_taken(by: str) -> None:
    pool, asked = (_unit(np.random.default_rng(seed).normal(size=(20, 4)).tolist()) for seed in (0, 1))
    strategy = FewShot(shots=(3,), choose_by=by)  # type: ignore[arg-type]
    few, more = (strategy.choose(20, ["a", "b"] * 10, pool, asked, _rng(), num_spare) for num_spare in (0, 2))
    assert [len(places) for places in more] == [5] * 20
    assert [places[:3] for places in more] == few


def test_random_examples_follow_the_seed_and_every_row_may_be_drawn() -> None:
    drawn = [FewShot(shots=(2,), choose_by="random").choose(1, [""] * 5, None, None, _rng(seed))[0] for seed in range(60)]
    assert drawn[0] == FewShot(shots=(2,), choose_by="random").choose(1, [""] * 5, None, None, _rng(0))[0]
    assert {place for places in drawn for place in places} == set(range(5))


def test_nearest_examples_are_each_questions_own_the_nearest_first() -> None:
    pool = _unit([[1, 0], [0, 1], [1, 0.2], [-1, 0]])
    asked = _unit([[1, 0.1], [0, 1]])
    strategy = FewShot(shots=(2,), choose_by="nearest")
    assert strategy.embedding_model == "minilm-l6"
    expected = [sorted(range(4), key=lambda place: -float(pool[place] @ question))[:2] for question in asked]
    assert strategy.choose(2, [""] * 4, pool, asked, _rng()) == expected


def test_diverse_examples_are_the_greedy_k_centre() -> None:
    draw = np.random.default_rng(1)
    pool = _unit(draw.normal(size=(30, 4)).tolist())
    (chosen,) = FewShot(shots=(5,), choose_by="diverse").choose(1, [""] * 30, pool, None, _rng())
    assert chosen[0] == int(np.argmax((pool @ pool.T).sum(1)))
    for num in range(1, 5):  # by hand: the one whose nearest taken one is farthest
        nearest = {
            place: max(float(pool[place] @ pool[taken]) for taken in chosen[:num]) for place in range(30) if place not in chosen[:num]
        }
        assert nearest[chosen[num]] == pytest.approx(min(nearest.values()))
    (all_of_them,) = FewShot(shots=(40,), choose_by="diverse").choose(1, [""] * 30, pool, None, _rng())
    assert sorted(all_of_them) == list(range(30))


def test_every_number_wording_and_order_is_tried_once() -> None:
    found = FewShot(shots=(4, 0, 1, 4), orders=2, templates=("{text}", "Say: {text}")).variants()
    assert found == [
        Variant(template, shots, order) for shots, order in ((0, 0), (1, 0), (4, 0), (4, 1)) for template in ("{text}", "Say: {text}")
    ]
    assert [(one.num_shots, one.order) for one in FewShot(shots=(2,), orders=5).variants()] == [
        (2, 0),
        (2, 1),
    ]  # two examples have two orders
    assert ZeroShot().variants() == [Variant()]
    assert ZeroShot(templates=("a {text}", "b {text}")).variants() == [Variant("a {text}"), Variant("b {text}")]


@pytest.mark.parametrize("name", registry.names("strategy"))
def test_every_strategy_keeps_to_the_contract(name: str) -> None:
    strategy = registry.create("strategy", name, **({"index": "documents.index"} if name == "retrieval" else {}))
    assert isinstance(strategy, Strategy)
    assert strategy.validation_rows > 0
    most = max(variant.num_shots for variant in strategy.variants())
    chosen = strategy.choose(4, ["a", "b"] * 10, None, None, _rng())
    assert len(chosen) == 4
    assert all(len(set(places)) == len(places) >= most for places in chosen)
    assert bool(strategy.pool_rows) == bool(most)
    assert bool(strategy.index) == any(variant.num_passages for variant in strategy.variants())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shots": ()}, "shots"),
        ({"shots": (-1,)}, "shots"),
        ({"orders": 0}, "orders: expected at least 1, found 0"),
        ({"orders": 2, "choose_by": "nearest"}, "orders"),
        ({"pool_rows": 0}, "pool_rows"),
        ({"validation_rows": 0}, "validation_rows"),
    ],
)
def test_an_option_out_of_its_range_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registry.create("strategy", "few_shot", **options)
