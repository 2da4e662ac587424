"""Every leg, for real, in its own process, on a tiny random Llama."""

import random

import pytest
import torch
import transformers
from model.tiny import tokenizer

from benchmarks.__main__ import main
from benchmarks.legs._measure import training_flops
from benchmarks.prepare import save_initial_adapter
from benchmarks.sft import LEGS, BenchmarkError, compare, run_leg, table
from benchmarks.workload import Settings, TokenRow, Workload

SIZES = dict(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=4,
)  # fmt: skip
FACTS = {"workload": {}, "machine": {}}


def _row(draw: random.Random) -> TokenRow:
    length = draw.randint(5, 30)
    return TokenRow(tuple(draw.randint(5, 63) for _ in range(length)), tuple(range(length - 3, length)))


@pytest.fixture
def workload(tmp_path):
    torch.manual_seed(0)
    model = str(tmp_path / "model")
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)).save_pretrained(model)
    tokenizer().save_pretrained(model)
    draw, made = random.Random(0), Workload(tmp_path / "workload")
    made.write(Settings(model), [_row(draw) for _ in range(32)], [_row(draw) for _ in range(4)])
    save_initial_adapter(model, made.adapter, r=4)
    return made


def test_all_legs_do_the_same_work_and_pass_the_gate(workload, tmp_path):
    measured = {name: [run_leg(name, workload, tmp_path / name)] for name in LEGS}
    rows = workload.rows("train")
    for name, [leg] in measured.items():
        # 16 of the 32 rows are timed, each by its tokens without padding
        assert leg.num_scored_tokens == 3 * 16, name
        assert 0 < leg.num_tokens < sum(len(row.tokens) for row in rows), name
        assert leg.seconds > 0, name
        assert leg.peak_memory_bytes > 0, name
        assert leg.matmul_flops_per_second > 0, name
    document = compare(measured, FACTS)
    assert document["passed"], table(document)


def test_the_gate_fails_where_a_side_starts_from_other_weights(workload, tmp_path):
    ours = run_leg("ours", workload, tmp_path / "ours")
    torch.manual_seed(1)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)).save_pretrained(workload.settings().model)
    theirs = run_leg("trainer_best", workload, tmp_path / "theirs")
    assert not compare({"ours": [ours], "trainer_best": [theirs]}, FACTS)["passed"]


def test_a_leg_that_breaks_is_told_in_a_line(workload, tmp_path):
    (workload.adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(BenchmarkError, match=r"benchmarks\.legs\.ours: exit code 1: .*adapter_model"):
        run_leg("ours", workload, tmp_path / "ours")


def test_operations_are_counted_by_hand():
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))
    # a layer: q and o 32 x 32, k and v 16 x 32, gate, up and down 48 x 32; the head 64 x 32
    frozen, head = 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32), 64 * 32
    assert training_flops(model, 100, num_tokens=7, num_scored_tokens=2) == 7 * (4 * frozen + 600) + 2 * 4 * head


def test_rows_that_do_not_make_steps_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["sft", "--rows", "20"])
    assert "multiple of 8, at least 24" in capsys.readouterr().err
