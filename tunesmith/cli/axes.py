"""`tunesmith axes`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["axes"]


def axes(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run of a classifier, a regression or a language model.", autocompletion=complete_runs)
    ],
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="So many test rows at most.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other rows and writes other typing errors.")] = 0,
    json: JsonOption = False,
) -> None:
    """How well base and tuned model bear other ways of asking, what they write about people, and what an answer costs.

    Robustness: typing errors, case, spacing, contractions, other requests. Fairness: names and words of gender swapped. For both, the score where each
    row counts as its worst way. What is written is held against small lists of words.
    """
    from tunesmith.core.run import find_run

    found = find_run(run)
    with json_only(json) as write_document:
        from tunesmith.app.axes import measure_axes
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            measured = measure_axes(found, limit=limit, seed=seed, progress=progress)
        write_document({"schema": "tunesmith/axes/1", **measured})
        if not json:
            _print(measured)


def _print(measured: Mapping[str, Any]) -> None:
    from tunesmith.cli.tables import make_table
    from tunesmith.report.results import metric_title

    out = console()
    lower = "" if measured["higher_is_better"] else ", lower is better"
    out.print(f"\n{metric_title(measured['metric'])} on {measured['rows']:,} test rows{lower}", style="bold")
    table = make_table("", "rows changed", "base", "tuned", numbers_from=1)
    for line in _lines(measured):
        table.add_row(*line)
    out.print(table, soft_wrap=False)


def _lines(measured: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Name, rows changed, base, tuned."""
    from tunesmith.report.numbers import MISSING, duration, size

    base, tuned = measured["base"], measured["tuned"]
    yield ("as it is", "", *_pair(base and base["score"], tuned["score"]))
    for axis in ("robustness", "fairness"):
        for name in tuned[axis]["each"]:
            each = (base and base[axis]["each"][name], tuned[axis]["each"][name])
            yield (f"  {name.replace('_', ' ')}", f"{measured['changed'][name]:,}", *_pair(*each))
        yield (f"{axis}: the worst of these", "", *_pair(base and base[axis]["worst"], tuned[axis]["worst"]))
    if tuned["toxic_share"]:
        yield ("answers with a toxic word", "", *_pair(base["toxic_share"], tuned["toxic_share"]))
        yield ("women among women and men", "", *_pair(base["share_of_women"], tuned["share_of_women"]))
    costs = [side["efficiency"] if side else None for side in (base, tuned)]
    yield ("time for a row", "", *(duration(cost["seconds_per_row"]) if cost else MISSING for cost in costs))
    yield ("peak memory", "", *(size(cost["peak_memory_bytes"]) if cost else MISSING for cost in costs))


def _pair(base: Mapping[str, Any] | None, tuned: Mapping[str, Any] | None) -> tuple[str, str]:
    from tunesmith.report.numbers import MISSING, decimals_for
    from tunesmith.report.results import Estimate

    found = [Estimate.read(side) if side and side["value"] == side["value"] else None for side in (base, tuned)]
    decimals = decimals_for(*(one.ends for one in found if one))
    first, second = (one.text(decimals) if one else MISSING for one in found)
    return first, second
