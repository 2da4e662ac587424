"""`tunesmith data check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.completion import recipes
from tunesmith.cli.output import JsonOption, Overrides, console, json_only

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["check", "print_check"]

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


_EmbedOption = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Look for the shift in this model's vectors of the texts, too: minilm-l6.", show_default=False),
]


def check(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE|RECIPE", help="A file, folder, alias or hub id; or a recipe, whose splits are checked.", autocompletion=recipes
        ),
    ],
    overrides: Overrides = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Count this model's tokens; without it, the recipe's.", show_default=False)
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="Data of which nothing should stand in training. Can be given again.", show_default=False),
    ] = None,
    shift: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE", help="Data that the model is to meet: how far is it from training? Can be given again.", show_default=False
        ),
    ] = None,
    embed: _EmbedOption = None,
    near: Annotated[float, typer.Option(min=0.3, max=1.0, help="Similarity from which texts are nearly the same.")] = 0.8,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page.", show_default=False)] = None,
    fix: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a cleaned copy and what was left out of it.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the page and the cleaned copy where they exist.")] = False,
    json: JsonOption = False,
) -> None:
    """Look for what is wrong with data before anything is trained on it: rows that cannot be read, lengths, labels, copies, leaks, encoding, personal data, domain shift.

    Exit code 1 where errors were found; warnings and notes leave it at 0. What looks personal is shown masked.
    """
    if not force:
        _refuse_existing(html, "file")
        _refuse_existing(fix, "folder")
    with json_only(json) as write_document:
        from tunesmith.app.check import check_data

        checked = check_data(source, overrides or (), model=model, against=against or (), shifts=shift or (), near=near, embed=embed)
        document = checked.report.to_dict()
        if fix is not None:
            from tunesmith.data.cleaning import write_cleaned

            document["cleaned"] = write_cleaned(fix, checked.readings, checked.report.findings, replace=force).to_dict()
        if html is not None:
            from tunesmith.core.files import write_text
            from tunesmith.report import check_page

            write_text(html, check_page(document))
        write_document(document)
        if not json:
            print_check(document)
            if html is not None:
                console().print(f"report: {html}", style="bold")
    if document["counts"]["num_errors"]:
        raise typer.Exit(1)


def _refuse_existing(path: Path | None, kind: str) -> None:
    from tunesmith.core.errors import UsageError

    if path is not None and path.exists():
        raise UsageError(f"{path}: exists already. Choose another {kind}, or replace it with --force.")


def print_check(document: Mapping[str, Any]) -> None:
    """The splits, what was found, the worst first, and the shifts."""
    out = console()
    out.print()
    _print_splits(out, document)
    for note in document["notes"]:
        out.print(f"note: {note}", style="dim", soft_wrap=False)
    for found in document["findings"]:
        _print_finding(out, found)
    for shift in document["shifts"]:
        _print_shift(out, shift)
    counts = {name.removeprefix("num_").removesuffix("s"): count for name, count in document["counts"].items()}
    said = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    worst = next((name for name, count in counts.items() if count), None)
    out.print(f"\n{said}", style=_STYLES[worst] if worst else "green")
    cleaned = document.get("cleaned")
    if cleaned:
        files = ", ".join(cleaned["files"].values())
        out.print(
            f"cleaned copy: {cleaned['folder']} ({files}): {cleaned['num_kept']:,} rows kept, {cleaned['num_repaired']:,} of them mended, "
            f"{cleaned['num_quarantined']:,} in quarantine.jsonl",
            style="bold",
            soft_wrap=False,
        )


def _print_splits(out: Console, document: Mapping[str, Any]) -> None:
    from tunesmith.cli.tables import make_table

    splits = document["splits"]
    has_tokens = any(facts["lengths"] for facts in splits.values())
    has_words = any(facts["fertility"] for facts in splits.values())
    columns = ["rows", "characters", *(["median", "95 %", "longest", "too long"] if has_tokens else [])]
    columns += ["tokens/word", "tokens/byte", "whole words"] if has_words else []
    table = make_table("split", *columns, numbers_from=1)
    for name, facts in splits.items():
        lengths = facts["lengths"] or {}
        measured = [f"{lengths[key]:,}" if lengths else "–" for key in ("median", "p95", "max", "num_over")] if has_tokens else []
        table.add_row(name, f"{facts['rows']:,}", f"{facts['characters']:,}", *measured, *(_fertility(facts) if has_words else ()))
    if has_tokens:
        context = next(facts["lengths"]["context"] for facts in splits.values() if facts["lengths"])
        out.print(f"{document['source']}, lengths in tokens of {document['model']}, which takes {context:,}", style="bold")
    else:
        out.print(document["source"], style="bold")
    out.print(table, soft_wrap=False)
    for title, key in (("labels", "labels"), ("languages", "languages")):
        for name, facts in splits.items():
            if facts[key]:
                out.print(f"{title} of {name}: {_shares(facts[key])}", soft_wrap=False)


def _fertility(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """How finely the tokenizer cuts a split's words."""
    of = facts["fertility"]
    if not of:
        return "–", "–", "–"
    return f"{of['tokens_per_word']:.2f}", f"{of['tokens_per_byte']:.3f}", f"{of['whole_words']:.0%}"


