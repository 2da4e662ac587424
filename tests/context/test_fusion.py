"""Reciprocal rank fusion, by hand."""

from tunesmith.context.fusion import fused


def test_a_passage_that_two_rankings_hold_comes_before_the_first_of_either() -> None:
    assert fused([["a", "b"], ["c", "b"]]) == ["b", "a", "c"]  # 2/62 > 1/61
    assert fused([["a", "b", "c"], []]) == ["a", "b", "c"]
    assert fused([]) == []
