"""What a run forgot in sentences, picture, page, card and terminal."""

import re
from typing import Any

import pytest
from rich.console import Console

from tests.report.example_reports import classification, compared, generation
from tunesmith.cli import tables
from tunesmith.report.card import model_card
from tunesmith.report.forgetting import Forgetting, forgetting
from tunesmith.report.page import page
from tunesmith.report.summary import sentences


def kept(base: float, tuned: float, p: float, *, higher: bool = False, fell: bool = False) -> dict[str, Any]:
    entry = compared(base, tuned, 0.01, rows=100, higher=higher)
    entry["difference"] |= {"p_holm": p}
    return entry | {"source": "x", "metric": "mean_reciprocal_rank" if higher else "bits_per_byte", "fell": fell}


def forgetful(**changes: Any) -> dict[str, Any]:
    tasks = {
        "editorials": kept(1.1, 1.32, 0.003, fell=True),
        "python-reference": kept(1.4, 1.405, 0.6),
        "small-talk": kept(1.9, 1.6, 0.004),
    }
    found = {
        "fell": ["editorials"],
        "keeps_base": False,
        "advice": [{"text": "LoRA in place of the model's own weights.", "command": "tunesmith tune runs/x/recipe.yaml method.name=lora"}],
        "left_out": {"tweets": "no network."},
    }
    return generation() | {"retention": tasks, "forgetting": found | changes}


def found(report: dict[str, Any]) -> Forgetting:
    made = forgetting(report)
    assert made is not None
    return made


def test_the_sentence_names_what_fell_and_by_how_much() -> None:
    text = found(forgetful()).text.replace("\u202f", " ")
    assert text == (
        "It forgot: bits per byte on editorials rose from 1.100 to 1.320 (+20 %). No significant loss on python-reference and small-talk."
    )
    assert text.split(" No ")[0] in " ".join(sentences(forgetful())).replace("\u202f", " ")


def test_beside_no_significant_loss_stands_how_large_a_loss_can_be_seen() -> None:
    report = forgetful()
    for name, seen in (("python-reference", 0.0512), ("small-talk", 0.04)):
        report["retention"][name]["difference"]["detectable"] = seen
    assert found(report).text.endswith(
        "No significant loss on python-reference (bits per byte: a loss of 0.051 can be seen) and small-talk (bits per byte: a loss of 0.040 can be seen)."
    )
    assert '<td class="n">0.051</td>' in page(report)
    assert "| 0.051 |" in model_card(report)


def test_where_the_base_is_whole_that_is_said() -> None:
    assert found(forgetful(keeps_base=True)).text.endswith("without what was trained the model has forgotten nothing.")


def test_where_nothing_fell_nothing_is_advised() -> None:
    report = forgetful(fell=[], advice=[])
    assert found(report).text == "No significant loss on editorials, python-reference and small-talk, by which forgetting was measured."
    assert "What would help" not in page(report)


def test_where_nothing_was_measured_the_reason_is_said_in_its_section_alone() -> None:
    report = classification() | {"retention": {}, "forgetting": {"fell": [], "advice": [], "left_out": {"all": "head trains only a head."}}}
    assert found(report).text == "What it forgot was not measured: head trains only a head."
    assert "not measured" not in " ".join(sentences(report))
    assert "head trains only a head." in page(report)
    assert 'class="gain-dot"' not in page(report)


def test_a_report_of_an_older_version_has_no_such_section() -> None:
    assert forgetting(generation()) is None
    assert 'id="forgetting"' not in page(generation())


def test_one_picture_shows_the_gain_beside_the_losses() -> None:
    svg = found(forgetful()).picture
    assert svg.count("<svg") == 1
    names = re.findall(r'class="row-label halo"[^>]*>([^<]*)<', svg)
    assert names == [
        f"learned: docstrings, {names[0].rsplit(', ', 1)[1]}",
        "editorials, bits per byte",
        "python-reference, bits per byte",
        "small-talk, bits per byte",
    ]
    kinds = re.findall(r'<circle class="(\w+)-dot" cx="([\d.]+)"', svg)
    assert [kind for kind, _ in kinds] == ["gain", "loss", "unclear", "gain"]
    zero = float(re.findall(r'<line class="majority" x1="([\d.]+)"', svg)[0])
    learned, lost, unclear, gained = (float(x) for _, x in kinds)
    assert lost < unclear < zero < gained
    assert learned > zero


def test_changes_are_in_percent_of_the_base_and_better_is_to_the_right() -> None:
    report = classification() | {"retention": {"a": kept(0.5, 0.25, 0.001, higher=True, fell=True)}, "forgetting": {"fell": ["a"]}}
    assert "a, mean reciprocal rank: −50.0" in found(report).picture
    report["retention"]["a"] = kept(0.5, 0.25, 0.001)
    assert "a, bits per byte: +50.0" in found(report).picture


def test_a_change_that_is_far_larger_than_the_others_stands_at_the_edge() -> None:
    report = forgetful()
    report["retention"]["small-talk"] = kept(0.1, 0.9, 0.001, fell=True)
    svg = found(report).picture
    x = [float(x) for x in re.findall(r'<circle class="\w+-dot" cx="([\d.]+)"', svg)]
    assert 0 < min(x) == x[3] < max(x) < 420
    assert svg.count("← far more") == 1


def test_a_change_from_nothing_has_no_percent_and_stays_in_the_table() -> None:
    report = forgetful()
    report["retention"]["editorials"] = kept(0.0, 0.5, 0.001, higher=True)
    assert "editorials" not in found(report).picture
    assert "editorials" in page(report)


def test_the_page_has_picture_table_advice_and_what_was_left_out() -> None:
    html = page(forgetful())
    assert html.count('id="forgetting"') == 1
    assert "What it forgot</a>" in html
    assert "tunesmith tune runs/x/recipe.yaml method.name=lora" in html
    assert "Not measured: tweets: no network." in html
    assert html.index('id="results"') < html.index('id="forgetting"') < html.index('id="curves"')


def test_hostile_names_stay_text() -> None:
    report = forgetful()
    report["retention"]["<script>alert(1)</script>"] = kept(1.0, 1.5, 0.001, fell=True)
    report["forgetting"]["fell"] += ["<script>alert(1)</script>"]
    report["forgetting"]["left_out"]["<img src=x>"] = "<b>"
    assert "<script" not in page(report)
    assert "<img src=x" not in page(report)
    assert "<script" not in model_card(report)


def test_the_card_has_a_table() -> None:
    card = model_card(forgetful())
    assert "## What it forgot" in card
    line = next(line for line in card.splitlines() if line.startswith("| editorials"))
    assert "bits per byte, 100 rows, lower is better" in line
    assert "+0.220" in line


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_terminal_has_a_line_a_task_and_the_commands_whole(width: int, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "console", lambda: Console(width=width, highlight=False, markup=False, color_system=None))
    tables._print_forgetting(forgetful())
    said = capsys.readouterr().out
    assert all(name in said for name in ("editorials", "python-reference", "small-talk"))
    assert "  tunesmith tune runs/x/recipe.yaml method.name=lora\n" in said
    assert "…" not in said
