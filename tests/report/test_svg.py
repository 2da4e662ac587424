"""Small pieces of pictures."""

import pytest

from tunesmith.report.svg import apart


def test_labels_are_moved_apart_and_keep_their_order() -> None:
    placed = apart({"b": 12.0, "a": 10.0, "c": 80.0}, least=10.0)
    assert list(placed) == ["a", "b", "c"]
    assert placed["b"] - placed["a"] == pytest.approx(10.0)
    assert placed["c"] - placed["b"] > 10.0
    assert apart({"a": 10.0, "b": 30.0}, least=10.0) == {"a": 10.0, "b": 30.0}
