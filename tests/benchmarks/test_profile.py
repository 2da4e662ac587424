"""The profile's table: every operator counted once, both ways shown."""

import pytest

from benchmarks.profile import GROUPS, grouped


def test_each_operator_counts_in_one_group():
    spent = {
        "aten::mm": 3.0,
        "aten::addmm_": 1.0,
        "aten::_scaled_dot_product_flash_attention_for_cpu": 2.0,
        "## Call CompiledFxGraph x ##": 0.5,
    }
    found = grouped({**spent, "aten::gelu": 0.25, "aten::bernoulli_": 0.125})
    assert found == {"matrix products": 4.0, "attention in segments": 2.0, "compiled regions": 0.5, "dropout": 0.125, "the rest": 0.25}
    assert sum(found.values()) == pytest.approx(sum(spent.values()) + 0.375)
    assert list(found) == [*GROUPS, "the rest"]
