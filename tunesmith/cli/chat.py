"""`tunesmith chat`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.completion import runs
from tunesmith.cli.output import console

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tunesmith.core.types import Message

__all__ = ["chat"]


def chat(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RUN", help="A run's id, or a model: an alias, a hub id, a folder.", autocompletion=runs)
    ],
    against: Annotated[
        str | None, typer.Option(metavar="base|MODEL|RUN", help="Let another model answer too; `base`: the one that the run began with.")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Cut answers at this length, not at the recipe's.", show_default=False)
    ] = None,
) -> None:
    """Talk to a model. An empty line starts a new conversation; Ctrl-D ends."""
    from tunesmith.app.chat import Chat
    from tunesmith.app.interruption import Interruption
    from tunesmith.core.types import Message

    with Interruption() as interruption:
        talk = Chat(model, against=against, max_new_tokens=max_new_tokens)
        names = [model] if against is None else [against, model]
        conversations: list[list[Message]] = [[] for _ in names]
        for question in _questions():
            if not question:
                conversations = [[] for _ in names]
                continue
            for name, messages in zip(names, conversations, strict=True):
                messages.append(Message("user", question))
                if len(names) > 1:
                    console().print(f"{name}: ", style="bold", end="")
                with interruption.held():  # between two pieces: never while another thread waits to be listened to
                    text = _print(talk.answer(messages, against=name == against), interruption.check)
                messages.append(Message("assistant", text))


def _print(answer: Generator[str, None, int | None], check: Callable[[], None]) -> str:
    """Write an answer as it comes, with a mark where it was cut, and return it. `check` is called between its pieces."""
    from tunesmith.app.pieces import spoken

    def tell(piece: str) -> None:
        check()
        sys.stdout.write(piece)
        sys.stdout.flush()

    try:
        text, cut_at = spoken(answer, tell)
        if cut_at is not None:
            sys.stdout.write(f"… (cut at {cut_at} tokens)")
    finally:
        sys.stdout.write("\n")
        sys.stdout.flush()
    return text


def _questions() -> Iterator[str]:
    """Lines that a person types, or that a pipe holds. Raises: DataError, for a line that is not UTF-8."""
    from tunesmith.core.errors import DataError

    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")  # so that the lines before a broken one are answered
    number = 0
    while True:
        if sys.stdin.isatty():
            console(stderr=True).print("> ", style="bold", end="")
        line = sys.stdin.readline()
        number += 1
        if not line:
            return
        if any("\ud800" <= character <= "\udfff" for character in line):
            raise DataError(f"standard input:{number}: not UTF-8. Convert it first, for example: iconv -f LATIN1 -t UTF-8 FILE")
        yield line.strip()
