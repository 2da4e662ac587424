"""The benchmark on a GPU, as far as a CPU can run it: both legs on a tiny model."""

from dataclasses import replace
from datetime import date

import pytest
import torch

from benchmarks import gpu, results
from benchmarks.comparison import BF16
from benchmarks.document import compare, table
from benchmarks.gpu import LEGS, SIZES, Setup, main, run_gpu
from benchmarks.legs import gpu_loop, gpu_ours
from benchmarks.legs._llama import steps
from benchmarks.running import Options

SETUP = Setup("tiny", num_steps=6, num_warm_up_steps=2)
FACTS = {"workload": {"title": "tiny", "precision": "bf16"}, "machine": {}}


@pytest.fixture(scope="module")
def measured():
    return {LEGS[0].name: [gpu_ours.leg(SETUP)], LEGS[1].name: [gpu_loop.leg(SETUP)]}


def test_both_legs_do_the_same_work(measured):
    document = compare(LEGS, measured, FACTS, BF16)
    assert document["passed"], table(document)
    assert "bf16 matmul rate" in table(document)
    [ours], [theirs] = measured.values()
    timed = [row for step in steps(SETUP)[2:] for row in step]
    assert ours.num_tokens == theirs.num_tokens == sum(len(row.tokens) for row in timed)
    assert ours.num_targets == theirs.num_targets == sum(len(row.tokens) - 1 for row in timed)
    assert ours.flops == theirs.flops > 0
    assert "packed" in ours.version
    assert 0 < ours.seconds < ours.curve[-1].seconds


def test_the_legs_learn(measured):
    for [found] in measured.values():
        assert found.held_out_loss < found.first_loss - 0.01


def test_the_gate_fails_where_a_side_starts_from_other_weights(measured):
    [ours], [theirs] = measured.values()
    other = {LEGS[0].name: [ours], LEGS[1].name: [replace(theirs, first_loss=theirs.first_loss + 0.011)]}
    assert not compare(LEGS, other, FACTS, BF16)["passed"]


def test_rows_of_a_step_are_of_like_length_and_every_length_is_natural():
    spread = [max(len(row.tokens) for row in step) - min(len(row.tokens) for row in step) for step in steps(Setup("tiny"))]
    lengths = {len(row.tokens) for step in steps(Setup("tiny")) for row in step}
    assert sorted(spread)[len(spread) // 2] < 10
    assert len(lengths) > 20
    assert max(lengths) <= SIZES["tiny"].longest


@pytest.mark.parametrize(("size", "billions"), [("1b", 1.24), ("8b", 8.03)])
def test_the_shapes_are_those_of_llama(size, billions):
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**SIZES[size].config))
    model.tie_weights()
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, abs=0.01)


@pytest.mark.skipif(torch.cuda.is_available(), reason="would measure")
def test_without_a_gpu_the_large_sizes_are_refused_in_a_line(capsys, monkeypatch):
    monkeypatch.setattr(gpu, "_run_leg", lambda *_: pytest.fail("a leg was started"))
    assert main(["--size", "8b"]) == 1
    assert capsys.readouterr().err == "error: gpu: 8b needs a GPU, and torch sees no CUDA device here. Only --size tiny runs on a CPU.\n"


def test_the_order_is_a_b_b_a_and_tiny_is_not_written(measured, monkeypatch, tmp_path, capsys):
    asked = []

    def run(leg, _setup):
        asked.append(leg.program)
        return measured[leg.name][0]

    monkeypatch.setattr(gpu, "_run_leg", run)
    monkeypatch.setattr(results, "FILE", tmp_path / "RESULTS.md")
    assert main(["--size", "tiny", "--quick"]) == 0
    assert asked == ["ours", "loop", "loop", "ours"]
    assert "all tokens/s" in capsys.readouterr().out
    assert not results.FILE.exists()


def test_too_few_steps_are_refused():
    from benchmarks.workload import BenchmarkError

    with pytest.raises(BenchmarkError, match="--steps: expected more than the 5"):
        run_gpu(Setup("tiny", num_steps=5), Options(), print)


@pytest.mark.parametrize("size", ["1b", "8b"])
def test_results_say_what_is_not_measured_until_it_is(size, measured):
    text = results.FILE.read_text(encoding="utf-8")
    assert f"<!-- gpu {size} -->" in text
    machine = {"platform": "Linux", "processor": "Chip", "num_cores": 2, "num_threads": 2, "device": "A GPU", "versions": {}}
    document = compare(LEGS, measured, {"machine": machine, "workload": {"title": "t", "data": size, "quick": True}}, BF16)
    written = results.with_section(text, "gpu", size, results.section("gpu", document, date(2026, 11, 21)))
    assert written.count(f"<!-- gpu {size} -->") == 1
    assert f"--size {size}` measures it" not in written
    assert "- machine: A GPU; Chip" in written
