"""`tunesmith advise`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.completion import recipes
from tunesmith.cli.output import JsonOption, Overrides, SkipInvalidOption, console, json_only, with_skip_invalid
from tunesmith.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from tunesmith.comparison.advice import Want
    from tunesmith.report.advice import AdvisedRow

__all__ = ["advise"]


def advise(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with tunesmith.", autocompletion=recipes)],
    overrides: Overrides = None,
    want: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="What the model is to get: knowledge (what it does not know yet), behaviour (a task, a form, a tone) or changing-facts. Asked on a terminal; else behaviour is assumed.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How long the comparison may take, as 90s, 20m or 1.5h; `budget` of the recipe.", show_default=False
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", metavar="FILE", help="Write the recipe of the comparison there, in place of printing it.", show_default=False
        ),
    ] = None,
    no_probe: Annotated[
        bool,
        typer.Option(
            "--no-probe", help="Measure nothing: time and memory are predicted where an earlier probe knows this model on this machine."
        ),
    ] = False,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Say what fits this machine, what each way to adapt the model would take, and which are worth comparing, before anything runs.

    Memory and times are predictions, from a probe of some ten seconds with your model and rows, which is kept. Each reason names its source: a paper, or an earlier comparison of yours.
    """
    from tunesmith.core.garbage import never_collected
    from tunesmith.recipe import load

    wanted = _checked(want)
    _check_file(write)
    loaded = load(recipe, [*with_skip_invalid(overrides, skip_invalid), *([f"budget={budget}"] if budget is not None else [])])
    if wanted is None and sys.stdin.isatty() and not json:
        wanted = _asked()
    with json_only(json) as write_document:
        with never_collected():
            from tunesmith.app.advise import advise as advise_now
            from tunesmith.cli.progress import Progress
            from tunesmith.core.files import write_text

        with Progress() as progress:
            document = advise_now(loaded, want=wanted, probes=not no_probe, progress=progress)
        if write is not None:
            write_text(write, document["recipe"])
        write_document(document)
        if not json:
            _print(document, write)


def _checked(want: str | None) -> Want | None:
    """Raises: UsageError, for what nobody can want."""
    from tunesmith.comparison.advice import WANTS

    known = next((one for one in WANTS if one == want), None)
    if want is not None and known is None:
        raise UsageError(f"--want: {want}: expected one of {', '.join(WANTS)}.")
    return known


def _check_file(write: Path | None) -> None:
    """Raises: UsageError, before anything is read."""
    if write is not None and write.exists():
        raise UsageError(f"--write: {write} exists already. Name another file.")
    if write is not None and not write.absolute().parent.is_dir():
        raise UsageError(f"--write: {write.absolute().parent}: no such folder.")


def _asked() -> Want:
    from tunesmith.comparison.advice import WANTS

    out = console(stderr=True)
    out.print("What is wanted?")
    for place, text in enumerate(WANTS.values(), start=1):
        out.print(f"  {place}  {text}")
    number: int = typer.prompt("1, 2 or 3", type=int, err=True)
    if not 1 <= number <= len(WANTS):
        raise UsageError(f"expected 1, 2 or 3, found {number}. Or say it on the command line: --want behaviour.")
    return list(WANTS)[number - 1]


def _print(document: Mapping[str, Any], write: Path | None) -> None:
    """What it rests on, the arms, why, what does not apply, and the comparison to run."""
    from tunesmith.cli.tables import first_that_fits
    from tunesmith.report.advice import advice_notes, read_advice

    out, rows = console(), read_advice(document)
    out.print()
    for note in advice_notes(document):
        out.print(note, soft_wrap=False)
    out.print()
    out.print(first_that_fits((_table(rows, columns) for columns in (_ALL, _SOME, _FEW)), out.width))
    for row in rows:
        for reason in row.reasons:
            out.print(f"{row.name}: {reason}", soft_wrap=False)
    for name, why in document["left_out"].items():
        out.print(f"{name}: does not apply: {why}", style="dim", soft_wrap=False)
    out.print()
    if write is None:
        out.print(document["recipe"], end="")
        out.print("\nWith --write FILE it is written; then: tunesmith compare FILE", style="bold")
    else:
        out.print(f"written: {write}\ntunesmith compare {shlex.quote(str(write))}", style="bold")


_ALL = ("fits", "predicted memory", "training", "in all", "disk")
_SOME = ("fits", "predicted memory", "in all")
_FEW = ("in all",)


def _table(rows: list[AdvisedRow], columns: tuple[str, ...]) -> Table:
    from tunesmith.cli.tables import make_table

    titles = {"training": "predicted training", "in all": "predicted time", "disk": "predicted disk"}
    table = make_table("arm", "", *(titles.get(name, name) for name in columns), numbers_from=2)
    for row in rows:
        cells = {"fits": row.fits, "predicted memory": row.memory, "training": row.training, "in all": row.total, "disk": row.disk}
        table.add_row(row.name, row.advice, *(cells[name] for name in columns))
    return table
