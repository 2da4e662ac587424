"""The table after a run shows what report.json holds, on any width of terminal."""

import io

import pytest
from rich.console import Console

from tests.report.example_reports import classification, generation
from tunesmith.cli.output import console
from tunesmith.cli.tables import report_table


def drawn(report: dict[str, object], width: int) -> str:
    out = Console(file=io.StringIO(), width=width, highlight=False)
    out.print(report_table(report, width=width))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_a_row_holds_majority_base_tuned_difference_and_p() -> None:
    line = next(line for line in drawn(classification(), 140).splitlines() if "movie-reviews" in line)
    assert line.split() == [
        *(
            "movie-reviews",
            "(2,000)",
            "accuracy",
            "0.514",
            "0.680",
            "(0.660–0.701)",
            "0.846",
            "(0.829–0.862)",
            "+0.165",
            "(0.143–0.187)",
            "<",
            "0.001",
        )
    ]


def test_domains_follow_the_own_test_split() -> None:
    text = drawn(classification(), 140)
    assert text.index("movie-reviews") < text.index("tweets") < text.index("product-reviews")


def test_a_run_without_majority_class_has_no_column_for_it() -> None:
    assert "majority" not in drawn(generation(), 140)


@pytest.mark.parametrize("width", [60, 80, 100, 110, 140])
@pytest.mark.parametrize("report", [classification(), generation()], ids=["classification", "generation"])
def test_nothing_is_cut_off(report: dict[str, object], width: int) -> None:
    text = drawn(report, width)
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize(("no_color", "is_plain"), [("1", True), ("", False)])
def test_no_color_leaves_no_bold_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_color: str, is_plain: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    console().print("the verdict", style="bold")
    assert ("\x1b[" not in capsys.readouterr().out) is is_plain
