"""How a model is asked for one more example, and how what it writes is read: the words and the forms, in one place.

A request is a conversation in which the assistant has written examples before, each in the form that is wanted again, so that a small
model goes on as it began. What it writes is read strictly: all of it is one example in that form, or it is none.

Source: Wang et al. (2023), "Self-Instruct", https://arxiv.org/abs/2212.10560, section 2.2: examples drawn from the seeds are shown, and a
text of a class is written after its label was chosen ("output-first"). The wording is tunesmith's own.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, Protocol

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Completion, Example, Labelled, Message, Origin

__all__ = ["ConversationForm", "Form", "LabelledForm", "PairForm", "form_for", "is_echo", "request"]


class Form(Protocol):
    """How examples of one kind are asked for, written and read."""

    def wish(self, label: str | None, *, is_first: bool) -> str:
        """What the user says to get one; the first time with the form spelled out."""
        ...

    def show(self, example: Example) -> str:
        """An example in the form."""
        ...

    def read(self, text: str, label: str | None, origin: Origin) -> Example | None:
        """The example that a text in the form is; None where it is not in the form."""
        ...

    def shows(self, example: Example) -> bool:
        """Whether an example is the same when it was written in the form and read again."""
        ...


class PairForm:
    """A question and its answer: `Question: ...`, `Answer: ...`."""

    _names = ("Question", "Answer")

    def wish(self, label: str | None, *, is_first: bool) -> str:
        """As `Form.wish`."""
        if not is_first:
            return "Write another one, about something else."
        return "Write an example of a question and its answer, in this form:\nQuestion: ...\nAnswer: ..."

    def show(self, example: Example) -> str:
        """As `Form.show`."""
        assert isinstance(example, Completion)
        return _spelled(zip(self._names, (example.source, example.target), strict=True))

    def read(self, text: str, label: str | None, origin: Origin) -> Completion | None:
        """As `Form.read`."""
        values = _values(text, self._names)
        return Completion(values[0], values[1], origin) if values else None

    def shows(self, example: Example) -> bool:
        """As `Form.shows`."""
        wanted = [example.source.strip(), example.target.strip()] if isinstance(example, Completion) else []
        return bool(wanted) and _values(self.show(example), self._names) == wanted


class LabelledForm:
    """A text of a given class: `Text: ...`, and `Second text: ...` where there are two. The label is chosen before."""

    def __init__(self, *, has_pairs: bool) -> None:
        """`has_pairs`: whether two texts share a label."""
        self._names = ("Text", "Second text") if has_pairs else ("Text",)

    def wish(self, label: str | None, *, is_first: bool) -> str:
        """As `Form.wish`."""
        what = "two texts" if len(self._names) > 1 else "a text"
        if not is_first:
            return f"Write another one, about something else, with the label: {label}"
        form = "\n".join(f"{name}: ..." for name in self._names)
        return f"Write an example of {what} with a given label, in this form:\n{form}\n\nThe label: {label}"

    def show(self, example: Example) -> str:
        """As `Form.show`."""
        assert isinstance(example, Labelled)
        return _spelled(zip(self._names, _texts(example), strict=False))

    def read(self, text: str, label: str | None, origin: Origin) -> Labelled | None:
        """As `Form.read`."""
        values = _values(text, self._names)
        return Labelled(values[0], label, origin, values[1] if len(values) > 1 else None) if values else None

    def shows(self, example: Example) -> bool:
        """As `Form.shows`; a text without a label cannot be shown."""
        if not isinstance(example, Labelled) or example.label is None:
            return False
        return _values(self.show(example), self._names) == [text.strip() for text in _texts(example)]


class ConversationForm:
    """A conversation: `User: ...` and `Assistant: ...` by turns, `System: ...` before them where there is one."""

    _names: ClassVar[dict[str, Literal["system", "user", "assistant"]]] = {"System": "system", "User": "user", "Assistant": "assistant"}

    def wish(self, label: str | None, *, is_first: bool) -> str:
        """As `Form.wish`."""
        if not is_first:
            return "Write another one, about something else."
        return "Write an example of a conversation of a user and an assistant, in this form:\nUser: ...\nAssistant: ..."

    def show(self, example: Example) -> str:
        """As `Form.show`."""
        assert isinstance(example, Chat)
        return _spelled((message.role.capitalize(), message.content) for message in example.messages)

    def read(self, text: str, label: str | None, origin: Origin) -> Chat | None:
        """As `Form.read`: the user begins, the assistant ends, they take turns."""
        turns = [Message(self._names[name], content) for name, content in _fields(text, tuple(self._names))]
        said = turns[1:] if turns and turns[0].role == "system" else turns
        by_turns = all(turn.role == ("user", "assistant")[place % 2] for place, turn in enumerate(said))
        if not said or len(said) % 2 or not by_turns or not all(turn.content for turn in turns):
            return None
        return Chat(tuple(turns), origin)

    def shows(self, example: Example) -> bool:
        """As `Form.shows`; calls of tools cannot be shown."""
        if not isinstance(example, Chat) or example.tools or any(turn.calls for turn in example.messages):
            return False
        found = self.read(self.show(example), None, example.origin)
        return found is not None and [(turn.role, turn.content) for turn in found.messages] == [
            (turn.role, turn.content.strip()) for turn in example.messages
        ]


def form_for(examples: Sequence[Example], name: str) -> Form:
    """The form that examples of this kind are written in. Raises: DataError, where there is none."""
    first = examples[0]
    if isinstance(first, Completion):
        return PairForm()
    if isinstance(first, Chat):
        return ConversationForm()
    if isinstance(first, Labelled):
        return LabelledForm(has_pairs=first.text_pair is not None)
    raise DataError(
        f"{name}: rows of the kind {type(first).__name__} are no seeds. Expected questions with answers, conversations, or texts with a label; "
        "texts alone are documents: put them into a folder and name it with --from-documents."
    )


def request(form: Form, shown: Sequence[Example], label: str | None = None) -> tuple[Message, ...]:
    """The conversation that asks for one more example, with `label`, after the shown ones."""
    turns = list[Message]()
    for place, example in enumerate(shown):
        turns.append(Message("user", form.wish(example.label if isinstance(example, Labelled) else None, is_first=place == 0)))
        turns.append(Message("assistant", form.show(example)))
    return (*turns, Message("user", form.wish(label, is_first=not shown)))


def is_echo(example: Example) -> bool:
    """Whether an answer only says again what was asked: nothing is learned from it."""
    if isinstance(example, Completion):
        return _normal(example.source) == _normal(example.target)
    if isinstance(example, Chat):
        pairs = zip(example.messages, example.messages[1:], strict=False)
        return any(after.role == "assistant" and _normal(before.content) == _normal(after.content) for before, after in pairs)
    return False


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts(example: Labelled) -> list[str]:
    return [text for text in (example.text, example.text_pair) if text is not None]


def _spelled(fields: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {text.strip()}" for name, text in fields)


def _values(text: str, names: Sequence[str]) -> list[str]:
    """The values of just these fields in this order, none of them empty; else nothing."""
    fields = _fields(text, names)
    return (
        [value for _, value in fields] if [name for name, value in fields if value] == list(names) == [name for name, _ in fields] else []
    )


def _fields(text: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, value) of each field: a line of a name and a colon begins one, other lines go on with it. Nothing, where another line stands first."""
    found = list[tuple[str, list[str]]]()
    for line in text.strip().split("\n"):
        name, colon, rest = line.partition(":")
        if colon and name in names:
            found.append((name, [rest]))
        elif not found:
            return []
        else:
            found[-1][1].append(line)
    return [(name, "\n".join(lines).strip()) for name, lines in found]
