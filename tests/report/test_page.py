"""The page and the notebook fragment."""

import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.report.example_reports import HASH, MODEL_HASH, classification, compared, generation, run_with
from tunesmith.core.errors import RunError
from tunesmith.core.run import RunDirectory
from tunesmith.report import html_fragment, render
from tunesmith.report.page import page

VOID = {"meta", "link", "br", "img", "hr", "input"}
SECTIONS_OF_CLASSIFICATION = ["results", "curves", "confusion", "changed", "data", "cost", "provenance"]
SECTIONS_OF_GENERATION = ["results", "curves", "changed", "samples", "data", "cost", "provenance"]


class Reader(HTMLParser):
    """Checks the nesting, and keeps text and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("p", "table", "ul", "div", "dl", "figure", "section", "h1", "h2", "h3"):
            assert "p" not in self.open, f"<{tag}> inside <p>"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All text, white space of any kind as single spaces."""
        return " ".join(" ".join(self.texts).split())

    def sections(self) -> list[str | None]:
        return [attrs.get("id") for tag, attrs in self.tags if tag == "section"]


def test_every_section_of_a_classifier_with_its_numbers() -> None:
    read = Reader(page(classification()))
    assert read.sections() == SECTIONS_OF_CLASSIFICATION
    for number in (
        *("0.680", "0.660–0.701", "0.846", "0.829–0.862", "+0.165", "0.143–0.187"),  # accuracy, base and tuned
        *("0.514", "0.492–0.536"),  # majority
        *("tweets", "0.742", "0.801", "product-reviews", "−0.019 to 0.045", "0.41"),  # domains
        *("811", "83 %", "374", "38 %"),  # confusion
        *("Got better: 471", "Got worse: 141", "99 % sure", "movie-reviews:412"),
        *("1,944", "2,056", "108,000"),  # data
        *("1 min 06 s", "913 MB", "870 MB", "−5 %", "444 k", "1.79 MB", "3,265"),  # cost
        *(HASH, MODEL_HASH, "0.21.2", "AMD EPYC 7B13", "tunesmith tune reviews", "learning_rate: 0.0003", "MIT"),
    ):
        assert number in read.text, number


def test_every_section_of_a_language_model_with_base_and_tuned_text() -> None:
    report = generation()
    read = Reader(page(report))
    assert read.sections() == SECTIONS_OF_GENERATION
    for sample in report["samples"]:
        for key in ("base", "tuned"):
            assert " ".join(sample[key].split()) in read.text
    assert "Tell me how to fine-tune a model" in read.text
    assert "Got worse: 9" in read.text
    assert "tuned: (empty)" in read.text
    assert "600 rows" in read.text
    assert "100 rows" in read.text


def test_an_encoder_decoder_reads_sources_where_others_are_given_prompts() -> None:
    report = generation()
    for model, asked, other in (
        (report["model"], "Prompt 1", "Source 1"),
        (report["model"] | {"is_encoder_decoder": True}, "Source 1", "Prompt 1"),
    ):
        text = Reader(page(report | {"model": model})).text
        assert asked in text
        assert other not in text


def test_warnings_stand_before_the_verdict() -> None:
    report = generation()
    text = Reader(page(report)).text
    assert 0 < text.index(report["warnings"][0]) < text.index("Better than the base")


def test_overfitting_is_a_warning_only_where_it_was_found() -> None:
    assert Reader(page(classification())).text.count("Over-fitting.") == 1
    assert "Over-fitting." not in Reader(page(generation())).text


def test_unfinished_run_says_so() -> None:
    assert "This run is interrupted" in Reader(page(classification() | {"status": "interrupted"})).text
    assert "This run is" not in Reader(page(classification())).text


@pytest.mark.parametrize("report", [classification(), generation()], ids=["classification", "generation"])
def test_page_loads_nothing_and_runs_nothing(report: dict[str, Any]) -> None:
    html = page(report)
    for tag, attrs in Reader(html).tags:
        assert tag not in ("script", "iframe", "img", "object", "embed")
        assert not any(name.startswith("on") for name in attrs)
        if tag == "link":
            assert attrs["href"] == "data:,"
        assert "src" not in attrs
    assert "url(" not in html
    assert "@import" not in html
    assert len(html.encode()) < 400_000


