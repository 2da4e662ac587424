"""`tunesmith index`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.output import JsonOption, console, json_only, print_left_out
from tunesmith.core.errors import UsageError

__all__ = ["index"]


_Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder of documents (text, markdown, HTML, Word, PDF, mail; tables, a row each), a file, or a source of texts such as python-reference.",
    ),
]
_Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", help="The sentence encoder that makes the vectors; default: as before, else minilm-l6.", show_default=False
    ),
]
_PassageTokens = Annotated[
    int | None, typer.Option(min=16, metavar="N", help="So long a passage is at most; default: as before, else 200.", show_default=False)
]
_OverlapTokens = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="So much of it the next one repeats at most; default: as before, else 40.", show_default=False),
]
_User = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Whose documents these are: nobody else's questions find them. The index is there already.", show_default=False
    ),
]


def index(
    source: _Source,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the index lies; without it SOURCE's name with .index, here.", show_default=False),
    ] = None,
    model: _Model = None,
    passage_tokens: _PassageTokens = None,
    overlap_tokens: _OverlapTokens = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make it anew, with other settings.")] = False,
    user: _User = None,
    profile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --user: a text on that person, which their requests show.", show_default=False)
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and bring it up to date when a file changes; Ctrl-C ends.")] = False,
    json: JsonOption = False,
) -> None:
    """Make an index of documents, to `ask` questions of, or bring it up to date.

    Documents are cut into passages along their headings, paragraphs and sentences. The same command again reads only what has changed.
    """
    if profile is not None and user is None:
        raise UsageError("--profile: whose? Add --user NAME.")
    with json_only(json) as write_document:
        from tunesmith.app.index_build import build_index
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
                    user=user,
                    profile=None if profile is None else _text(profile),
                    progress=progress,
                )
            rebuild = False
            write_document(made)
            if not json:
                _print(made)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--profile {file}: cannot be read ({error}). Expected a text in UTF-8.") from None


def _print(made: Mapping[str, Any]) -> None:
    out = console()
    parts = [f"{made[what]:,} {what}" for what in ("added", "changed", "removed", "unchanged") if made[what]]
    whose = f", of {made['user']}" if made["user"] is not None else ""
    out.print(
        f"{made['index']}{whose}: {made['documents']:,} documents, {made['passages']:,} passages ({', '.join(parts)})", soft_wrap=True
    )
    print_left_out(made["left_out"])
