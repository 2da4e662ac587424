"""The order of the legs, the gate, the target and the ratios, worked by hand."""

from dataclasses import asdict, replace

import pytest

from benchmarks.benches import BENCHES, Leg
from benchmarks.comparison import Ratio, Target, gate, interleaved, ratio, seconds_to
from benchmarks.document import compare, table
from benchmarks.running import Options
from benchmarks.workload import BenchmarkError, Measured, Point, Settings, TokenRow, Workload

LEG = Measured(
    first_loss=3.0,
    curve=(Point(2, 4.0, 2.5), Point(4, 8.0, 2.2), Point(6, 12.0, 2.0)),
    seconds=10.0,
    num_tokens=4000,
    num_targets=100,
    peak_memory_bytes=1000,
    matmul_flops_per_second=100.0,
    flops=500.0,
    version="1.2",
)
LEGS = [Leg("ours", "best"), Leg("trainer", "best"), Leg("ours", "default"), Leg("trainer", "default")]
FACTS = {"workload": {"title": "SFT", "data": "docstrings"}, "machine": {"num_cores": 2}}


def _ending(loss, *, accuracy=None, seconds=12.0):
    return replace(LEG, curve=(*LEG.curve[:-1], Point(6, seconds, loss, accuracy)))


def test_two_repeats_of_two_are_a_b_b_a():
    assert interleaved({"a": 2, "b": 2}) == ["a", "b", "b", "a"]


def test_five_repeats_go_there_and_back_and_a_leg_of_two_stays_away_from_the_last_three():
    assert "".join(interleaved({"a": 5, "b": 5, "c": 2})) == "abc" + "cba" + "ab" + "ba" + "ab"


def test_default_configurations_run_twice_whatever_the_others_do():
    assert list(Options().repeats(LEGS).values()) == [5, 5, 2, 2]
    assert set(Options(quick=True).repeats(LEGS).values()) == {2}


def test_every_configuration_of_a_peer_has_ours_on_the_same_order_beside_it():
    for bench in BENCHES.values():
        names = [leg.name for leg in bench.legs()]
        assert len(names) == len(set(names)) == 2 * (1 + len(bench.peers)) + len(bench.ways) - 1
        assert {leg.against() for leg in bench.legs()} == {"ours_best", "ours_default"}
    found = [leg.name for leg in BENCHES["sft"].legs(["trl"])]
    assert found == ["ours_best", "ours_compiled_best", "ours_int8_best", "trl_best", "ours_default", "trl_default"]
    with pytest.raises(BenchmarkError, match="nobody: no such peer"):
        BENCHES["sft"].legs(["nobody"])


def test_rates_are_of_the_timed_part():
    assert LEG.tokens_per_second == 400.0
    assert LEG.targets_per_second == 10.0
    assert LEG.share_of_matmul_rate == 0.5
    assert replace(LEG, flops=None).share_of_matmul_rate is None


def test_measurements_come_back_as_they_were_written():
    assert Measured.from_document(asdict(LEG)) == LEG


def test_ratio_is_ours_over_theirs_within_a_round():
    assert ratio([400.0, 300.0, 800.0], [100.0, 100.0, 200.0]) == Ratio(median=4.0, min=3.0, max=4.0)


def test_ratio_leaves_out_rounds_that_one_side_did_not_run():
    assert ratio([400.0, 300.0, 9e9], [100.0, 100.0]) == Ratio(median=3.5, min=3.0, max=4.0)


def test_gate_passes_just_within_the_tolerances():
    found = gate([LEG], [replace(_ending(2.0099), first_loss=3.00009)])
    assert found.passed
    assert found.first_loss_difference == pytest.approx(9e-5)
    assert found.held_out_loss_difference == pytest.approx(0.00495)


@pytest.mark.parametrize(
    "other",
    [
        replace(LEG, first_loss=3.0002),
        replace(LEG, first_loss=2.9998),
        _ending(2.0101),
        _ending(1.9899),
        replace(LEG, first_loss=float("nan")),
        _ending(float("inf")),
    ],
)
def test_gate_fails_where_losses_differ_or_are_not_finite(other):
    assert not gate([LEG], [other]).passed


def test_gate_looks_at_every_repeat():
    assert not gate([LEG, LEG], [LEG, replace(LEG, first_loss=3.1)]).passed
    assert not gate([LEG, _ending(2.1)], [LEG, LEG]).passed


def test_a_target_is_the_worst_end_of_the_best_configuration_and_half_a_percent():
    target = Target.of([LEG, _ending(2.1)])
    assert target.loss == pytest.approx(2.1 * 1.005)
    assert seconds_to(target, LEG) == 12.0
    assert seconds_to(Target(loss=2.2), LEG) == 8.0
    assert seconds_to(Target(loss=1.9), LEG) is None


