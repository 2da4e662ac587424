"""What groups of runs and comparisons say, as sentences, pictures and pages."""

import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from tests.report.example_groups import compared_runs, curve, seeds
from tunesmith.report.compared import compare_page, compare_sentences, read_compared, shown
from tunesmith.report.group_page import curve_panel, group_page, seeds_panel
from tunesmith.report.groups import group_sentences, group_verdict, read_group


def test_seeds_are_told_with_mean_spread_and_which_to_use() -> None:
    text = " ".join(group_sentences(seeds()))
    assert (
        "Over 3 seeds accuracy is 0.846 (0.826–0.866) on average, from 0.840 to 0.852 by seed, with a standard deviation of 0.0060" in text
    )
    assert "Against the base, 0.680 (0.660–0.700): +0.166 (0.144–0.188), better." in text
    assert "Use seed-1: the best accuracy on the validation split (0.860). The test rows had no say" in text
    assert group_verdict(seeds()) == ("better", "Better than the base")
    assert "none of the runs is chosen" in " ".join(group_sentences(seeds(None)))


def test_seeds_of_a_method_that_trains_nothing_are_not_chosen_among_for_that_reason() -> None:
    document = seeds(None)
    searched = {**document, "runs": [{**run, "steps": 0, "best": None} for run in document["runs"]]}
    said = " ".join(group_sentences(searched))
    assert "Nothing was trained: there are no weights to choose among, and none of the runs is chosen." in said
    assert "No validation split" not in said  # there are 400 validation rows
    page = group_page(searched)
    assert "Nothing was trained." in page
    assert "the validation whose weights were kept" not in page
    assert "the validation whose weights were kept" in group_page(document)


@pytest.mark.parametrize(
    ("trend", "badge", "said"),
    [
        ("helps", "better", "More data helps: from 960 to 3,200 rows accuracy +0.036 (0.022–0.050), p < 0.001."),
        ("helped", "unclear", "More data helped: from 320 to 3,200 rows accuracy +0.106 (0.092–0.120), p < 0.001. The last step gives no clear gain any more"),
        ("flat", "unclear", "Flat: more of this data gives nothing that can be seen: from 320 to 3,200 rows"),
        ("harms", "worse", "More of this data made it worse: from 960 to 3,200 rows"),
    ],
)  # fmt: skip
def test_a_curve_is_told_in_words(trend: str, badge: str, said: str) -> None:
    text = " ".join(group_sentences(curve(trend))).replace("\u00a0", " ")
    assert said in text
    assert "each doubling of the rows changes accuracy by +0.0300 (0.0250–0.0350)" in text
    assert group_verdict(curve(trend))[0] == badge


def _numbers(svg: str, tag: str, attribute: str) -> list[float]:
    return [float(found.attrib[attribute]) for found in ET.fromstring(svg).iter(tag) if attribute in found.attrib]


def test_a_curves_points_lie_by_the_logarithm_of_their_rows_and_inside_of_the_picture() -> None:
    svg = curve_panel(read_group(curve())[0].metrics[0], [320, 960, 3200])
    x, y = _numbers(svg, "circle", "cx"), _numbers(svg, "circle", "cy")
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(math.log(3) / math.log(10), abs=0.01)
    assert y[0] > y[1] > y[2] > 0
    assert max(x) < 420
    assert "960 rows: 0.810" in svg


def test_a_base_that_lies_far_off_is_named_and_not_drawn() -> None:
    document = curve()
    assert ">base<" in curve_panel(read_group(document)[0].metrics[0], [320, 960, 3200])
    document["metrics"]["accuracy"]["base"] = {"value": 0.1, "low": 0.05, "high": 0.15}
    svg = curve_panel(read_group(document)[0].metrics[0], [320, 960, 3200])
    assert "base 0.100, far below" in svg
    assert "majority" not in svg


def test_each_seed_is_a_dot_between_base_and_mean() -> None:
    svg = seeds_panel(read_group(seeds())[0].metrics[0], ["seed-0", "seed-1", "seed-2"])
    x = _numbers(svg, "circle", "cx")
    assert x[0] < x[1] < x[3] < x[2]  # base; 0.840, 0.852, 0.846
    assert x[4] == pytest.approx(x[3], abs=0.1)  # the mean


class _Tags(HTMLParser):
    """Open tags that were not closed, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("page", [group_page(seeds()), group_page(seeds(None)), group_page(curve()), compare_page(compared_runs())])
def test_pages_are_whole_and_need_no_network(page: str) -> None:
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "None" not in re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert "nan" not in re.findall(r">([^<]*)<", page)


def test_a_comparison_is_told_regressions_first() -> None:
    text = " ".join(compare_sentences(compared_runs()))
    assert text.startswith("B against A: 1 worse (accuracy −0.030).")
    assert "p is corrected (Holm) for those of the 2 tests that answer the same question." in text
    page = compare_page(compared_runs())
    assert read_compared(compared_runs())[0].detectable_text(0) == "0.013"
    assert '<td class="n">0.013</td>' in page
    assert "Some metric is worse" in page
    assert "A &lt;b&gt;dull&lt;/b&gt; film" in page
    assert page.index("method.r") < page.index("train.learning_rate")


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), ([], "none"), (["a", "b"], "a, b"), (0.5, "0.5"), ("a\n b", "a b"), (True, "True")]
)
def test_values_are_shown_in_one_line(value: object, text: str) -> None:
    assert shown(value) == text
