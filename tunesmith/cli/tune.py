"""`tunesmith tune`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.completion import recipes
from tunesmith.cli.output import BudgetUsdOption, JsonOption, Overrides, SkipInvalidOption, json_only, with_skip_invalid
from tunesmith.core.errors import UsageError

if TYPE_CHECKING:
    from tunesmith.recipe import Recipe

__all__ = ["tune"]


def tune(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with tunesmith.", autocompletion=recipes)],
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the resolved recipe and the plan.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Train with N seeds, the recipe's and those that follow it, and give mean and spread.", show_default=False
        ),
    ] = None,
    curve: Annotated[
        str | None,
        typer.Option(
            metavar="PARTS",
            help="Train on growing parts of the training rows, as 0.1,0.3,1.0, and say what more data gives.",
            show_default=False,
        ),
    ] = None,
    budget_usd: BudgetUsdOption = None,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Train a model on your data, and measure it before and after on data that it has not seen.

    Writes a run folder with what was trained, predictions and a report. With --seeds or --curve it is a folder of several runs and what they say
    together; the same command goes on with one that was interrupted. A recipe with stages is run stage by stage, each a run of its own.
    """
    from tunesmith.recipe import is_chain, load

    money = [] if budget_usd is None else [f"budget_usd={budget_usd}"]
    changes = [*with_skip_invalid(overrides, skip_invalid), *money]
    if is_chain(recipe):
        _tune_chain(recipe, changes, json, {"--dry-run": dry_run, "--seeds": seeds is not None, "--curve": curve is not None})
        return
    loaded = load(recipe, changes)
    if dry_run and (seeds is not None or curve is not None):
        raise UsageError("--dry-run: plans a single run. Leave out --seeds and --curve.")
    if seeds is not None or curve is not None:
        _tune_group(loaded, seeds, curve, json)
        return
    _tune_one(loaded, dry_run, json)


def _tune_one(loaded: Recipe, dry_run: bool, json: bool) -> None:
    from tunesmith.core.garbage import never_collected

    with json_only(json) as write_document:
        with never_collected():
            from tunesmith.app.tune import plan
            from tunesmith.app.tune import tune as tune_now
            from tunesmith.cli import tables
            from tunesmith.cli.progress import Progress
            from tunesmith.core.run import RunDirectory

        if dry_run:
            planned = plan(loaded).to_dict()
            write_document(planned)
            if not json:
                tables.print_plan(loaded, planned)
            return
        with Progress() as progress:
            run = RunDirectory(tune_now(loaded, progress=progress).path)
        report = run.read_json(run.report_json)
        write_document(report)
        if not json:
            tables.print_report(report, run)


def _tune_chain(recipe: str, changes: list[str], json: bool, of_single_recipes: Mapping[str, bool]) -> None:
    """`of_single_recipes`: options for these alone, and whether each was given."""
    option = next((name for name, is_given in of_single_recipes.items() if is_given), None)
    if option is not None:
        raise UsageError(f"{option}: is for a single recipe, and {recipe} is a chain of them. Leave it out, or name a stage's recipe.")
    from tunesmith.core.garbage import never_collected
    from tunesmith.recipe import load_chain

    chain = load_chain(recipe, changes)
    with json_only(json) as write_document:
        with never_collected():
            from tunesmith.app.chain import tune_chain
            from tunesmith.cli.group_tables import print_chain
            from tunesmith.cli.progress import Progress

        with Progress() as progress:
            group = tune_chain(chain, progress=progress)
        write_document(group.report)
        if not json:
            print_chain(group.report, group.directory)


def _tune_group(recipe: Recipe, seeds: int | None, curve: str | None, json: bool) -> None:
    from tunesmith.core.garbage import never_collected

    if seeds is not None and curve is not None:
        raise UsageError("--curve: stands beside --seeds. Leave one of them out.")
    with json_only(json) as write_document:
        with never_collected():
            from tunesmith.app.group import tune_curve, tune_seeds
            from tunesmith.cli import group_tables
            from tunesmith.cli.progress import Progress

        with Progress() as progress:
            if curve is not None:
                group = tune_curve(recipe, _parts(curve), progress=progress)
            else:
                group = tune_seeds(recipe, seeds or 0, progress=progress)
        write_document(group.report)
        if not json:
            group_tables.print_group(group.report, group.directory)


def _parts(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--curve: {text}: expected numbers parted by commas, such as 0.1,0.3,1.0.") from None
