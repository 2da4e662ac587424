"""`python -m benchmarks choosing [NAME ...]`: the comparisons that come with tunesmith, run and kept, and the figures of docs/choosing.md.

Those that are kept are not run again, unless they are named; `--document` writes the page from what is kept.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.markdown import NONE, between, table
from benchmarks.running import ROOT, Say, tunesmith_seconds
from benchmarks.workload import BenchmarkError
from tunesmith.core.files import write_json, write_text
from tunesmith.core.run import GroupDirectory
from tunesmith.report.comparison import comparison_reason, read_comparison
from tunesmith.report.numbers import count, decimals_for, duration, percent
from tunesmith.report.results import Estimate, metric_title
from tunesmith.report.searched import read_tried

__all__ = ["CASES", "FILE", "KEPT", "TITLE", "Case", "case_lines", "kept", "main", "with_lines"]

TITLE = "The comparisons of docs/choosing.md"
FILE, KEPT = ROOT / "docs" / "choosing.md", ROOT / "benchmarks" / "results" / "choosing"
_FIELDS = (
    "schema", "name", "description", "created", "status", "task", "model", "data", "metric", "higher_is_better", "decided_by_rows", "left_out", "is_searched", "search", "outlook", "pretraining",
    "front", "budget_seconds", "cost", "warnings",
)  # fmt: skip
_OF_AN_ARM = (
    "method", "label", "changes", "metrics", "domains", "against_choice", "beaten", "train_seconds", "seconds_per_answer", "memory_bytes", "saved_bytes",
    "trainable_parameters", "prompt_tokens", "fell", "total_seconds", "predicted", "usd", "index_seconds",
)  # fmt: skip
"""Nothing that is of the folder where it ran."""


@dataclass(frozen=True, slots=True)
class Case:
    """A comparison of the page."""

    title: str
    arguments: tuple[str, ...]
    """Of `tunesmith compare`."""

    @property
    def command(self) -> str:
        """As it is typed."""
        return " ".join(["tunesmith compare", *self.arguments])


CASES: Mapping[str, Case] = {
    "reviews": Case("Labels, thousands of rows", ("compare-reviews", "--budget", "15m")),
    "reviews-50": Case("The same labels, 50 rows", ("compare-reviews", "--budget", "15m", "data.limit.train=50")),
    "docstrings": Case("Answers in words of their own", ("compare-docstrings",)),
    "documents": Case("Questions about documents", ("compare-documents",)),
    "sizes": Case("A small model that is tuned, a larger one that is asked", ("compare-sizes",)),
    "changing": Case("Facts that change", ("compare-changing",)),
}


def main(arguments: Sequence[str], say: Say) -> int:
    """Run what is named, or what is not kept, and write the page. Returns: 1 where a command fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks choosing", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}; default: those that are not kept")
    parser.add_argument("--document", action="store_true", help="run nothing; write the page from what is kept")
    options = parser.parse_args(arguments)
    strange = next((name for name in options.names if name not in CASES), None)
    if strange:
        parser.error(f"{strange}: no such comparison. Known: {', '.join(CASES)}.")
    try:
        for name in [] if options.document else options.names or [name for name in CASES if not (KEPT / f"{name}.json").is_file()]:
            say(CASES[name].command)
            _run(name)
        documents = kept()
        write_text(
            FILE, with_lines(FILE.read_text(encoding="utf-8"), {name: list(case_lines(name, one)) for name, one in documents.items()})
        )
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    say(f"written: {FILE}")
    return 0


def kept() -> dict[str, dict[str, Any]]:
    """The documents that are there, in the order of the page."""
    return {name: GroupDirectory(KEPT).read_json(KEPT / f"{name}.json") for name in CASES if (KEPT / f"{name}.json").is_file()}


def _run(name: str) -> None:
    """Raises: BenchmarkError, with what the command said last."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / name
        tunesmith_seconds("compare", *CASES[name].arguments, f"output_dir={place}")
        group = GroupDirectory(place)
        document: Mapping[str, Any] = group.read_json(group.group_json)
    told = {key: document[key] for key in _FIELDS if key in document}
    told["arms"] = {arm: {key: one[key] for key in _OF_AN_ARM if key in one} for arm, one in document["arms"].items()}
    told["verdict"] = {key: document["verdict"][key] for key in ("best", "choice", "prefer", "by")}
    KEPT.mkdir(parents=True, exist_ok=True)
    write_json(KEPT / f"{name}.json", told)


def case_lines(name: str, document: Mapping[str, Any]) -> Iterator[str]:
    """What the page says of a comparison: its command, a row an arm, and the verdict."""
    found, data = read_comparison(document), document["data"]
    rows = f"{count(data['train_rows'])} training, {count(data['validation_rows'])} validation and {count(data['test_rows'])} test rows"
    yield from ("```sh", CASES[name].command, "```", "")
    yield f"{document['model']}, {data['source']}: {rows}; {duration(document['cost']['total_seconds'])} in all."
    yield ""
    others = [metric for metric in next(iter(document["arms"].values()))["metrics"] if metric != document["metric"]]
    domains = list(dict.fromkeys(domain for arm in document["arms"].values() for domain in arm.get("domains") or {}))
    rows_of = list[list[str]]()
    for row in found.rows:
        arm = document["arms"][row.name]
        value = row.value.text(found.decimals) if row.value else NONE
        elsewhere = [_value((arm.get("domains") or {}).get(domain), found.decimals) for domain in domains]
        also = [_value(arm["metrics"].get(metric)) for metric in others]
        rows_of.append([f"`{row.name}`", row.standing, value, *elsewhere, *also, row.training, row.thousand_answers, row.memory, row.saved])
    titles = [metric_title(metric) for metric in others]
    yield from table(["arm", "", found.title, *domains, *titles, "training", "1,000 answers", "memory", "kept"], rows_of)
    yield ""
    yield from _searched_lines(document)
    yield from (comparison_reason(document), "")


def _searched_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Each setting that was tried, its validation values part by part."""
    parts, tried = read_tried(document)
    if not tried:
        return
    metric = next(iter(document["search"].values()))["metric"]
    yield f"Settings that were tried, and validation {metric_title(metric)} on parts of the training rows:"
    yield ""
    rows = [
        [f"`{one.arm}`", f"`{one.setting}`" + (", taken" if one.is_taken else ""), *(value or NONE for value in one.values)]
        for one in tried
    ]
    yield from table(["arm", "setting", *(percent(part) for part in parts)], rows)
    yield ""


def _value(found: Mapping[str, Any] | None, decimals: int | None = None) -> str:
    """With as many decimals, or as many as its own interval warrants."""
    told = Estimate.read(found)
    return NONE if told is None else told.text(decimals_for(told.ends) if decimals is None else decimals)


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- written by python -m benchmarks choosing: {name} -->", f"<!-- end of {name} -->"


def with_lines(text: str, lines: Mapping[str, Sequence[str]]) -> str:
    """The page with the lines of each comparison between its two marks. Raises: BenchmarkError, where it has none."""
    for name, own in lines.items():
        text = between(text, _marks(name), own, f"{FILE}: the marks are missing, between which {name} stands")
    return text
