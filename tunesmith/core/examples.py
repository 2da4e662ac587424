"""One example of every kind: what a row of data says, whatever file it was in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

__all__ = [
    "Call",
    "Chat",
    "Choice",
    "Completion",
    "Conversation",
    "Example",
    "Graded",
    "Judged",
    "Labelled",
    "Marked",
    "Message",
    "MultiLabelled",
    "Origin",
    "Preference",
    "Prompt",
    "Ranked",
    "Rated",
    "SpanQuestion",
    "Stepwise",
    "Tagged",
    "Text",
    "Tokens",
    "Unpaired",
    "asked_turns",
    "before_answer",
    "conversations",
]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an example was read."""

    file: str
    """The file, alias or hub id, as a person would name it."""
    row: int
    """1-based: the line of a line-oriented file, else the number of the record."""
    task: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Raw text, for continued pretraining."""

    text: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, or two, of a named class; `label` is None where it is to be predicted."""

    text: str
    label: str | None
    origin: Origin
    text_pair: str | None = None
    before: tuple[Message, ...] = ()
    """Turns that a language model reads before it, and does not learn: examples with their answers."""
    above: str = ""
    """What a language model reads before the text, in the same turn: passages of documents."""
    numbers: tuple[tuple[str, float], ...] = ()
    """Of a row of numbers, each with the name of its column: what a network of numbers reads, where others read the text that lists them."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the assistant calls, and with what: a JSON object, as text."""

    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    learned: bool = True
    """Of the assistant's: whether training scores it, or only reads it."""
    calls: tuple[Call, ...] = ()
    """Of the assistant's: the tools that it calls."""
    tool: str = ""
    """Of a tool's: its name, where that is known."""
    unlearned: tuple[tuple[int, int], ...] = ()
    """Of an answer that is learned: the stretches of its content that are only read, each (first character, one behind its last), in order."""
    thought: str = ""
    """Of the assistant's: what it thinks before it answers, which the chat template writes where it has a place for it."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation; the assistant's turns are what is learned, but for those that are marked."""

    messages: tuple[Message, ...]
    origin: Origin
    tools: tuple[str, ...] = ()
    """What may be called: JSON objects, as text, each with the name and the parameters of a function."""
    before: tuple[Message, ...] = ()
    """As a labelled text's; they stand behind a system message."""
    above: str = ""
    """As a labelled text's, before the last turn that is the user's."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A source text and the target text that should follow it."""

    source: str
    target: str
    origin: Origin
    other_targets: tuple[str, ...] = ()
    """Texts that would be as right: what is written is measured by the nearest, and none of them is learned."""
    before: tuple[Message, ...] = ()
    above: str = ""
    """Both as a labelled text's."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A question and the answers to choose among; `answer` is the place of the right one, from 0, None where it is to be predicted."""

    question: str
    choices: tuple[str, ...]
    answer: int | None
    origin: Origin
    before: tuple[Message, ...] = ()
    above: str = ""
    """Both as a labelled text's."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation that waits for the assistant's next turn."""

    messages: tuple[Message, ...]
    origin: Origin
    tools: tuple[str, ...] = ()
    """As a Chat's."""
    before: tuple[Message, ...] = ()
    above: str = ""
    """Both as a Chat's."""


