"""The drawings: what they show, where, and that they stay small."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from tests.report.example_reports import classification, compared, generation
from tunesmith.report.curves import curve_panels, smooth
from tunesmith.report.intervals import interval_panels
from tunesmith.report.results import comparisons
from tunesmith.report.svg import Scale, element, label, thin_out, ticks


def _of_class(svg: str, kind: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(svg).iter() if e.get("class") == kind]


def _at(e: ElementTree.Element, name: str) -> float:
    return float(e.attrib[name])


def test_scale_maps_ends_to_ends_and_a_point_range_to_the_middle() -> None:
    scale = Scale(0, 10, 100, 200)
    assert (scale(0), scale(5), scale(10)) == (100, 150, 200)
    assert Scale(3, 3, 100, 200)(3) == 150


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (0.62, 0.87, [0.7, 0.8]), (0, 500, [0, 200, 400]), (-1, 1, [-1, -0.5, 0, 0.5, 1]), (2, 2, [2])],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_moving_mean_of_a_line_is_the_line_inside_and_of_a_constant_everywhere() -> None:
    assert smooth([0, 1, 2, 3, 4], 3)[1:-1] == [1, 2, 3]
    assert smooth([5.0] * 7, 5) == [5.0] * 7
    assert smooth([0, 9, 0], 3) == [4.5, 3, 4.5]


def test_thinning_keeps_the_extremes_and_the_order() -> None:
    points = [(float(i), 0.0) for i in range(10_000)]
    points[4321], points[7777] = (4321.0, 9.0), (7777.0, -9.0)
    kept = thin_out(points, 240)
    assert len(kept) <= 240
    assert (4321.0, 9.0) in kept
    assert (7777.0, -9.0) in kept
    assert kept == sorted(kept)


def test_svg_text_and_attributes_are_escaped() -> None:
    assert label("<script>", 0, 0).count("<") == 2
    assert element("g", id='"><script>') == '<g id="&quot;&gt;&lt;script&gt;"/>'


def test_best_validation_is_marked_where_it_was_measured() -> None:
    curves = classification()["curves"]
    panel = curve_panels(curves)[1]
    place = [row["step"] for row in curves["validation"]].index(curves["best"]["step"])
    [ring] = _of_class(panel, "best-ring")
    dot = _of_class(panel, "validation-dot")[place]
    assert (ring.get("cx"), ring.get("cy")) == (dot.get("cx"), dot.get("cy"))
    assert _at(ring, "cy") == min(_at(e, "cy") for e in _of_class(panel, "validation-dot"))  # the highest accuracy is the highest dot
    assert f"at step {curves['best']['step']}" in panel


def test_best_step_that_was_not_validated_is_not_marked_elsewhere() -> None:
    curves = classification()["curves"] | {"best": {"step": 311, "metric": "accuracy", "value": 0.9}}
    assert not any("best-ring" in panel for panel in curve_panels(curves))


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ([0.9, 0.1], [0.2]),
        ([0.1, 0.9], [0.2]),
        ([0.9, 0.5], [0.1]),
        ([0.5, 0.5], [0.9]),
        ([0.9, 0.1, 0.9], [0.1, 0.9, 0.2]),
        ([0.9, 0.9], [0.5, 0.1]),
    ],
)
def test_what_is_said_of_the_best_stands_clear_of_the_curves(train: list[float], validation: list[float]) -> None:
    first = len(train) - len(validation) + 1
    curves = {
        "train": [{"step": step, "loss": loss} for step, loss in enumerate(train, start=1)],
        "validation": [{"step": step, "loss": loss} for step, loss in enumerate(validation, start=first)],
        "best": {"step": len(train), "metric": "loss"},
    }
    panel = curve_panels(curves)[0]
    [said] = _of_class(panel, "best-label")
    left = _at(said, "x") - 110
    for line in [*_of_class(panel, "train"), *_of_class(panel, "validation")]:
        points = [tuple(map(float, point.split())) for point in re.split("[ML]", line.attrib["d"])[1:]]
        for (a, b), (c, d) in pairwise(points):
            crossed = [b + (d - b) * part / 100 for part in range(101) if left <= a + (c - a) * part / 100 <= _at(said, "x")]
            assert all(abs(y - (_at(said, "y") - 4)) > 9 for y in crossed)


def test_loss_panel_has_the_raw_train_line_its_mean_and_validation() -> None:
    panel = curve_panels(classification()["curves"])[0]
    assert [len(_of_class(panel, kind)) for kind in ("raw", "train", "validation")] == [1, 1, 1]


def test_a_squared_error_is_not_in_nats() -> None:
    assert "loss, nats" in curve_panels(classification()["curves"])[0]
    assert "nats" not in curve_panels(classification()["curves"], loss_unit="")[0]


def test_without_validation_only_the_train_panels_remain() -> None:
    curves = generation()["curves"] | {"validation": [], "best": None}
    panels = curve_panels(curves)
    assert len(panels) == 3
    assert not any("validation-dot" in panel for panel in panels)


def test_no_curves_no_panels() -> None:
    assert curve_panels({}) == []
    assert curve_panels({"train": [{"step": 1, "loss": 0.3}], "validation": []}) == []


def test_numbers_that_were_lost_are_left_out_of_the_curve() -> None:
    curves = {"train": [{"step": i, "epoch": i / 4, "loss": None if i == 2 else 1.0 / i} for i in range(1, 5)]}
    [path] = _of_class(curve_panels(curves)[0], "train")
    assert len(re.findall("[ML]", path.attrib["d"])) == 3


def test_ten_thousand_steps_stay_small() -> None:
    train = [
        {"step": i, "epoch": i / 5000, "loss": 1 + (i * 7919 % 100) / 100, "grad_norm": 1 + i % 3, "learning_rate": 1e-4}
        for i in range(1, 10_001)
    ]
    validation = [{"step": i * 10, "loss": 1.0 + 1 / i} for i in range(1, 1001)]
    assert sum(map(len, curve_panels({"train": train, "validation": validation}))) < 60_000


def test_whiskers_reach_the_ends_of_the_intervals() -> None:
    report = classification() | {"metrics": {"accuracy": compared(0.6, 0.8, 0.1)}, "domains": {}, "baselines": {}}
    [panel] = interval_panels(comparisons(report))
    [base], [tuned] = _of_class(panel, "base-whisker"), _of_class(panel, "tuned-whisker")
    [base_dot], [tuned_dot] = _of_class(panel, "base-dot"), _of_class(panel, "tuned-dot")
    per_unit = (_at(tuned_dot, "cx") - _at(base_dot, "cx")) / 0.2
    assert _at(base, "x2") - _at(base, "x1") == pytest.approx(0.23 * per_unit, abs=0.3)
    assert _at(tuned, "x2") - _at(tuned, "x1") == pytest.approx(0.18 * per_unit, abs=0.3)
    assert _of_class(panel, "majority") == []


def test_a_panel_a_metric_with_a_row_a_data_set_and_the_majority_marked() -> None:
    panels = interval_panels(comparisons(classification()))
    assert len(panels) == 3
    for panel in panels:
        assert [len(_of_class(panel, kind)) for kind in ("base-dot", "tuned-dot", "majority")] == [3, 3, 3]
    assert "movie-reviews: base 0.680 (0.660–0.701), tuned 0.846 (0.829–0.862), majority class 0.514" in panels[0]