@pytest.mark.parametrize("report", [classification(), generation()], ids=["classification", "generation"])
def test_page_can_be_heard(report: dict[str, Any]) -> None:
    html = page(report)
    tags = Reader(html).tags
    assert html.count("<table") == html.count("<caption")
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for tag, attrs in tags if tag == "svg")
    assert html.count("<svg") == html.count("<title>") - 1  # the page has one of its own
    assert [tag for tag, _ in tags if tag == "h1"] == ["h1"]
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    targets = {attrs["id"] for _, attrs in tags if attrs.get("id")}
    assert {attrs["href"] for tag, attrs in tags if tag == "a"} == {f"#{target}" for target in targets}


def _hostile(value: Any) -> Any:
    """Every string, key or value, turned into an attack, but for those that choose what is shown."""
    if isinstance(value, dict):
        kept = ("test", "status", "method", "objective", "kind", "metric", "created")
        return {key: item if key in kept else _hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hostile(item) for item in value]
    return f"{value}\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{{{ 7 * 191 }}}}" if isinstance(value, str) else value


@pytest.mark.parametrize("report", [classification(), generation()], ids=["classification", "generation"])
def test_hostile_text_is_shown_and_inert(report: dict[str, Any]) -> None:
    attack = "<script>alert(1)</script>"
    report = _hostile(report)
    report["metrics"] = {f"m{attack}": entry for entry in report["metrics"].values()}
    report["domains"] = {f"d{attack}": {"rows": 5, "metrics": {f"m{attack}": compared(0.1, 0.2)}}}
    report["data"]["splits"]["train"]["labels"] = {f"l{attack}": 3}
    report["versions"] = {f"v{attack}": attack}
    read = Reader(page(report))
    assert not {"script", "img"} & {tag for tag, _ in read.tags}
    assert not any(name.startswith("on") for _, attrs in read.tags for name in attrs)
    assert attack in read.text
    assert "1337" not in read.text  # no template is run inside a value


def test_a_single_warning_is_escaped_too() -> None:
    read = Reader(page(classification() | {"warnings": ["<b>bold</b>"]}))
    assert "<b>bold</b>" in read.text


OPTIONAL = [
    "metrics",
    "baselines",
    "domains",
    "curves",
    "confusion",
    "changed",
    "samples",
    "data",
    "cost",
    "predicted",
    "model",
    "versions",
    "machine",
    "recipe",
    "command",
    "warnings",
]


@pytest.mark.parametrize("how", ["absent", "null"])
@pytest.mark.parametrize("part", [*OPTIONAL, "task", "name", "created"])
def test_page_and_card_do_without(part: str, how: str, tmp_path: Path) -> None:
    for report in (classification(), generation()):
        if how == "null":
            report[part] = None
        else:
            del report[part]
        run = run_with(report, tmp_path / report["run"])
        render(run)
        text = Reader(run.report_html.read_text(encoding="utf-8")).text
        assert "None" not in text.replace("None.", "")
        assert "Undefined" not in text


def test_bare_report_makes_a_page() -> None:
    read = Reader(page({"schema": "tunesmith/tune/1", "run": "r1", "directory": "runs/r1", "status": "done"}))
    assert "Not measured" in read.text
    assert read.sections() == ["provenance"]


def test_zero_shot_null_shows_the_tuned_value_alone() -> None:
    report = classification()
    for entry in report["metrics"].values():
        entry["base"] = entry["difference"] = None
    report["baselines"]["zero_shot"] = None
    text = Reader(page(report)).text
    assert "No base to compare with" in text
    assert "0.829–0.862" in text


def test_lost_values_inside_parts_are_dashes() -> None:
    report = classification()
    report["cost"] |= {"peak_memory_bytes": None, "train_seconds": None}
    report["metrics"]["mcc"]["tuned"] = {"value": None, "low": None, "high": None}
    report["data"]["splits"]["test"]["lengths"] = None
    report["data"]["splits"]["validation"] = None
    report["changed"]["better"][0]["confidence"] = None
    assert "None" not in Reader(page(report)).text


