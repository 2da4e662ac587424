"""The profile's table: every operator counted once, both ways shown."""

from benchmarks.profile import GROUPS, Spent, grouped


def test_each_operator_counts_in_one_group():
    spent = [
        Spent("aten::mm", [[100, 576], [576, 192]], 3.0),
        Spent("aten::addmm_", [[100, 192], [100, 16], [16, 192], []], 1.0),
        Spent("aten::mm", [[16, 100], [100, 576]], 4.0),
        Spent("kernel matmul", [], 8.0),
        Spent("kernel adapter_backward", [], 0.75),
        Spent("tunesmith::lora_linear_backward", [[100, 576]], 16.0),
        Spent("tunesmith::segment_attention_backward", [[1, 20, 9, 64]], 32.0),
        Spent("aten::_int_mm", [[100, 16], [16, 192]], 1.5),
        Spent("aten::_scaled_dot_product_flash_attention_for_cpu", [[1, 9, 20, 64]], 2.0),
        Spent("## Call CompiledFxGraph x ##", [], 0.5),
        Spent("aten::gelu", [[100, 576]], 0.25),
        Spent("aten::bernoulli_", [[8, 8]], 0.125),
        Spent("_DropoutBackward", [[8, 8]], 0.0625),
    ]
    found = grouped(spent)
    assert found == {
        "thin products": 21.75,
        "int8 products": 1.5,
        "matrix products": 11.0,
        "attention in segments": 34.0,
        "compiled regions": 0.5,
        "dropout": 0.1875,
        "the rest": 0.25,
    }
    assert sum(found.values()) == sum(one.seconds for one in spent)
    assert list(found) == [*GROUPS, "the rest"]
