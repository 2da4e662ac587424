"""`tunesmith runs`: what was trained before."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, json_only, print_json

__all__ = ["app"]

app = typer.Typer(help="List, show, resume and remove runs.", no_args_is_help=True)

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or its folder.", autocompletion=complete_runs)
]


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the runs in `runs/`, oldest first."""
    from tunesmith.core.run import list_runs

    found: list[dict[str, Any]] = []
    for run in list_runs():
        report = run.read_json(run.report_json) if run.report_json.exists() else {}
        found.append(
            {
                "run": run.id,
                "directory": str(run.path),
                "status": run.status,
                "task": report.get("task"),
                "metrics": report.get("metrics", {}),
            }
        )
    if json:
        print_json({"schema": "tunesmith/runs/1", "runs": found})
        return
    from tunesmith.cli import tables

    tables.print_runs(found)


@app.command()
def show(run: RunArgument, json: JsonOption = False) -> None:
    """Show what a run measured, and where its report is."""
    from tunesmith.core.run import find_run

    found = find_run(run)
    report = found.read_json(found.report_json)
    if json:
        print_json(report)
        return
    from tunesmith.cli import tables

    tables.print_report(report, found)


@app.command()
def score(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Ids, beginnings of ids, or folders: one a task.", autocompletion=complete_runs)
    ],
    json: JsonOption = False,
) -> None:
    """Put runs of the tasks of GLUE, or of SuperGLUE, together to the benchmark's score: task by task, the average, and what is missing."""
    from tunesmith.app.scoring import score_runs

    found = score_runs(runs)
    if json:
        print_json(found)
        return
    from tunesmith.cli import tables

    tables.print_score(found)


@app.command()
def resume(run: RunArgument, json: JsonOption = False) -> None:
    """Go on with a run that was interrupted, from its last checkpoint."""
    from tunesmith.core.run import find_run

    found = find_run(run)
    with json_only(json) as write_document:
        from tunesmith.app.tune import resume as resume_now
        from tunesmith.cli import tables
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            resume_now(found.path, progress=progress)
        report = found.read_json(found.report_json)
        write_document(report)
        if not json:
            tables.print_report(report, found)


@app.command()
def rm(run: RunArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove a run's folder with everything in it."""
    import shutil
    import sys

    from tunesmith.core.errors import UsageError
    from tunesmith.core.run import find_run

    found = find_run(run)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{found.path}: not removed: nobody is there to ask. Add --yes.")
        typer.confirm(f"Remove {found.path} and everything in it?", abort=True, err=True)
    shutil.rmtree(found.path)
    typer.echo(f"removed {found.path}", err=True)
