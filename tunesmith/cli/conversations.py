"""`tunesmith conversations`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["conversations"]


def conversations(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of a language model that answers.", autocompletion=complete_runs)],
    facts: Annotated[int, typer.Option("--facts", min=1, metavar="N", help="Facts that are asked for at each distance and depth.")] = 64,
    tokens: Annotated[
        int, typer.Option("--tokens", min=64, max=8192, metavar="N", help="Tokens of the contexts in which facts are looked for by depth.")
    ] = 1024,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="So many test conversations at most.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other facts.")] = 0,
    json: JsonOption = False,
) -> None:
    """How well base and tuned model hold a conversation together: each turn of the test conversations, and facts that were stated turns ago.

    Facts are small, of English, and made up: they are stated, and asked for 0 to 16 exchanges later, and at five depths of a long context.
    """
    from tunesmith.core.run import find_run

    found = find_run(run)
    with json_only(json) as write_document:
        from tunesmith.app.conversations import measure_conversations
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            measured = measure_conversations(found, facts=facts, tokens=tokens, limit=limit, seed=seed, progress=progress)
        write_document(measured)
        if not json:
            _print(measured)
            console().print(f"Report: {found.report_html}", soft_wrap=True)


def _print(measured: Mapping[str, Any]) -> None:
    from tunesmith.cli.tables import make_table
    from tunesmith.report.conversations import read_conversations
    from tunesmith.report.numbers import MISSING, count
    from tunesmith.report.results import metric_title

    out, read = console(), read_conversations(measured)
    assert read is not None
    for part in read.parts:
        out.print(f"\n{part.title}: {metric_title(part.metric)}", style="bold")
        table = make_table("", "rows", "base", "tuned", "difference", "can be seen", "p", numbers_from=1)
        for name, _, c in part.rows:
            sides = (one.text(c.decimals) if one else MISSING for one in (c.base, c.tuned))
            change = c.difference.change_text(c.decimals) if c.difference else MISSING
            table.add_row(name, count(c.rows or 0), *sides, change, c.detectable_text, c.p_text)
        out.print(table, soft_wrap=False)
    if read.cut:
        out.print(read.cut, soft_wrap=True)
    for why in read.left_out:
        out.print(f"Not measured: {why}", soft_wrap=True)
