"""`tunesmith ask`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.output import JsonOption, console, json_only, print_left_out
from tunesmith.core.errors import UsageError

__all__ = ["ask"]


_Question = Annotated[str | None, typer.Argument(metavar="[QUESTION]", help="In a sentence, in quotes.", show_default=False)]
_Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL|RUN", help="The language model that answers, or a run of one; default: smollm2-135m-instruct.", show_default=False
    ),
]
_Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="NAME@URL", help="Let a model behind an OpenAI-compatible address answer; the key from OPENAI_API_KEY.", show_default=False
    ),
]
_User = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Who asks: that person's documents, profile and history are used too, and the answer is kept there.",
        show_default=False,
    ),
]
_Questions = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="In place of a question: measure the search on a table of questions with the spans that answer them, or on python-questions.",
        show_default=False,
    ),
]


def ask(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="What `tunesmith index` made.")],
    question: _Question = None,
    model: _Model = None,
    endpoint: _Endpoint = None,
    passages: Annotated[int, typer.Option("-k", "--passages", min=1, metavar="N", help="Passages that it answers from.")] = 5,
    max_new_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Cut the answer at this length.")] = 256,
    user: _User = None,
    no_history: Annotated[bool, typer.Option("--no-history", help="With --user: do not keep this question and its answer.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="With --user and no question: delete all that the index keeps of that person.")
    ] = False,
    search_only: Annotated[bool, typer.Option("--search-only", help="Show the passages and ask no model.")] = False,
    check: _Questions = None,
    json: JsonOption = False,
) -> None:
    """Answer a question from the documents of an index, and say from which.

    Passages are found by meaning and by words. What stands in them is shown to the model as quoted text; read an answer as you would its sources.
    """
    if forget:
        _forget(index, user, question, json)
        return
    if check is not None and question is None:
        _check(index, check, passages, json)
        return
    if check is not None or question is None:
        raise UsageError("expected a question, or --check FILE.")
    with json_only(json) as write_document:
        from tunesmith.app.ask import ask as asked
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            found = asked(
                index, question, model=model, endpoint=endpoint, count=passages, max_new_tokens=max_new_tokens, answers=not search_only,
                user=user, remembers=not no_history, progress=progress, **({} if json else {"tell": _show}),
            )  # fmt: skip
        write_document(found)
        if not json:
            _print(found)


def _forget(index: Path, user: str | None, question: str | None, json: bool) -> None:
    from tunesmith.app.people import forget

    if user is None or question is not None:
        raise UsageError("--forget: expected --user NAME, and no question.")
    with json_only(json) as write_document:
        forget(index, user)
        write_document({"schema": "tunesmith/forget/1", "index": str(index), "user": user})
        if not json:
            console().print(f"{index}: forgot {user}", soft_wrap=True)


_WAYS = {"by_meaning": "by meaning", "by_words": "by words", "both": "both"}
_KEPT = {"all": "", "documents": "yours: ", "history": "your history: "}
_MEASURES = {"recall": "recall", "ndcg": "nDCG", "iou": "IoU"}


def _check(index: Path, questions: str, count: int, json: bool) -> None:
    with json_only(json) as write_document:
        from tunesmith.app.index_check import check_index
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            found = check_index(index, questions, count=count, progress=progress)
        write_document(found)
        if not json:
            _print_check(found)


def _print_check(found: Mapping[str, Any]) -> None:
    from tunesmith.cli import tables
    from tunesmith.report.results import Estimate

    def texts(measured: Mapping[str, Any], *, signed: bool) -> dict[str, str]:
        read = {name: Estimate.read(measured[name]) for name in _MEASURES}
        return {
            f"{_MEASURES[name]}@{found['count']}": (one.change_text(3) if signed else one.text(3)) if one else ""
            for name, one in read.items()
        }

    rows = [{"search": _WAYS[way], **texts(measured, signed=False)} for way, measured in found["ways"].items()]
    rows += [{"search": f"both, less {_WAYS[way]} alone", **texts(one, signed=True)} for way, one in found["differences"].items()]
    tables.print_models(rows)
    out = console()
    out.print(f"{found['rows']:,} questions, {found['count']} passages each; 95 % intervals over questions", style="dim")
    print_left_out({f"row {row}": why for row, why in found["left_out"].items()})


def _show(piece: str) -> None:
    """A piece of the answer, as it comes."""
    sys.stdout.write(piece)
    sys.stdout.flush()


def _print(found: Mapping[str, Any]) -> None:
    out = console()
    if found["answer"] is not None:
        sys.stdout.write("… (cut)\n\n" if found["cut"] else "\n\n")
    shown = len(found["passages"]) - (found["context"]["dropped"] if found["context"] else 0)
    for one in found["passages"][:shown]:
        place = ", ".join([_KEPT[one["kept_of"]] + one["document"], *([" > ".join(one["headings"])] if one["headings"] else [])])
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
