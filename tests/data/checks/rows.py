"""Examples for the checks, in a line each."""

from tunesmith.core.types import Chat, Completion, Labelled, Message, Origin, Text

__all__ = ["chat", "labelled", "pair", "texts"]


def texts(*contents: str, file: str = "texts.txt") -> list[Text]:
    return [Text(content, Origin(file, row)) for row, content in enumerate(contents, start=1)]


def labelled(*rows: tuple[str, str | None], file: str = "rows.csv") -> list[Labelled]:
    """(text, label) each; rows count from line 2, below the header."""
    return [Labelled(text, label, Origin(file, row)) for row, (text, label) in enumerate(rows, start=2)]


def pair(source: str, target: str, row: int = 1) -> Completion:
    return Completion(source, target, Origin("pairs.jsonl", row))


def chat(*turns: str, row: int = 1) -> Chat:
    """`user: hello`, `assistant: hi`, ..."""
    made = []
    for turn in turns:
        role, _, content = turn.partition(": ")
        made.append(Message(role, content))  # type: ignore[arg-type]
    return Chat(tuple(made), Origin("chats.jsonl", row))