def _before_last_run(learned: Sequence[bool]) -> int:
    """How many stand before the last run of those that are learned."""
    last = max(place for place, is_learned in enumerate(learned) if is_learned)
    return max((place + 1 for place, is_learned in enumerate(learned[:last]) if not is_learned), default=0)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that are ready for the model, and for each whether it is learned; at least one is."""

    tokens: tuple[int, ...]
    scored: tuple[bool, ...]
    origin: Origin

    @property
    def num_asked(self) -> int:
        """How many tokens come before the last run of learned ones: what the model reads before it answers."""
        return _before_last_run(self.scored)


@dataclass(frozen=True, slots=True)
class Marked:
    """A text in parts, each with whether it is learned, as the model is to see it: no template, and the special tokens that it spells."""

    parts: tuple[tuple[str, bool], ...]
    origin: Origin

    @property
    def num_asked(self) -> int:
        """How many parts come before the last run of learned ones."""
        return _before_last_run([learned for _, learned in self.parts])

    @property
    def question(self) -> str:
        """What the model reads before it answers; of a text that is learned from its beginning, all of it."""
        return "".join(text for text, _ in self.parts[: self.num_asked or len(self.parts)])

    @property
    def answer(self) -> str:
        """The last run of learned parts."""
        return "".join(text for text, learned in self.parts[self.num_asked :] if learned)


@dataclass(frozen=True, slots=True)
class Rated:
    """A text, or two, and a number; `value` is None where it is to be predicted."""

    text: str
    value: float | None
    origin: Origin
    text_pair: str | None = None


@dataclass(frozen=True, slots=True)
class MultiLabelled:
    """A text, or two, of any number of classes, none among them; `labels` is None where they are to be predicted."""

    text: str
    labels: tuple[str, ...] | None
    origin: Origin
    text_pair: str | None = None


@dataclass(frozen=True, slots=True)
class Tagged:
    """Words, and a tag for each; `tags` is None where they are to be predicted."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class SpanQuestion:
    """A question whose answer is a piece of its context.

    `answers` are (first character, text), several where people marked different pieces; empty where the context holds none; None where
    it is to be predicted.
    """

    question: str
    context: str
    answers: tuple[tuple[int, str], ...] | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Preference:
    """A conversation that may go on in two ways, one of which is liked better."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    origin: Origin
    margin: float | None = None
    """By how much it is liked better, where that was asked."""

    @property
    def ways(self) -> tuple[tuple[Message, ...], ...]:
        """The answers, the best first."""
        return self.chosen, self.rejected

    @property
    def ranks(self) -> tuple[int, ...]:
        """Of the ways, the lower the better."""
        return 1, 2


@dataclass(frozen=True, slots=True)
class Unpaired:
    """A conversation, one way that it went on, and whether that was liked."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    is_liked: bool
    origin: Origin

    @property
    def ways(self) -> tuple[tuple[Message, ...], ...]:
        """The one answer."""
        return (self.completion,)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A conversation and several ways that it may go on, the best liked first; ways of equal rank are liked the same."""

    prompt: tuple[Message, ...]
    answers: tuple[str, ...]
    ranks: tuple[int, ...]
    origin: Origin

    @property
    def ways(self) -> tuple[tuple[Message, ...], ...]:
        """The answers, the best first, as turns."""
        return tuple((Message("assistant", text),) for text in self.answers)


@dataclass(frozen=True, slots=True)
class Stepwise:
    """A conversation, the steps of an answer, and whether each of them is right."""

    prompt: tuple[Message, ...]
    steps: tuple[str, ...]
    are_right: tuple[bool, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Graded:
    """A conversation, one way that it went on, and how good people found that in several respects."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    grades: tuple[tuple[str, float | None], ...]
    """(attribute, its grade), the attributes in the same order in every row; None where a grade is missing. Empty where all are to be predicted."""
    origin: Origin

    @property
    def ways(self) -> tuple[tuple[Message, ...], ...]:
        """The one answer."""
        return (self.completion,)


Judged = Preference | Unpaired | Ranked | Graded
"""A conversation, and ways that it may go on of which people said how they like them."""


def before_answer(example: Chat) -> tuple[Message, ...]:
    """The turns of a conversation before its last answer; all of them, where there is none or nothing before it."""
    last = max((i for i, message in enumerate(example.messages) if message.role == "assistant"), default=len(example.messages))
    return example.messages[:last] or example.messages


def asked_turns(example: Example) -> tuple[Message, ...]:
    """The turns that wait for an answer, a source being one of the user's; none of what is no conversation."""
    if isinstance(example, Completion):
        return (Message("user", example.source),)
    if isinstance(example, Judged):
        return example.prompt
    if isinstance(example, Prompt):
        return example.messages
    return before_answer(example) if isinstance(example, Chat) else ()


def conversations(example: Judged) -> list[Chat]:
    """Each way that it goes on, as a conversation of which what comes before is only read."""
    asked = tuple(replace(turn, learned=False) for turn in example.prompt)
    return [Chat((*asked, *way), example.origin) for way in example.ways]


Conversation = Labelled | Chat | Completion | Choice | Prompt
"""What a language model answers, and so may read other examples before."""

Example = (
    Text
    | Labelled
    | Chat
    | Completion
    | Choice
    | Prompt
    | Tokens
    | Marked
    | Rated
    | MultiLabelled
    | Tagged
    | SpanQuestion
    | Preference
    | Unpaired
    | Ranked
    | Graded
    | Stepwise
)
