"""Power, corrected p-values, calibration and what explains a value: in sentences, tables, page and card."""

import io
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tests.report.example_reports import classification, compared, generation, with_statistics
from tunesmith.cli.tables import report_table
from tunesmith.report.card import model_card
from tunesmith.report.page import page
from tunesmith.report.reliability import reliability_panels
from tunesmith.report.results import Comparison, comparisons, note_on_p, notes
from tunesmith.report.summary import sentences, summarize


def measured(metric: str, entry: dict[str, Any], **difference: Any) -> dict[str, Any]:
    entry = entry | {"difference": entry["difference"] | difference}
    return classification() | {"metrics": {metric: entry}, "domains": {}, "baselines": {}, "curves": {}}


def first(report: dict[str, Any]) -> Comparison:
    return comparisons(report)[0].comparisons[0]


def test_the_summary_says_how_small_a_difference_the_rows_can_show() -> None:
    shares = measured("accuracy", compared(0.68, 0.70, p=0.4, rows=200, test="mcnemar"), detectable=0.0583)
    assert "With 200 test rows a difference of 5.8 points can be seen, hardly one of 1.9." in sentences(shares)
    numbers = measured("perplexity", compared(20.0, 19.0, half_width=0.8, rows=200, higher=False), detectable=1.2)
    assert "With 200 test rows a difference of 1.2 in perplexity can be seen, hardly one of 0.40." in sentences(numbers)


def test_three_rows_can_show_nothing_and_an_older_report_says_nothing() -> None:
    three = measured("accuracy", compared(0.33, 0.67, 0.4, p=1.0, rows=3, test="mcnemar"), detectable=None)
    assert "With 3 test rows no difference can be seen." in sentences(three)
    assert not any("can be seen" in sentence for sentence in sentences(classification()))


def test_verdicts_and_tables_go_by_the_corrected_p() -> None:
    report = measured("accuracy", compared(0.68, 0.73, p=0.03), p_holm=0.09)
    assert first(report).verdict == "unclear"
    assert first(report).p_text == "0.09"
    assert first(measured("accuracy", compared(0.68, 0.73, p=0.03))).verdict == "better"


def test_what_p_is_corrected_for_is_said_on_page_and_card() -> None:
    plain, corrected = classification(), with_statistics(classification())
    assert note_on_p(plain) == "p is not corrected for the number of metrics."
    assert "(Holm)" in note_on_p(corrected)
    for written in (page(corrected), model_card(corrected)):
        assert note_on_p(corrected) in written
        assert note_on_p(plain) not in written


def test_a_metric_without_a_better_direction_changes() -> None:
    entry = compared(10.0, 14.0, half_width=0.8) | {"higher_is_better": None}
    report = measured("answer_words", entry)
    assert first(report).verdict == "changed"
    assert summarize(report).headline == "Changed from the zero-shot base"
    assert "lower is better" not in page(report)
    second = measured("accuracy", compared(0.68, 0.7, p=0.4)) | {}
    second["metrics"]["answer_words"] = entry
    assert "Of the other metrics, words an answer changed." in sentences(second)


def test_what_explains_a_value_and_what_is_left_out_stands_beside_the_metric() -> None:
    report = with_statistics(generation())
    bleu = next(line for line in comparisons(report)[0].comparisons if line.metric == "bleu")
    assert notes(bleu)[0] == "3 rows left out"
    precisions = "precision 1 = 48.0, precision 2 = 17.0, precision 3 = 9.24, precision 4 = 6.00"
    assert notes(bleu)[1].replace("\u00a0", " ") == f"base: {precisions}, brevity penalty = 0.910"
    for note in notes(bleu):
        assert note in page(report)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
@pytest.mark.parametrize("report", [with_statistics(classification()), with_statistics(generation())], ids=["classification", "generation"])
def test_the_table_has_what_can_be_seen_and_is_not_cut(report: dict[str, Any], width: int) -> None:
    out = Console(file=io.StringIO(), width=width, highlight=False)
    out.print(report_table(report, width=width))
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert "can be seen" in " ".join(text.split())
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_a_metric_of_which_every_row_was_left_out_has_a_line_without_numbers() -> None:
    report = classification()
    report["metrics"]["tool_calls_valid"] = {
        "higher_is_better": True, "rows": 0, "excluded": 40, "base": None, "tuned": None, "difference": None,
    }  # fmt: skip
    text = page(report)
    assert "valid tool calls" in text
    assert "40 rows left out" in text


def test_the_reliability_picture_has_a_dot_a_whisker_and_a_bar_for_each_bin() -> None:
    sides = with_statistics(classification())["reliability"]
    base, tuned = reliability_panels(sides)
    for side, panel in (("base", base), ("tuned", tuned)):
        root = ElementTree.fromstring(panel)
        kinds = [element.get("class") for element in root.iter()]
        assert [kinds.count(f"{side}-{part}") for part in ("dot", "whisker", "bar")] == [5, 5, 5]
        dots = [element for element in root.iter() if element.get("class") == f"{side}-dot"]
        line = next(element for element in root.iter() if element.get("class") == "majority")
        x0, x1, y0, y1 = (float(line.attrib[name]) for name in ("x1", "x2", "y1", "y2"))
        for dot, one in zip(dots, sides[side], strict=True):
            assert float(dot.attrib["cx"]) == pytest.approx(x0 + one["sure"] * (x1 - x0), abs=0.1)
            assert float(dot.attrib["cy"]) == pytest.approx(y0 + one["right"]["value"] * (y1 - y0), abs=0.1)
    heights = [float(bar.attrib["height"]) for bar in ElementTree.fromstring(tuned).iter() if bar.get("class") == "tuned-bar"]
    assert max(heights) == heights[-1]  # of half of the rows the model was surest


def test_without_bins_there_is_no_picture_and_no_section() -> None:
    assert reliability_panels({}) == []
    assert reliability_panels({"base": [], "tuned": []}) == []
    assert 'id="reliability"' not in page(generation())
    assert 'id="reliability"' in page(with_statistics(classification()))


def test_the_gap_to_the_training_rows_stands_below_the_curves() -> None:
    report = with_statistics(classification())
    assert report["curves"]["gap"]["text"] in page(report)
