"""`tunesmith judge`: let a model say which answers are better, and see how far it agrees with people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["app"]

app = typer.Typer(help="Let a model say which answers are better, and see how far it agrees with people.", no_args_is_help=True)

_ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="JUDGE",
        help="Who judges: openai:NAME@URL (its key is read from OPENAI_API_KEY), an alias, a hub id, a folder, run:ID.",
    ),
]
_PaceOption = Annotated[
    int | None, typer.Option("--requests-per-minute", min=1, metavar="N", help="The most that an endpoint is sent.", show_default=False)
]
_LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="So many pairs at most.", show_default=False)]


@app.command()
def compare(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of a language model.", autocompletion=complete_runs)],
    model: _ModelOption,
    against: Annotated[
        str | None, typer.Argument(metavar="OTHER", help="Another run; without it, the run's base.", autocompletion=complete_runs)
    ] = None,
    limit: _LimitOption = None,
    requests_per_minute: _PaceOption = None,
    json: JsonOption = False,
) -> None:
    """Which model's answers to the test prompts are better: those of a run, or of its base or another run? Each pair is asked in both orders."""
    from tunesmith.core.run import find_run

    mine, other = find_run(run), find_run(against) if against else None
    with json_only(json) as write_document:
        from tunesmith.app.judge_compare import compare_runs
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            found = compare_runs(mine, other, model, limit=limit, requests_per_minute=requests_per_minute, progress=progress)
        write_document({"schema": "tunesmith/judge/1", **found})
        if not json:
            from tunesmith.cli import tables
            from tunesmith.report.judgement import judgement_facts

            console().print(f"\n{found['second']} against {found['first']}", style="bold")
            tables.print_facts(dict(judgement_facts(found)))


@app.command()
def check(
    data: Annotated[
        str, typer.Argument(metavar="FILE", help="Pairs that people have judged: instruction, input, response1, response2, annotator1, ...")
    ],
    model: _ModelOption,
    limit: _LimitOption = None,
    seed: Annotated[int, typer.Option(min=0, help="With --limit, another seed draws other pairs.")] = 0,
    requests_per_minute: _PaceOption = None,
    json: JsonOption = False,
) -> None:
    """How far does a judge agree with people? The answer is kept, and stands beside every win rate of that judge."""
    with json_only(json) as write_document:
        from tunesmith.app.judge_check import check_judge
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            found = check_judge(data, model, limit=limit, seed=seed, requests_per_minute=requests_per_minute, progress=progress)
        write_document({"schema": "tunesmith/judge-check/1", **found})
        if not json:
            _print_check(found)


def _print_check(found: Mapping[str, Any]) -> None:
    from tunesmith.cli import tables
    from tunesmith.report.judgement import check_facts

    console().print()
    tables.print_facts(dict(check_facts(found)))
