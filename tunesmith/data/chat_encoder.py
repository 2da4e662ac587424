"""Examples as the requests that a model behind an endpoint is sent. Its server renders and tokenizes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tunesmith.core.errors import DataError
from tunesmith.core.examples import Conversation
from tunesmith.core.types import Chat, Choice, Example, Labelled, Message, Prompt
from tunesmith.data.talks import Talks
from tunesmith.data.wording import Wording

__all__ = ["UNKNOWN_WINDOW", "ChatEncoder", "Request"]

UNKNOWN_WINDOW = 2**31 - 1
"""More tokens than any model reads: no context is shortened for it."""
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4


@dataclass(frozen=True, slots=True)
class Request:
    """The messages of a request. Its length is a guess at its tokens: one for every four characters, and four around each message.

    Source: OpenAI's rule of thumb for English text, https://help.openai.com/en/articles/4936856. Other languages have more tokens.
    """

    messages: tuple[Message, ...]

    def __len__(self) -> int:
        return sum(_TOKENS_PER_MESSAGE + -(-len(message.content) // _CHARACTERS_PER_TOKEN) for message in self.messages)


@dataclass(frozen=True)
class ChatEncoder:
    """What stands in a request, worded as `TextEncoder` words it, with what is asked for said in its system message where that is a choice."""

    labels: tuple[str, ...] = ()
    max_length: int = UNKNOWN_WINDOW
    """The most tokens that the model reads."""
    template: str | tuple[str, ...] | None = None
    """As of `TextEncoder`."""
    system: str | None = None
    names: tuple[str, ...] = ()
    """The words that stand for the labels, where a labelled text is to be answered with one of them; empty: the answer is open."""

    @cached_property
    def _talks(self) -> Talks:
        return Talks(Wording.of(self.template, self.labels), self.system)

    def prompts(self, examples: Sequence[Example]) -> list[Request]:
        """The request of each example. Raises: DataError, for one with tools, which are not sent; RecipeError, for a template that does not fit."""
        return [self.prompt(example) for example in examples]

    def prompt(self, example: Example) -> Request:
        """As `prompts`, of one."""
        turns, _ = self._talks.conversation(example)
        if (isinstance(example, Chat | Prompt) and example.tools) or any(turn.calls or turn.role == "tool" for turn in turns):
            raise DataError(f"{example.origin.file}:{example.origin.row}: has tools, which an endpoint is not sent. Leave the row out.")
        return Request(tuple(self._instructed(turns, self._instruction(example))))

    def turns(self, example: Conversation) -> tuple[Message, ...]:
        """As of `TextEncoder`."""
        return self._talks.shown(example)

    def choices(self, example: Example) -> tuple[str, ...]:
        """The answers that `example` is judged among; empty where its answer is open."""
        return self._talks.choices(example)

    def reference(self, example: Example) -> str:
        """The answer that `example` holds to its own `prompt`."""
        answer = self._talks.conversation(example)[1]
        return answer.content if answer else ""

    def _instruction(self, example: Example) -> str:
        if isinstance(example, Choice):
            return "Answer with one of the answers listed, word for word, and with nothing else."
        if isinstance(example, Labelled) and self.names:
            return "\n- ".join(["Answer with one of these labels, and with nothing else:", *self.names])
        return ""

    @staticmethod
    def _instructed(turns: Sequence[Message], instruction: str) -> Sequence[Message]:
        if not instruction:
            return turns
        if turns[0].role == "system":
            return [replace(turns[0], content=f"{turns[0].content}\n\n{instruction}"), *turns[1:]]
        return [Message("system", instruction), *turns]
