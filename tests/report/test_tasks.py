"""The tasks of a mixture in results, summary, page, card and terminal."""

from typing import Any

from rich.console import Console

from tests.report.example_reports import compared, estimate, generation
from tunesmith.cli.tables import report_table
from tunesmith.report.card import model_card
from tunesmith.report.page import page
from tunesmith.report.results import comparisons
from tunesmith.report.summary import sentences


def mixed() -> dict[str, Any]:
    def task(source: str, metrics: dict[str, Any], **more: Any) -> dict[str, Any]:
        facts = {"source": source, "kind": "x", "rows": 100, "train_rows": 700, "rows_per_epoch": 350, "share": 0.5, "rows_seen": 1050}
        return {**facts, "metrics": metrics, "baselines": {}, **more}

    tasks = {
        "mood": task(
            "movie-reviews",
            {"accuracy": compared(0.61, 0.82, rows=100, test="mcnemar")},
            baselines={"majority": {"accuracy": estimate(0.51, 0.05)}},
        ),
        "talk": task("small-talk", {"rougeL": compared(0.1, 0.11, p=0.4, rows=30)}),
        "quiz": task("docstring-choices", {"accuracy": compared(0.7, 0.5, rows=100, test="mcnemar")}),
    }
    return generation() | {"tasks": tasks, "metrics": {"perplexity": compared(20.0, 10.0, half_width=0.8, rows=300, higher=False)}}


def test_tasks_stand_between_the_whole_and_the_domains() -> None:
    found = comparisons(mixed() | {"domains": {"far": {"rows": 5, "metrics": {"rougeL": compared(0.1, 0.2)}}}})
    assert [(data.name, data.is_own, data.is_task) for data in found] == [
        ("all tasks", True, False),
        ("mood", False, True),
        ("talk", False, True),
        ("quiz", False, True),
        ("far", False, False),
    ]
    assert [data.place for data in found[:2]] == ["held-out test", "task of the mixture, held-out test"]


def test_the_summary_says_how_each_task_moved() -> None:
    text = " ".join(sentences(mixed())).replace("\u00a0", " ")
    assert "By task: mood: accuracy better, 0.610 to 0.820 (+0.210 (0.188–0.232), p < 0.001); " in text
    assert "talk: ROUGE-L no clear difference, 0.100 to 0.110" in text
    assert "quiz: accuracy worse, 0.700 to 0.500" in text


def test_page_and_card_have_a_table_by_task() -> None:
    html, card = page(mixed()), model_card(mixed())
    for text in (html, card):
        assert all(name in text for name in ("mood", "talk", "quiz"))
    assert "Tasks of the mixture" in html
    assert "1,050" in html
    assert "Tasks of the mixture" not in page(generation())
    assert "task of the mixture, held-out test" in card


def test_the_terminal_has_a_line_by_task() -> None:
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(report_table(mixed(), width=200))
    lines = [line.strip() for line in captured.get().splitlines()]
    assert [line.split()[0] for line in lines if line.startswith(("all", "mood", "talk", "quiz"))] == ["all", "mood", "talk", "quiz"]