def test_a_classifier_s_target_is_an_accuracy():
    target = Target.of([_ending(2.0, accuracy=0.8), _ending(2.0, accuracy=0.75)])
    assert target == Target(accuracy=0.75)
    assert seconds_to(target, _ending(9.0, accuracy=0.75, seconds=7.0)) == 7.0
    assert seconds_to(target, _ending(0.1, accuracy=0.74)) is None


def _slow():
    return replace(LEG, seconds=20.0, peak_memory_bytes=4000, curve=tuple(replace(point, seconds=2 * point.seconds) for point in LEG.curve))


def _measured(**other):
    return {"ours_best": [LEG, LEG], "trainer_best": [_slow(), _slow()], "ours_default": [LEG], "trainer_default": [_slow()]} | other


def test_document_gives_ratios_and_share_where_every_gate_passed():
    document = compare(LEGS, _measured(), FACTS)
    assert document["passed"]
    best = document["peers"]["trainer_best"]
    assert (best["config"], best["version"], best["against"]) == ("best", "1.2", "ours_best")
    assert best["ratios"]["tokens_per_second"] == {"median": 2.0, "min": 2.0, "max": 2.0}
    assert best["ratios"]["scored_tokens_per_second"]["median"] == 2.0
    assert best["ratios"]["peak_memory"]["median"] == 0.25
    assert best["ratios"]["time_to_target"]["median"] == 0.5
    assert document["shares_of_matmul_rate"] == {"plain": 0.5}
    assert best["share_of_matmul_rate"] == 0.25
    assert "reaches: 50%\nby the same count: transformers Trainer + peft, best: 25%; transformers Trainer + peft, default: 25%" in table(
        document
    )
    assert "2.00 (2.00 to 2.00)" in table(document)


def test_the_default_configuration_runs_to_the_target_of_the_best():
    better = [_ending(1.9)]
    document = compare(LEGS, _measured(ours_best=better, trainer_best=better), FACTS)
    assert document["passed"]
    assert document["peers"]["trainer_default"]["target"]["loss"] == pytest.approx(1.9 * 1.005)
    assert document["peers"]["trainer_default"]["ratios"]["time_to_target"] is None


def test_no_ratio_at_all_where_one_gate_failed():
    document = compare(LEGS, _measured(trainer_default=[_ending(2.5)]), FACTS)
    assert not document["passed"]
    assert [peer["ratios"] for peer in document["peers"].values()] == [None, None]
    assert document["shares_of_matmul_rate"] == {}
    assert "FAILED" in table(document)
    assert " to " not in table(document)


def test_what_is_rounded_is_told_apart_and_keeps_nothing_back():
    legs = [*LEGS, Leg("ours", "best", "compiled"), Leg("ours", "best", "int8")]
    fast = replace(_ending(2.2), seconds=5.0, own_held_out_loss=2.3)
    document = compare(legs, _measured(ours_compiled_best=[LEG], ours_int8_best=[fast]), FACTS)
    assert document["passed"]
    assert list(document["peers"]) == ["trainer_best", "trainer_best, compiled", "trainer_best, int8", "trainer_default"]
    assert document["peers"]["trainer_best, int8"]["ratios"]["tokens_per_second"]["median"] == 4.0
    assert document["shares_of_matmul_rate"] == {"plain": 0.5, "compiled": 0.5}
    exact, rounded = table(document).split("Not exact: ")
    assert "int8" not in exact
    assert "none: see the losses" in rounded
    assert "trained exact 2.0000; trained on an int8 base 2.3000 on that base, 2.2000 with" in rounded
    failed = compare(legs, _measured(ours_compiled_best=[_ending(2.5)], ours_int8_best=[fast]), FACTS)
    assert not failed["passed"]


def test_memory_is_left_out_where_the_system_does_not_say():
    document = compare(LEGS, _measured(ours_best=[replace(LEG, peak_memory_bytes=0)] * 2), FACTS)
    assert document["peers"]["trainer_best"]["ratios"]["peak_memory"] is None
    assert "none" in table(document)


def test_a_workload_comes_back_as_it_was_written_and_refuses_part_of_a_step(tmp_path):
    rows = [TokenRow((1, 2, index + 3), (1, 2)) for index in range(12)]
    settings = Settings("model", learning_rate=1e-3, examples_per_step=4, epochs=2)
    backwards, there = list(reversed(range(12))) * 2, list(range(12)) * 2
    workload = Workload(tmp_path / "w")
    workload.write(settings, rows, rows[:2], {"shuffled": there, "grouped": backwards})
    assert workload.settings() == settings
    assert workload.held_out() == rows[:2]
    assert workload.in_order("default") == rows + rows
    assert workload.in_order("best") == (rows + rows)[::-1]
    with pytest.raises(ValueError, match="multiple of 4, at least 12"):
        workload.write(settings, rows[:11], rows[:2], {})
    with pytest.raises(ValueError, match="every row once in each epoch"):
        workload.write(settings, rows, rows[:2], {"shuffled": [*there[:-1], 0]})
