"""The one renderer: a conversation as the text that a model reads, and which parts of it are learned.

With the tokenizer's chat template where it has one. Else in a plain layout: system message, turns and answers parted by a blank line,
each answer closed by the end-of-sequence token.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import Interrupted, ModelError, RecipeError, did_you_mean
from tunesmith.core.types import Chat, Choice, Completion, Example, Labelled, Message, MultiLabelled, Prompt, Rated

__all__ = ["Asked", "Piece", "Renderer", "fill"]

_BREAK = "\n\n"
_MOST_CHARACTERS = 64 * 2**20
"""That a template may make of one row: four times the longest text that is read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text. `closes`: an end-of-sequence token follows it."""

    text: str
    scored: bool = False
    closes: bool = False


def _parsed(template: str, key: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(template))
    except ValueError as error:
        raise RecipeError(f"{key}: cannot be read ({error}). Write {{{{ and }}}} for braces that are text.") from None


def fill(template: str, *, key: str = "data.template", **fields: str) -> str:
    """`template` with its `{names}` filled in; `{{` and `}}` are braces.

    Args:
        key: what messages call the template.
    Raises: RecipeError, for a name that the data does not have, and for a template that cannot be read.
    """
    filled, size = list[str](), 0
    for literal, name, spec, conversion in _parsed(template, key):
        filled.append(literal)
        if name is None:
            continue
        if spec or conversion or name not in fields:
            raise RecipeError(
                f"{key}: the data has no {{{name}}}.{did_you_mean(name, fields)} Write {{{{ and }}}} for braces that are text."
            )
        size += len(fields[name])
        if size > _MOST_CHARACTERS:
            raise RecipeError(f"data.template: makes more than {_MOST_CHARACTERS:,} characters of one row. Name each column once.")
        filled.append(fields[name])
    return "".join(filled)


@dataclass(frozen=True, slots=True)
class Asked:
    """How the examples of one data set of a mixture are asked, and, where they are labelled, the labels they are judged among."""

    template: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Renderer:
    """Examples to pieces of text.

    `template` words the user's turn of pairs, of labelled texts and of questions with choices; `system` opens every conversation that has no system message.
    """

    tokenizer: Any
    model: str
    """What messages call the model."""
    labels: tuple[str, ...] = ()
    template: str | None = None
    system: str | None = None
    tasks: Mapping[str, Asked] = field(default_factory=dict)
    """Of the examples whose origin names one of these tasks: in place of `template` and `labels`."""

    def __post_init__(self) -> None:
        """Raises: RecipeError, for a template that cannot be read, or that is the same for every row."""
        for key, template in {
            "data.template": self.template,
            **{f"data.mix.{name}.template": t.template for name, t in self.tasks.items()},
        }.items():
            if template is not None and not any(name is not None for _, name, _, _ in _parsed(template, key)):
                raise RecipeError(
                    f"{key}: {template!r} names no column, so that every row would ask the same. Write {{text}} or {{source}} where the row's text belongs."
                )

    def request(self, example: Completion | Labelled | Rated | MultiLabelled | Choice) -> str:
        """What is asked: the template filled in, else the source text (two texts parted by a line break, choices as a list below their question)."""
        task = example.origin.task
        asked = self.tasks.get(task) or Asked(self.template, self.labels)
        if isinstance(example, Completion):
            fields = {"source": example.source, "text": example.source}
            plain = example.source
        elif isinstance(example, Choice):
            listed = "\n".join(f"- {choice}" for choice in example.choices)
            fields = {"question": example.question, "choices": listed, "text": example.question}
            plain = f"{example.question}\n{listed}"
        else:
            fields = {"text": example.text, "labels": ", ".join(asked.labels)}
            plain = example.text if example.text_pair is None else f"{example.text}\n{example.text_pair}"
            if example.text_pair is not None:
                fields["text_pair"] = example.text_pair
        if not asked.template:
            return plain
        return fill(asked.template, key=f"data.mix.{task}.template" if task in self.tasks else "data.template", **fields)

    def choices(self, example: Example) -> tuple[str, ...]:
        """The answers that an example is judged among: its own, or the labels of its task in a mixture; empty where its answer is open."""
        if isinstance(example, Choice):
            return example.choices
        task = self.tasks.get(example.origin.task) if isinstance(example, Labelled) else None
        return task.labels if task else ()

    def conversation(self, example: Example) -> tuple[list[Message], Message | None]:
        """The turns before the last answer, and that answer, None where there is none."""
        if isinstance(example, Completion):
            turns, answer = [Message("user", self.request(example))], Message("assistant", example.target)
        elif isinstance(example, Labelled):
            turns = [Message("user", self.request(example))]
            answer = Message("assistant", example.label or "")
        elif isinstance(example, Choice):
            turns = [Message("user", self.request(example))]
            answer = Message("assistant", "" if example.answer is None else example.choices[example.answer])
        elif not isinstance(example, Chat | Prompt):
            raise TypeError(f"{type(example).__name__} is no conversation")
        else:
            turns, answer = list(example.messages), None
            last = max((i for i, message in enumerate(turns) if message.role == "assistant"), default=-1)
            if isinstance(example, Chat) and last >= 0:
                turns, answer = turns[:last], turns[last]
        if self.system and not (turns and turns[0].role == "system"):
            turns = [Message("system", self.system), *turns]
        return turns, answer

    def prompt(self, turns: Sequence[Message]) -> list[Piece]:
        """Everything up to where the next answer begins; the answers before it are scored.

        Raises: ModelError, where the chat template does not leave earlier turns as they are.
        """
        if not self.tokenizer.chat_template:
            return self._plain(turns)
        whole, pieces, at = self._apply(turns, True), list[Piece](), 0
        for place, message in enumerate(turns):
            if message.role == "assistant":
                start, end, _ = self._answer_span(turns[:place], message)
                if not whole.startswith(self._apply(turns[: place + 1], False)[:end]) or start < at:
                    raise ModelError(
                        f"{self.model}: its chat template writes an earlier answer otherwise once the conversation goes on, so conversations of several "
                        "answers cannot be learned as the model will read them. Use data with one answer a conversation, or another model."
                    )
                pieces += [Piece(whole[at:start]), Piece(whole[start:end], scored=message.learned)]
                at = end
        return [*pieces, Piece(whole[at:])]

    def answer(self, turns: Sequence[Message], answer: Message) -> Piece:
        """The answer as it follows `prompt(turns)`: its text and the end of its turn, without the white space after that."""
        if not self.tokenizer.chat_template:
            return Piece(answer.content, scored=answer.learned, closes=True)
        start, end, closed = self._answer_span(turns, answer)
        return Piece(self._apply([*turns, answer], False)[start:end], scored=answer.learned, closes=not closed)

    def _plain(self, turns: Sequence[Message]) -> list[Piece]:
        pieces = []
        for message in turns:
            is_answer = message.role == "assistant"
            pieces += [Piece(message.content, scored=is_answer and message.learned, closes=is_answer), Piece(_BREAK)]
        return pieces

    def _answer_span(self, turns: Sequence[Message], answer: Message) -> tuple[int, int, bool]:
        """Where an answer begins and ends in the text rendered so far, and whether the template closes it."""
        before, whole = self._apply(turns, True), self._apply([*turns, answer], False)
        content = answer.content.strip()
        at = whole.find(content, len(before))
        if not whole.startswith(before) or at < 0:
            cause = (
                "leaves the answer out or alters it" if whole.startswith(before) else "writes the prompt otherwise when its answer is there"
            )
            raise ModelError(
                f"{self.model}: its chat template {cause}, so what is learned would not be what is asked later. Use another model or template."
            )
        closing = whole[at + len(content) :].rstrip()
        return len(before), at + len(content) + len(closing), bool(closing)

    def _apply(self, turns: Sequence[Message], asks: bool) -> str:
        messages = [{"role": message.role, "content": message.content} for message in turns]
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks))
        except Interrupted:
            raise
        except Exception as error:  # templates are programs: jinja2's errors, and whatever their code raises
            roles = ", ".join(message.role for message in turns)
            said = " ".join(str(error).split())[:160]
            raise ModelError(
                f"{self.model}: its chat template refuses a conversation of {roles}: {said}. Leave out what it names (data.system?)."
            ) from None
