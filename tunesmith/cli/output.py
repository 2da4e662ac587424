"""Where a command's words go: one JSON document or text on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tunesmith.core.errors import TunesmithError, one_line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "BudgetUsdOption",
    "JsonOption",
    "Overrides",
    "SkipInvalidOption",
    "console",
    "error_document",
    "json_only",
    "print_json",
    "print_left_out",
    "with_skip_invalid",
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; everything else goes to stderr.")]

_MOST_LEFT_OUT = 5
"""Of what was left out, that is named."""

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to the recipe: train.epochs=3, data.columns.text=review.", show_default=False),
]


SkipInvalidOption = Annotated[
    bool,
    typer.Option("--skip-invalid", help="Leave out rows that are broken or make no example, and count them; else the first is an error."),
]


BudgetUsdOption = Annotated[
    float | None,
    typer.Option(
        "--budget-usd",
        metavar="USD",
        help="The most that models behind endpoints may cost, in US dollars; `budget_usd` of the recipe.",
        show_default=False,
    ),
]


def with_skip_invalid(overrides: Sequence[str] | None, skip_invalid: bool) -> Sequence[str]:
    """The overrides of a recipe, and what `--skip-invalid` stands for."""
    return [*(overrides or ()), *(["data.skip_invalid=true"] if skip_invalid else [])]


def console(*, stderr: bool = False) -> Console:
    """A rich console that leaves text as it is: no highlighting, no markup. Where nobody's terminal sets a width, tables get a wide one."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 140
    colors: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"  # rich alone would leave bold
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True, width=width, color_system=colors)


@contextlib.contextmanager
def json_only(wanted: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Send what the block prints to stderr, and yield the function that prints the one document; where not `wanted`, it prints nothing."""
    if not wanted:
        yield lambda document: None
        return
    stdout = sys.stdout

    def write(document: Mapping[str, Any]) -> None:
        stdout.write(_json(document))
        stdout.flush()

    with contextlib.redirect_stdout(sys.stderr):
        yield write


def print_json(document: Mapping[str, Any]) -> None:
    """Print a JSON document on stdout."""
    sys.stdout.write(_json(document))


def print_left_out(left_out: Mapping[str, str]) -> None:
    """Name -> why, a line each for the first; the rest is counted."""
    out = console()
    for name, why in list(left_out.items())[:_MOST_LEFT_OUT]:
        out.print(f"left out: {name}: {why}", style="dim", soft_wrap=True)
    if len(left_out) > _MOST_LEFT_OUT:
        out.print(f"left out: {len(left_out) - _MOST_LEFT_OUT:,} more; --json names all", style="dim")


def error_document(error: TunesmithError) -> dict[str, Any]:
    """What stands on stdout where a command with `--json` fails."""
    return {
        "schema": "tunesmith/error/1",
        "error": {"kind": type(error).__name__, "message": one_line(error), "exit_code": error.exit_code},
    }


def _json(document: Mapping[str, Any]) -> str:
    from tunesmith.core.files import finite

    return json.dumps(finite(dict(document)), indent=1, ensure_ascii=False, default=str) + "\n"
