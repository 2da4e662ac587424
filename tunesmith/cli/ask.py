"""`tunesmith ask`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["ask"]


def ask(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="What `tunesmith index` made.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In a sentence, in quotes.")],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|RUN",
            help="The language model that answers, or a run of one; default: smollm2-135m-instruct.",
            show_default=False,
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="NAME@URL",
            help="Let a model behind an OpenAI-compatible address answer; the key from OPENAI_API_KEY.",
            show_default=False,
        ),
    ] = None,
    passages: Annotated[int, typer.Option("-k", "--passages", min=1, metavar="N", help="Passages that it answers from.")] = 5,
    max_new_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Cut the answer at this length.")] = 256,
    search_only: Annotated[bool, typer.Option("--search-only", help="Show the passages and ask no model.")] = False,
    json: JsonOption = False,
) -> None:
    """Answer a question from the documents of an index, and say from which.

    Passages are found by meaning and by words. What stands in them is shown to the model as quoted text; read an answer as you would its sources.
    """
    with json_only(json) as write_document:
        from tunesmith.app.ask import ask as asked
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            found = asked(
                index, question, model=model, endpoint=endpoint, count=passages, max_new_tokens=max_new_tokens, answers=not search_only,
                progress=progress,
            )  # fmt: skip
        write_document(found)
        if not json:
            _print(found)


def _print(found: Mapping[str, Any]) -> None:
    out = console()
    if found["answer"] is not None:
        sys.stdout.write(f"{found['answer']}{'… (cut)' if found['cut'] else ''}\n\n")
    shown = len(found["passages"]) - (found["context"]["dropped"] if found["context"] else 0)
    for one in found["passages"][:shown]:
        place = ", ".join([one["document"], *([" > ".join(one["headings"])] if one["headings"] else [])])
        mark = "" if found["answer"] is None or one["number"] in found["cited"] else " (not named in the answer)"
        out.print(f"[{one['number']}] {place}{mark}", style="bold", soft_wrap=True)
        if found["answer"] is None:
            sys.stdout.write(f"{one['text']}\n\n")
    if not found["passages"]:
        out.print("nothing was found", style="dim")
    if found["context"]:
        context = found["context"]
        dropped = f"; {context['dropped']} passages did not fit" if context["dropped"] else ""
        out.print(f"{context['tokens']:,} tokens, {context['share']:.0%} of what {found['model']} reads{dropped}", style="dim")
