"""Examples as conversations: who says what, before any chat template or tokenizer has to do with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tunesmith.core.examples import Judged
from tunesmith.core.types import (
    Chat,
    Choice,
    Completion,
    Example,
    Labelled,
    Message,
    MultiLabelled,
    Prompt,
    Rated,
    Unpaired,
)
from tunesmith.data.wording import Wording

__all__ = ["Talks"]


@dataclass(frozen=True)
class Talks:
    """How examples become conversations."""

    wording: Wording = field(default_factory=Wording)
    system: str | None = None
    """Opens every conversation that has no system message."""
    tasks: Mapping[str, Wording] = field(default_factory=dict)
    """Of the examples whose origin names one of these tasks: in place of `wording`."""

    def request(self, example: Completion | Labelled | Rated | MultiLabelled | Choice) -> str:
        """What is asked, in the words of the example's task, where it has any."""
        return self.tasks.get(example.origin.task, self.wording).request(example)

    def choices(self, example: Example) -> tuple[str, ...]:
        """The answers that an example is judged among: its own, or the labels of its task in a mixture; empty where its answer is open."""
        if isinstance(example, Choice):
            return example.choices
        task = self.tasks.get(example.origin.task) if isinstance(example, Labelled) else None
        return task.labels if task else ()

    def conversation(self, example: Example) -> tuple[list[Message], Message | None]:
        """The turns before the last answer, and that answer, None where there is none."""
        if isinstance(example, Chat | Prompt):
            turns, answer = list(example.messages), None
            last = next((place for place in reversed(range(len(turns))) if turns[place].role == "assistant"), -1)
            if isinstance(example, Chat) and last >= 0:
                turns, answer = turns[:last], turns[last]
        elif isinstance(example, Judged):
            answered = () if isinstance(example, Unpaired) and not example.is_liked else example.ways[0]
            turns, answer = [*example.prompt, *answered[:-1]], answered[-1] if answered else None
        elif isinstance(example, Completion):
            turns, answer = [Message("user", self.request(example))], Message("assistant", example.target)
        elif isinstance(example, Labelled):
            turns = [Message("user", self.request(example))]
            answer = Message("assistant", example.label or "")
        elif isinstance(example, Choice):
            turns = [Message("user", self.request(example))]
            answer = Message("assistant", "" if example.answer is None else example.choices[example.answer])
        else:
            raise TypeError(f"{type(example).__name__} is no conversation")
        if self.system and not (turns and turns[0].role == "system"):
            turns = [Message("system", self.system), *turns]
        if isinstance(example, Judged):
            return turns, answer
        if example.above:
            for last in [place for place, turn in enumerate(turns) if turn.role == "user"][-1:]:
                turns[last] = replace(turns[last], content=example.above + turns[last].content)
        behind = int(turns[:1] != [] and turns[0].role == "system")
        return [*turns[:behind], *example.before, *turns[behind:]], answer

    def shown(self, example: Chat | Choice | Completion | Labelled | Prompt) -> tuple[Message, ...]:
        """An example with its answer as another reads it before itself: nothing of it is learned. Empty where it has no answer."""
        turns, answer = self.conversation(replace(example, before=()))
        said = [one for one in (*turns, answer) if one is not None and one.role != "system"] if answer and answer.content else []
        return tuple(replace(one, learned=False, unlearned=()) for one in said)
