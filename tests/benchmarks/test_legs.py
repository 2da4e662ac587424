"""Every leg, for real, on tiny random models: one in a process of its own, the others in this one."""

import importlib
from dataclasses import replace
from functools import partial

import pytest
import torch

from benchmarks.benches import BENCHES, Leg
from benchmarks.document import compare, table
from benchmarks.environments import peer_python
from benchmarks.legs import _measure
from benchmarks.legs._measure import training_flops
from benchmarks.running import run_leg
from benchmarks.workload import BenchmarkError
from tunesmith.engine.compiling import Compiling

FACTS = {"workload": {"title": "tiny"}, "machine": {}}
KINDS = [(bench.settings["task"], bench.settings["method"], min(bench.settings.get("epochs", 1), 2)) for bench in BENCHES.values()]


@pytest.fixture(autouse=True)
def _rate_in_milliseconds(monkeypatch):
    """The machine's rate, with which nothing here is compared, is measured for a fortieth of the time."""
    monkeypatch.setattr(_measure, "matmul_rate", partial(_measure.matmul_rate, seconds_per_shape=0.005))


def _here(leg, workload, folder):
    return importlib.import_module(f"benchmarks.legs.{leg.program}").leg(workload, folder / leg.name, leg.config)


@pytest.mark.parametrize(("task", "method", "epochs"), KINDS)
def test_ours_and_the_trainer_do_the_same_work_in_every_workload(task, method, epochs, make, tmp_path):
    workload = make(tmp_path, task, method, epochs)
    legs = [Leg(program, config) for config in ("best", "default") for program in ("ours", "trainer")]
    measured = {leg.name: [_here(leg, workload, tmp_path)] for leg in legs}
    document = compare(legs, measured, FACTS)
    assert document["passed"], table(document)
    for leg in legs:
        [found], timed = measured[leg.name], workload.in_order(leg.config)[8:]
        assert found.num_tokens == sum(len(row.tokens) for row in timed)
        assert found.num_targets == sum(row.num_targets for row in timed)
        assert [point.step for point in found.curve] == [2 * epochs, 4 * epochs]
        assert 0 < found.seconds < found.curve[-1].seconds
        assert found.peak_memory_bytes > 0
        assert found.matmul_flops_per_second > 0
        assert (found.curve[-1].accuracy is None) == (task == "language_model")


def test_ours_on_an_int8_base_or_not_compiled_as_asked(make, tmp_path, monkeypatch):
    workload = make(tmp_path, "language_model", "lora")
    ours = importlib.import_module("benchmarks.legs.ours")
    monkeypatch.setattr(ours, "compile_layers", lambda *_: Compiling("", 0.0))
    exact, rounded = (ours.leg(workload, tmp_path / way, "best", way) for way in ("plain", "int8"))
    assert rounded.first_loss == pytest.approx(exact.first_loss, rel=0.05)
    assert rounded.first_loss != exact.first_loss
    assert exact.own_held_out_loss is None
    assert rounded.own_held_out_loss == pytest.approx(rounded.held_out_loss, rel=0.05)
    assert rounded.own_held_out_loss != rounded.held_out_loss
    monkeypatch.setattr(ours, "compile_layers", lambda *_: Compiling("no compiler", 0.0))
    with pytest.raises(BenchmarkError, match="run uncompiled .no compiler"):
        ours.leg(workload, tmp_path / "compiled", "best", "compiled")


def test_a_leg_in_a_process_of_its_own_does_the_same_work(make, tmp_path):
    workload, ours, theirs = make(tmp_path, "language_model", "lora"), Leg("ours", "best"), Leg("trainer", "best")
    measured = {ours.name: [run_leg(ours, workload, tmp_path / ours.name)], theirs.name: [_here(theirs, workload, tmp_path)]}
    assert compare([ours, theirs], measured, FACTS)["passed"]
    assert not (tmp_path / "ours_best").exists()


def test_the_gate_fails_where_a_side_starts_from_other_weights(make, llama, tmp_path):
    workload, ours, theirs = make(tmp_path, "language_model", "lora"), Leg("ours", "best"), Leg("trainer", "best")
    found = _here(ours, workload, tmp_path)
    torch.manual_seed(1)
    llama().save_pretrained(workload.settings().model)
    document = compare([ours, theirs], {ours.name: [found], theirs.name: [_here(theirs, workload, tmp_path)]}, FACTS)
    assert not document["passed"]


def test_the_gate_fails_where_a_side_learns_at_another_rate(make, tmp_path):
    workload, ours, theirs = make(tmp_path, "language_model", "lora"), Leg("ours", "best"), Leg("trainer", "best")
    found = _here(ours, workload, tmp_path)
    settings = workload.settings()
    rows = workload.in_order("best")
    order = list(range(len(rows)))
    workload.write(replace(settings, learning_rate=0.1), rows, workload.held_out(), {"grouped": order, "shuffled": order})
    document = compare([ours, theirs], {ours.name: [found], theirs.name: [_here(theirs, workload, tmp_path)]}, FACTS)
    assert document["peers"]["trainer_best"]["gate"]["first_loss_difference"] < 1e-4
    assert not document["passed"]


def test_a_leg_that_breaks_is_told_in_a_line(make, tmp_path):
    with pytest.raises(BenchmarkError, match=r"benchmarks\.legs\.none: exit code 1: .*No module named benchmarks\.legs\.none"):
        run_leg(Leg("none", "best"), make(tmp_path, "language_model", "lora"), tmp_path / "leg")
    assert not (tmp_path / "leg").exists()


def test_operations_are_counted_by_hand(llama):
    model = llama()
    # a layer: q and o 32 x 32, k and v 16 x 32, gate, up and down 48 x 32; the head 64 x 32
    weights, head = 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32), 64 * 32
    assert training_flops(model, 100, num_tokens=7, num_scored_tokens=2) == 7 * (4 * weights + 600) + 2 * 4 * head
    assert training_flops(model, None, num_tokens=7, num_scored_tokens=2) == 6 * (7 * weights + 2 * head)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("peer", ["trainer", "trl", "llamafactory"])
def test_a_peer_in_its_own_environment_does_the_same_work(peer, method, make, tmp_path):
    workload, python = make(tmp_path, "language_model", method), peer_python(peer, print)
    legs = [Leg(program, config) for config in ("best", "default") for program in ("ours", peer)]
    measured = {leg.name: [run_leg(leg, workload, tmp_path / leg.name, *([python] if leg.program == peer else []))] for leg in legs}
    document = compare(legs, measured, FACTS)
    assert document["passed"], table(document)
