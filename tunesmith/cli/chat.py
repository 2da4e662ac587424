"""`tunesmith chat`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.completion import runs
from tunesmith.cli.output import console

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["chat"]


def chat(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RUN", help="A run's id, or a model: an alias, a hub id, a folder.", autocompletion=runs)
    ],
    against: Annotated[
        str | None, typer.Option(metavar="base|MODEL|RUN", help="Let another model answer too; `base`: the one that the run began with.")
    ] = None,
) -> None:
    """Talk to a model. An empty line starts a new conversation; Ctrl-D ends."""
    from tunesmith.app.chat import Chat
    from tunesmith.core.types import Message

    talk = Chat(model, against=against)
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
            pieces = []
            for piece in talk.answer(messages, against=name == against):
                pieces.append(piece)
                sys.stdout.write(piece)
                sys.stdout.flush()
            sys.stdout.write("\n")
            messages.append(Message("assistant", "".join(pieces)))


def _questions() -> Iterator[str]:
    """Lines that a person types, or that a pipe holds."""
    while True:
        if sys.stdin.isatty():
            console(stderr=True).print("> ", style="bold", end="")
        line = sys.stdin.readline()
        if not line:
            return
        yield line.strip()
