"""The axes of a run as a table and as a picture."""

import copy
import math
import re
from typing import Any

import pytest

from tunesmith.report.axes import axes_remark, axis_rows, read_axes


def _interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def _side(score: float, worst: float, ece: float | None, seconds: float) -> dict[str, Any]:
    axis = {"worst": _interval(worst), "each": {"typos": _interval(worst)}}
    cost = {"seconds_per_row": seconds, "peak_memory_bytes": 10**9}
    found = {"score": _interval(score), "robustness": axis, "fairness": axis, "calibration": _interval(ece) if ece else None}
    return found | {"toxic_share": None, "share_of_women": None, "efficiency": cost}


CLASSIFIER = {
    "kind": "classification", "metric": "accuracy", "higher_is_better": True, "rows": 1200, "changed": {"typos": 34},
    "base": _side(0.7, 0.5, 0.25, 0.02), "tuned": _side(0.9, 0.8, 0.1, 0.04),
}  # fmt: skip


def _places(svg: str, kind: str) -> list[tuple[float, float]]:
    """Of the dots, from the centre, in parts of the radius; the second is up."""
    found = re.findall(rf'<circle class="{kind}-dot" cx="([\d.]+)" cy="([\d.]+)"', svg)
    return [((float(x) - 210) / 112, (165 - float(y)) / 112) for x, y in found]


def test_every_axis_lies_as_far_out_as_it_is_good() -> None:
    axes = read_axes(CLASSIFIER)
    assert axes is not None
    reach = {side: [math.hypot(*place) for place in _places(axes.picture, side)] for side in ("base", "tuned")}
    assert reach["base"] == pytest.approx([0.7, 0.5, 0.5, 0.75], abs=0.01)  # the score, twice its worst, 1 - ECE
    assert reach["tuned"] == pytest.approx([0.9, 0.8, 0.8, 0.9], abs=0.01)
    assert _places(axes.picture, "tuned")[0] == pytest.approx((0.0, 0.9), abs=0.01)  # the first points up
    assert axes.picture.count("-area") == 2
    assert "calibration: base 0.75, tuned 0.90" in axes.picture
    assert axes.title == "accuracy on 1,200 test rows"


def test_the_table_says_the_same_with_intervals() -> None:
    rows = {name.strip(): cells for name, *cells in axis_rows(CLASSIFIER)}
    assert rows["as it is"] == ["", "0.700 (0.680–0.720)", "0.900 (0.880–0.920)"]
    assert rows["typos"][0] == "34"
    assert rows["calibration error (ECE, lower is better)"][2] == "0.100 (0.080–0.120)"


def test_memory_is_a_sides_own_or_said_of_the_whole_command() -> None:
    assert {name: cells for name, *cells in axis_rows(CLASSIFIER)}["peak memory"] == ["", "1.00\u202fGB", "1.00\u202fGB"]
    together = copy.deepcopy(CLASSIFIER) | {"peak_memory_bytes": 2 * 10**9}
    for side in ("base", "tuned"):
        together[side]["efficiency"] |= {"peak_memory_bytes": None, "prompt_tokens_per_row": 31.25, "answer_tokens_per_row": 0.0}  # type: ignore[index]
    rows = {name: [cell.replace("\u202f", " ") for cell in cells] for name, *cells in axis_rows(together)}
    assert "peak memory" not in rows
    assert rows["tokens of a row’s prompt"] == ["", "31.2", "31.2"]
    assert rows["time for a row"] == ["", "20 ms", "40 ms"]
    assert "tokens written for a row" not in rows
    assert axes_remark(together).replace("\u202f", " ") == "Peak memory of the whole command, both sides: 2.00 GB."
    assert axes_remark(CLASSIFIER) == ""


def test_an_error_has_no_best_value_and_so_no_picture() -> None:
    regression = {**CLASSIFIER, "metric": "mae", "higher_is_better": False, "base": None, "tuned": _side(0.5, 1.0, None, 0.04)}
    axes = read_axes(regression)
    assert axes is not None
    assert (axes.has_base, axes.picture) == (False, "")
    assert axes.title.endswith("lower is better")
    assert {name: tuned for name, _, _, tuned in axes.rows}["robustness: the worst of these"].startswith("1.00")


def test_what_a_side_did_not_say_is_left_out_of_the_picture() -> None:
    writer = copy.deepcopy(CLASSIFIER) | {"kind": "generation", "metric": "chrf"}
    for side, share in (("base", 0.0), ("tuned", 0.1)):
        writer[side] |= {"calibration": None, "toxic_share": _interval(share), "share_of_women": {"value": None, "low": None, "high": None}}  # type: ignore[operator]
    axes = read_axes(writer)
    assert axes is not None
    assert len(_places(axes.picture, "tuned")) == 5  # chrF, robustness, fairness, no toxic word, speed
    assert "speed: base 1.00, tuned 0.50" in axes.picture
    assert "no toxic word: base 1.00, tuned 0.90" in axes.picture
    assert "women" not in axes.picture
    assert read_axes(None) is None
