"""Conversations as tables and pictures."""

import re
from typing import Any

import pytest

from tunesmith.report.conversations import read_conversations


def _line(where: dict[str, Any], base: float, tuned: float, *, more: bool = True) -> dict[str, Any]:
    sides = {name: {"value": value, "low": value - 0.1, "high": value + 0.1} for name, value in (("base", base), ("tuned", tuned))}
    gap = {"value": tuned - base, "low": tuned - base - 0.05, "high": tuned - base + 0.05, "p": 0.001, "p_holm": 0.002, "test": "mcnemar"}
    return {**where, "higher_is_better": more, "rows": 64, **sides, "difference": gap}


MEASURED = {
    "facts": 64,
    "context_tokens": 1015,
    "by_turn": [_line({"turn": 1}, 1.5, 1.2, more=False)],
    "by_distance": [_line({"turns_back": None}, 0.1, 0.1), _line({"turns_back": 0}, 0.8, 0.9), _line({"turns_back": 4}, 0.5, 0.2)],
    "by_depth": [],
    "cut": {"answers": 192, "max_new_tokens": 24, "base": 70, "tuned": 2},
    "left_out": ["facts 8 turns back and more: too long."],
}


def test_each_place_is_a_line_with_its_verdict() -> None:
    found = read_conversations(MEASURED)
    assert found is not None
    assert [part.title for part in found.parts] == ["Answers of the test conversations", "Facts by the turns since they were stated"]
    names = [(name, comparison.verdict) for part in found.parts for name, _, comparison in part.rows]
    assert names == [("answer 1", "better"), ("never stated", "unclear"), ("the turn before", "better"), ("4 turns between", "worse")]
    assert {comparison.p for _, _, comparison in found.parts[1].rows} == {0.002}
    assert found.cut.startswith("Of 192 answers about facts, 70 of the base and 2 of the tuned model were cut at 24 tokens")
    assert found.left_out == ("facts 8 turns back and more: too long.",)


def test_the_picture_has_both_sides_at_every_place() -> None:
    found = read_conversations(MEASURED)
    assert found is not None
    (panel,) = found.panels
    heights = [1 - (float(y) - 34) / 166 for y in re.findall(r'<circle class="tuned-dot" cx="[\d.]+" cy="([\d.]+)"', panel)]
    assert heights == pytest.approx([0.1, 0.9, 0.2], abs=0.01)
    assert panel.count("base-dot") == 3
    assert "4 turns between: base 0.50, tuned 0.20" in panel
    assert read_conversations(None) is None