def test_many_labels_list_the_most_frequent_mistakes() -> None:
    labels = [f"intent-{i}" for i in range(40)]
    tuned = [[50 if i == j else 0 for j in range(40)] for i in range(40)]
    tuned[3][17] = 44
    report = classification() | {"confusion": {"labels": labels, "base": None, "tuned": tuned}}
    report["data"]["splits"]["train"]["labels"] = {name: 100 + i for i, name in enumerate(labels)}
    read = Reader(page(report))
    assert "The most frequent mistakes among 40 labels" in read.text
    assert "intent-3 intent-17 – 44" in read.text
    assert "more are not shown" in read.text


def test_shares_of_a_row_sum_to_the_row() -> None:
    html = page(classification())
    shares = [float(share) for share in re.findall(r'<td style="--share: ([\d.]+)"', html)]
    assert len(shares) == 8
    assert all(a + b == pytest.approx(1, abs=0.002) for a, b in zip(shares[::2], shares[1::2], strict=True))


def test_the_header_of_true_labels_stays_on_one_line_where_labels_are_short() -> None:
    """The labels below it may be broken anywhere, so that long ones fit; in a column of short ones the header would be broken into letters."""
    [style] = re.findall(r"<style>(.*?)</style>", page(classification()), re.DOTALL)
    rules = dict(re.findall(r"& (\.heat [^{]*?) \{ (.*?) \}", style))
    assert "overflow-wrap: anywhere" in rules[".heat th"]
    assert "white-space: nowrap" in rules[".heat thead th:first-child"]


def test_render_writes_page_and_card_beside_the_report(tmp_path: Path) -> None:
    run = run_with(classification(), tmp_path / "run")
    render(run)
    assert run.report_html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert run.model_card.read_text(encoding="utf-8").startswith("---\nbase_model: minilm-l6\n")


def test_curves_come_from_the_steps_where_the_report_has_none(tmp_path: Path) -> None:
    report = classification()
    events = [{"event": "step", **row} for row in report["curves"]["train"]] + [
        {"event": "validation", **row} for row in report["curves"]["validation"]
    ]
    report["curves"] = {"best": report["curves"]["best"], "overfitting": {"found": False, "text": ""}}
    run = run_with(report, tmp_path / "run")
    run.steps.write_text("\n".join(json.dumps(event) for event in events), encoding="utf-8")
    render(run)
    html = run.report_html.read_text(encoding="utf-8")
    assert "curves" in Reader(html).sections()
    assert html.count('class="validation-dot"') == 16  # eight validations, in the loss panel and the accuracy panel


def test_missing_report_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"report\.json: no such file"):
        render(RunDirectory(tmp_path))


def test_fragment_is_embeddable_and_its_styles_stay_inside(tmp_path: Path) -> None:
    html = html_fragment(run_with(classification(), tmp_path / "run"))
    read = Reader(html)
    assert not {"html", "head", "body", "script", "section"} & {tag for tag, _ in read.tags}
    assert html.count("<svg") == 7
    assert "raised accuracy from 0.680" in read.text
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    depth, outermost = 0, []
    for line in re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL).splitlines():
        if depth == 0 and line.strip():
            outermost.append(line.strip())
        depth += line.count("{") - line.count("}")
    assert depth == 0
    assert all(line.startswith((".tunesmith {", "@media", "}")) for line in outermost)
    assert set(re.findall(r"^  (\S+) {$", style, re.MULTILINE)) == {".tunesmith"}


def test_import_stays_light() -> None:
    code = "import sys, tunesmith.report; print([m for m in ('torch', 'transformers', 'matplotlib', 'jinja2', 'numpy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("asked", "column"), [("zero_shot", "Zero-shot base"), ("as_it_is", "Base")])
def test_a_base_that_knew_the_labels_is_not_called_zero_shot(asked: str, column: str) -> None:
    report = classification()
    report["task"]["base"] = asked
    html = page(report)
    texts = Reader(html).texts
    assert column in texts
    assert ("zero-shot" in html.lower()) == (asked == "zero_shot")
