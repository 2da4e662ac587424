"""The order of the legs, the gate and the ratios, worked by hand."""

from dataclasses import replace

import pytest

from benchmarks.comparison import Ratio, gate, interleaved, ratio
from benchmarks.sft import compare, table
from benchmarks.workload import Measured, Settings, TokenRow, Workload

LEG = Measured(
    first_loss=3.0,
    held_out_loss=2.0,
    seconds=10.0,
    num_tokens=4000,
    num_scored_tokens=100,
    peak_memory_bytes=1000,
    matmul_flops_per_second=100.0,
    flops=500.0,
    version="1.2",
)
FACTS = {"workload": {"data": "docstrings"}, "machine": {"num_cores": 2}}


def test_two_repeats_of_two_are_a_b_b_a():
    assert interleaved({"a": 2, "b": 2}) == ["a", "b", "b", "a"]


def test_five_repeats_go_there_and_back_and_a_leg_of_two_stays_away_from_the_last_three():
    assert "".join(interleaved({"a": 5, "b": 5, "c": 2})) == "abc" + "cba" + "ab" + "ba" + "ab"


def test_rates_are_of_the_timed_part():
    assert LEG.tokens_per_second == 400.0
    assert LEG.share_of_matmul_rate == 0.5


def test_ratio_is_ours_over_theirs_within_a_round():
    assert ratio([400.0, 300.0, 800.0], [100.0, 100.0, 200.0]) == Ratio(median=4.0, min=3.0, max=4.0)


def test_ratio_leaves_out_rounds_that_one_side_did_not_run():
    assert ratio([400.0, 300.0, 9e9], [100.0, 100.0]) == Ratio(median=3.5, min=3.0, max=4.0)


def test_gate_passes_just_within_the_tolerances():
    found = gate([LEG], [replace(LEG, first_loss=3.00009, held_out_loss=2.0099)])
    assert found.passed
    assert found.first_loss_difference == pytest.approx(9e-5)
    assert found.held_out_loss_difference == pytest.approx(0.00495)


@pytest.mark.parametrize(
    "change",
    [
        {"first_loss": 3.0002},
        {"first_loss": 2.9998},
        {"held_out_loss": 2.0101},
        {"held_out_loss": 1.9899},
        {"first_loss": float("nan")},
        {"held_out_loss": float("inf")},
    ],
)
def test_gate_fails_where_losses_differ_or_are_not_finite(change):
    assert not gate([LEG], [replace(LEG, **change)]).passed


def test_gate_looks_at_every_repeat():
    assert not gate([LEG, LEG], [LEG, replace(LEG, first_loss=3.1)]).passed
    assert not gate([LEG, replace(LEG, held_out_loss=2.1)], [LEG, LEG]).passed


def _slow(**change):
    return replace(LEG, seconds=20.0, peak_memory_bytes=4000, **change)


def test_document_gives_ratios_and_share_where_every_gate_passed():
    document = compare({"ours": [LEG, LEG], "trainer_best": [_slow(), _slow()], "trainer_default": [_slow(), _slow()]}, FACTS)
    assert document["passed"]
    best = document["peers"]["trainer_best"]
    assert (best["config"], best["version"]) == ("best", "1.2")
    assert best["ratios"]["tokens_per_second"] == {"median": 2.0, "min": 2.0, "max": 2.0}
    assert best["ratios"]["peak_memory"]["median"] == 0.25
    assert document["share_of_matmul_rate"] == 0.5
    assert "2.00 (2.00 to 2.00)" in table(document)


def test_no_ratio_at_all_where_one_gate_failed():
    wrong = _slow(held_out_loss=2.5)
    document = compare({"ours": [LEG], "trainer_best": [_slow()], "trainer_default": [wrong]}, FACTS)
    assert not document["passed"]
    assert [peer["ratios"] for peer in document["peers"].values()] == [None, None]
    assert document["share_of_matmul_rate"] is None
    assert "FAILED" in table(document)
    assert " to " not in table(document)


def test_memory_is_left_out_where_the_system_does_not_say():
    document = compare({"ours": [replace(LEG, peak_memory_bytes=0)], "trainer_best": [_slow()]}, FACTS)
    assert document["peers"]["trainer_best"]["ratios"]["peak_memory"] is None
    assert "not known here" in table(document)


def test_a_workload_comes_back_as_it_was_written_and_refuses_part_of_a_step(tmp_path):
    rows = [TokenRow((1, 2, index + 3), (1, 2)) for index in range(24)]
    workload = Workload(tmp_path / "w")
    workload.write(Settings("model", learning_rate=1e-3), rows, rows[:2])
    assert workload.settings() == Settings("model", learning_rate=1e-3)
    assert (workload.rows("train"), workload.rows("held_out")) == (rows, rows[:2])
    with pytest.raises(ValueError, match="multiple of 8, at least 24"):
        workload.write(Settings("model"), rows[:23], rows[:2])
