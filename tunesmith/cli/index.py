"""`tunesmith index`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["index"]

_MOST_LEFT_OUT = 5
"""Files that are named; the rest is counted."""


def index(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of documents (text, markdown, HTML, Word, PDF, mail; tables, a row each), a file, or a source of texts such as python-reference.",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the index lies; without it SOURCE's name with .index, here.", show_default=False),
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="The sentence encoder that makes the vectors.")] = "minilm-l6",
    passage_tokens: Annotated[int, typer.Option(min=16, metavar="N", help="So long a passage is at most.")] = 200,
    overlap_tokens: Annotated[int, typer.Option(min=0, metavar="N", help="So much of it the next one repeats at most.")] = 40,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make it anew, with other settings.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and bring it up to date when a file changes; Ctrl-C ends.")] = False,
    json: JsonOption = False,
) -> None:
    """Make an index of documents, to `ask` questions of, or bring it up to date.

    Documents are cut into passages along their headings, paragraphs and sentences. The same command again reads only what has changed.
    """
    with json_only(json) as write_document:
        from tunesmith.app.index import build_index
        from tunesmith.app.watch import changes
        from tunesmith.cli.progress import Progress

        for _ in changes(source) if watch else (None,):
            with Progress() as progress:
                made = build_index(
                    source,
                    to,
                    model=model,
                    passage_tokens=passage_tokens,
                    overlap_tokens=overlap_tokens,
                    rebuild=rebuild,
                    progress=progress,
                )
            rebuild = False
            write_document(made)
            if not json:
                _print(made)


def _print(made: Mapping[str, Any]) -> None:
    out = console()
    parts = [f"{made[what]:,} {what}" for what in ("added", "changed", "removed", "unchanged") if made[what]]
    out.print(f"{made['index']}: {made['documents']:,} documents, {made['passages']:,} passages ({', '.join(parts)})", soft_wrap=True)
    left_out = list(made["left_out"].items())
    for name, why in left_out[:_MOST_LEFT_OUT]:
        out.print(f"left out: {name}: {why}", style="dim", soft_wrap=True)
    if len(left_out) > _MOST_LEFT_OUT:
        out.print(f"left out: {len(left_out) - _MOST_LEFT_OUT:,} more; --json names all", style="dim")
