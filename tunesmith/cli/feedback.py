"""`tunesmith feedback`: ask people which answers are better, see how far they agree, and make data of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, console, json_only

if TYPE_CHECKING:
    from tunesmith.app.feedback_collect import Sitting

__all__ = ["app"]

app = typer.Typer(help="Ask people which answers are better, see how far they agree, and make data of it.", no_args_is_help=True)

_STORE = "runs/feedback.sqlite"
_StoreOption = Annotated[
    str, typer.Option("--store", metavar="URL", help="Where judgements are kept: a file, or postgresql://USER@HOST/DATABASE.")
]


class _Kind(StrEnum):
    preference = "preference"
    ranked = "ranked"
    graded = "graded"


@app.command()
def collect(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="A run of a language model; without it, all prompts of the store.", autocompletion=complete_runs
        ),
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", metavar="NAME", help="Who judges; the login name, where not given.", show_default=False)
    ] = None,
    store: _StoreOption = _STORE,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many questions at most.", show_default=False)] = None,
    grade: Annotated[
        bool, typer.Option("--grade", help="Grade each answer from 1 to 5 on relevance, coherence and appropriateness, and compare none.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Which answer is better, that of a run's base or of its tuned model? Asks in the terminal, one key a judgement, and goes on where you left."""
    from tunesmith.core.run import find_run

    found = find_run(run) if run else None
    with json_only(json) as write_document:
        from tunesmith.app.feedback_collect import begin, login_name, run_items
        from tunesmith.app.interruption import Interruption
        from tunesmith.cli.feedback_screen import ask
        from tunesmith.core.errors import Interrupted
        from tunesmith.feedback import open_store

        with Interruption() as interruption:
            who = judge if judge is not None else login_name()
            items = run_items(found) if found else None
            opened = open_store(store, create=True)
            sitting = begin(opened, items, who, grade=grade, limit=limit, hold=interruption.held)
            try:
                ask(sitting, opened.name)
            except (Interrupted, KeyboardInterrupt):
                console().print()
                raise Interrupted(
                    f"interrupted; {_judgements(sitting)} kept in {opened.name}. The same command goes on from there."
                ) from None
        document = {
            "schema": "tunesmith/feedback-collect/1",
            "store": opened.name,
            "run": found.id if found else None,
            "judge": sitting.judge,
            "asks": "grades" if grade else "pairs",
            "judged_before": sitting.judged_before,
            "judged": sitting.session.count("judged"),
            "skipped": sitting.session.count("skipped"),
            "judged_elsewhere": sitting.session.count("judged elsewhere"),
            "left": sitting.left - sitting.session.count("judged") - sitting.session.count("judged elsewhere"),
            "same_answers": sitting.same_answers,
        }
        write_document(document)
        if not json:
            console().print(f"\n{_judgements(sitting)} kept in {opened.name}; {document['left']:,} left.", style="bold")


def _judgements(sitting: Sitting) -> str:
    count = sitting.session.count("judged")
    return f"{count:,} judgement{' is' if count == 1 else 's are'}"


@app.command()
def add(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Prompts with responses (docs/feedback.md), one a line of JSON.")],
    store: _StoreOption = _STORE,
    replace: Annotated[
        bool, typer.Option("--replace", help="Where a judge judged the same before, let what the file says count; the history is kept.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Add prompts with candidate responses, gold answers, and judgements that were made elsewhere. The whole file, or nothing of it."""
    with json_only(json) as write_document:
        from tunesmith.app.feedback_add import add_file

        added = add_file(file, store, replace=replace)
        write_document({"schema": "tunesmith/feedback-add/1", **added})
        if not json:
            from tunesmith.cli import tables

            tables.print_facts({name: value for name, value in added.items() if name not in ("file", "store")})
            console(stderr=True).print(f"to judge them: tunesmith feedback collect --store {added['store']}", style="dim")


@app.command("list")
def list_(store: _StoreOption = _STORE, json: JsonOption = False) -> None:
    """What is in a store: prompts, who judged how much, which models' answers were preferred."""
    with json_only(json) as write_document:
        from tunesmith.app.feedback_list import list_store

        found = list_store(store)
        write_document({"schema": "tunesmith/feedback-list/1", **found})
        if not json:
            from tunesmith.cli.feedback_tables import print_store

            print_store(found)


@app.command()
def agreement(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Pairs that people have judged, as `judge check` reads them; without it, the store's."),
    ] = None,
    store: _StoreOption = _STORE,
    json: JsonOption = False,
) -> None:
    """How far do judges agree? Krippendorff's alpha of all, Cohen's kappa of every two, and who answers gold questions right."""
    with json_only(json) as write_document:
        from tunesmith.app.feedback_agreement import agreement_of_file, agreement_of_store

        found = agreement_of_file(file) if file else agreement_of_store(store)
        write_document({"schema": "tunesmith/feedback-agreement/1", **found})
        if not json:
            from tunesmith.cli.feedback_tables import print_agreement

            print_agreement(found)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(metavar="OUT.jsonl", help="The file to write.")],
    kind: Annotated[
        _Kind,
        typer.Option(
            "--as", help="preference: pairs; ranked: lists; graded: a row a response, with mean grades.", metavar="preference|ranked|graded"
        ),
    ],
    store: _StoreOption = _STORE,
    min_gold: Annotated[
        float | None,
        typer.Option(
            "--min-gold",
            min=0,
            max=1,
            metavar="SHARE",
            help="Leave out judges who answer a smaller share of gold questions right.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it exists.")] = False,
    json: JsonOption = False,
) -> None:
    """Write what judges prefer as a data set that `data.train` reads. What contradicts itself is left out, and counted."""
    with json_only(json) as write_document:
        from tunesmith.app.feedback_export import export_store

        made = export_store(store, out, kind.value, min_gold=min_gold, force=force)
        write_document({"schema": "tunesmith/feedback-export/1", **made})
        if not json:
            from tunesmith.cli.feedback_tables import print_export

            print_export(made)
