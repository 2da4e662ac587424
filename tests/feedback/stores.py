"""A store with a prompt or two, for the tests of judgements."""

from pathlib import Path

from tunesmith.feedback import NewItem, NewResponse, open_store
from tunesmith.feedback.store import FeedbackStore

__all__ = ["item", "store_of"]


def item(prompt: str, *answers: str, gold: dict[int, int] | None = None) -> NewItem:
    responses = tuple(NewResponse(text, (f"model {number}",)) for number, text in enumerate(answers, start=1))
    return NewItem(({"role": "user", "content": prompt},), responses, gold or {})


def store_of(folder: Path, *items: NewItem) -> FeedbackStore:
    """A new store; the answers of its items are numbered 1, 2, ... in their order."""
    store = open_store(str(folder / "feedback.sqlite"), create=True)
    with store.writing() as writer:
        for one in items:
            writer.add(one)
    return store
