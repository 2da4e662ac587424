"""`tunesmith runs`: what was trained before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, json_only, print_json

if TYPE_CHECKING:
    from tunesmith.core.run import GroupDirectory, RunDirectory

__all__ = ["app"]

app = typer.Typer(help="List, show, compare, resume and remove runs.", no_args_is_help=True)

RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The id of a run or a group, the beginning of one, or its folder.", autocompletion=complete_runs),
]


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the runs and the groups of runs in `runs/`, oldest first."""
    from tunesmith.core.run import list_groups, list_runs

    found: list[dict[str, Any]] = []
    for run in list_runs():
        report = run.read_json(run.report_json) if run.report_json.exists() else {}
        found.append(
            {
                "run": run.id,
                "directory": str(run.path),
                "status": run.status,
                "task": report.get("task"),
                "context": report.get("context"),
                "metrics": report.get("metrics", {}),
            }
        )
    groups: list[dict[str, Any]] = []
    for group in list_groups():
        said = group.read_json(group.group_json) if group.group_json.exists() else {}
        groups.append(
            {
                "group": group.id,
                "directory": str(group.path),
                "status": group.status,
                "kind": group.kind,
                "runs": [run.id for run in group.members],
                "task": said.get("task"),
                "metrics": said.get("metrics", {}),
                **{key: said[key] for key in ("metric", "higher_is_better", "arms", "verdict") if key in said},
            }
        )
    if json:
        print_json({"schema": "tunesmith/runs/1", "runs": found, "groups": groups})
        return
    from tunesmith.cli import tables

    tables.print_runs(found, groups)


@app.command()
def show(run: RunArgument, json: JsonOption = False) -> None:
    """Show what a run, or a group of runs, measured, and where its report is."""
    from tunesmith.core.run import GroupDirectory, find

    found = find(run)
    document = found.read_json(found.group_json if isinstance(found, GroupDirectory) else found.report_json)
    if json:
        print_json(document)
        return
    _print(document, found)


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
    """Go on with a run that was interrupted, from its last checkpoint, or with a group of runs."""
    from tunesmith.core.run import GroupDirectory, find

    found = find(run)
    with json_only(json) as write_document:
        from tunesmith.app.chain import resume_chain
        from tunesmith.app.compare import resume_comparison
        from tunesmith.app.group import resume_group
        from tunesmith.app.tune import resume as resume_now
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            if isinstance(found, GroupDirectory):
                going_on = {"arms": resume_comparison, "stages": resume_chain}.get(found.kind, resume_group)
                document = going_on(found, progress=progress).report
            else:
                document = resume_now(found.path, progress=progress).report
        write_document(document)
        if not json:
            _print(document, found)


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN", help="Two finished runs or more; the others are compared with the first.", autocompletion=complete_runs
        ),
    ],
    rows: Annotated[
        int, typer.Option(min=0, metavar="N", help="Also show N test rows that were answered otherwise, those first that got worse.")
    ] = 0,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write a page.", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Compare finished runs: metrics with paired differences, regressions first, answers side by side, recipes, costs."""
    from tunesmith.core.files import write_text
    from tunesmith.core.run import find_run

    with json_only(json) as write_document:
        from tunesmith.app.compare_runs import compare_runs
        from tunesmith.cli.compare_tables import print_compared
        from tunesmith.report.compared import compare_page

        document = compare_runs([find_run(run) for run in runs], num_rows=rows)
        if html is not None:
            write_text(html, compare_page(document))
        write_document(document)
        if not json:
            print_compared(document)


@app.command()
def mean(
    chains: Annotated[
        list[str],
        typer.Argument(metavar="CHAIN", help="Two runs or more of a chain, each with another seed.", autocompletion=complete_runs),
    ],
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which metric, of the stages that have it; else the first of each.", show_default=False),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="STAGE", help="Also what each stage's mean differs from that of this one.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """What the stages of a chain measured with several seeds, each run's value and the mean over them, with 95 % intervals."""
    with json_only(json) as write_document:
        from tunesmith.app.chain_means import chain_means
        from tunesmith.cli.group_tables import print_means
        from tunesmith.core.run import find

        document = chain_means([find(chain) for chain in chains], metric=metric, against=against)
        write_document(document)
        if not json:
            print_means(document)


@app.command()
def rm(run: RunArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove the folder of a run, or of a group with all of its runs."""
    import shutil
    import sys

    from tunesmith.core.errors import UsageError
    from tunesmith.core.run import GroupDirectory, find

    found = find(run)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{found.path}: not removed: nobody is there to ask. Add --yes.")
        what = f", a group of {len(found.runs)} runs," if isinstance(found, GroupDirectory) else ""
        typer.confirm(f"Remove {found.path}{what} and everything in it?", abort=True, err=True)
    shutil.rmtree(found.path)
    typer.echo(f"removed {found.path}", err=True)


def _print(document: Mapping[str, Any], directory: RunDirectory | GroupDirectory) -> None:
    from tunesmith.cli import group_tables, tables
    from tunesmith.cli.compare import print_comparison
    from tunesmith.core.run import GroupDirectory

    if isinstance(directory, GroupDirectory) and directory.kind == "arms":
        print_comparison(document, directory)
    elif isinstance(directory, GroupDirectory) and directory.kind == "stages":
        group_tables.print_chain(document, directory)
    elif isinstance(directory, GroupDirectory):
        group_tables.print_group(document, directory)
    else:
        tables.print_report(document, directory)