def _shares(counts: Mapping[str, int], most: int = 8) -> str:
    total = sum(counts.values())
    first = sorted(counts.items(), key=lambda item: -item[1])[:most]
    rest = len(counts) - len(first)
    return ", ".join(f"{name} {count:,} ({count / total:.1%})" for name, count in first) + (f", {rest} more" if rest else "")


def _print_finding(out: Console, found: Mapping[str, Any]) -> None:
    from rich.text import Text

    title = Text.assemble((f"\n{found['severity']}", _STYLES[found["severity"]]), (f"  {found['check']}", "bold"), f"  {found['text']}")
    out.print(title, soft_wrap=False)
    for place in found["examples"][:3]:
        other = f" = {place['other']}" if place["other"] else ""
        out.print(f"  {place['file']}:{place['row']}{other}  {place['text']}", style="dim")


def _print_shift(out: Console, shift: Mapping[str, Any]) -> None:
    from tunesmith.cli.tables import make_table

    first, other, auc = shift["first"], shift["other"], shift["auc"]
    out.print(f"\nshift from {first} ({shift['num_first']:,} texts) to {other} ({shift['num_other']:,})", style="bold")
    table = make_table("", "", numbers_from=1, header=False)
    table.add_row("AUC of telling them apart", f"{auc['value']:.3f} ({auc['low']:.3f}–{auc['high']:.3f})")
    embedded = shift["embedded"]
    if embedded:
        area = embedded["auc"]
        table.add_row(f"the same by the vectors of {embedded['model']}", f"{area['value']:.3f} ({area['low']:.3f}–{area['high']:.3f})")
    risk = shift["at_risk"]
    if risk:
        rows = [
            (f"accuracy of a classifier of words, learned from {first}, on {first}", risk["own"]),
            (f"the same on {other}", risk["other"]),
            ("at risk", risk["fall"]),
            (f"learned from {other}, on {other}", risk["reachable"]),
            (f"learned from {first} and {risk['num_repair']} rows of {other}, on the rest of {other}", risk["repaired"]),
        ]
        for title, measured in rows:
            if measured:
                table.add_row(title, f"{measured['value']:.3f} ({measured['low']:.3f} to {measured['high']:.3f})")
        table.add_row(f"always saying the commonest label of {other}", f"{risk['majority']:.3f}")
    out.print(table, soft_wrap=False)
    for name, key in ((first, "words_of_first"), (other, "words_of_other")):
        out.print(f"words that tell {name}: {_words(shift[key])}", soft_wrap=False)
    for name, key in ((first, "texts_of_first"), (other, "texts_of_other")) if embedded else ():
        out.print(f"texts furthest on the side of {name}:", soft_wrap=False)
        for place in embedded[key]:
            out.print(f"  {place['file']}:{place['row']}  {place['text']}", style="dim")


def _words(telling: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['word']} ({one['share']:.0%} against {one['share_elsewhere']:.0%})" for one in telling) or "none"
