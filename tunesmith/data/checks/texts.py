"""The texts of an example."""

from tunesmith.core.examples import Judged, before_answer
from tunesmith.core.types import (
    Chat,
    Choice,
    Completion,
    Example,
    Labelled,
    Marked,
    MultiLabelled,
    Rated,
    SpanQuestion,
    Stepwise,
    Tagged,
    Text,
    Tokens,
)

__all__ = ["asked", "full_text", "parts"]


def parts(example: Example) -> tuple[str, ...]:
    """Every text of an example, in its own order."""
    if isinstance(example, Text):
        return (example.text,)
    if isinstance(example, Labelled | Rated | MultiLabelled):
        return (example.text,) if example.text_pair is None else (example.text, example.text_pair)
    if isinstance(example, Completion):
        return (example.source, example.target)
    if isinstance(example, Choice):
        return (example.question, *example.choices)
    if isinstance(example, SpanQuestion):
        return (example.question, example.context)
    if isinstance(example, Tagged):
        return (" ".join(example.words),)
    if isinstance(example, Tokens):
        return ()
    if isinstance(example, Marked):
        return tuple(text for text, _ in example.parts)
    if isinstance(example, Judged):
        return tuple(message.content for turns in (example.prompt, *example.ways) for message in turns)
    if isinstance(example, Stepwise):
        return (*(message.content for message in example.prompt), *example.steps)
    return tuple(text for message in example.messages for text in (*([message.thought] if message.thought else []), message.content))


def asked(example: Example) -> str:
    """What the model is shown before it answers: of a pair its source, of a conversation everything before its last answer."""
    if isinstance(example, Completion):
        return example.source
    if isinstance(example, Marked):
        return example.question
    if isinstance(example, Chat):
        return "\n".join(message.content for message in before_answer(example))
    if isinstance(example, Choice):
        return example.question
    if isinstance(example, Judged | Stepwise):
        return "\n".join(message.content for message in example.prompt)
    return "\n".join(parts(example))


def full_text(example: Example) -> str:
    """Every text of an example, a line break between two."""
    return "\n".join(parts(example))
