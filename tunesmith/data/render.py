"""The one renderer: a conversation as the text that a model reads, in pieces that are tokenized apart and learned or not.

With the tokenizer's chat template where it has one. Else in a plain layout: system message, turns and answers parted by a blank line,
each answer closed by the end-of-sequence token.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tunesmith.core.errors import DataError, ModelError
from tunesmith.core.types import Chat, Example, Message, Prompt
from tunesmith.data._look_alikes import LookAlikes, special_tokens, stands_alone
from tunesmith.data._pieces import Closes, Piece, learned_stretches
from tunesmith.data._sandbox import TemplateFailure, sandbox
from tunesmith.data._shapes import LIKE_A_MARK, Pattern, is_opaque, mark
from tunesmith.data.table import shown
from tunesmith.data.talks import Talks

__all__ = ["LossOn", "Renderer"]

LossOn = Literal["completion", "assistant", "all", "last"]
"""What is learned of a conversation: what follows its last prompt, every turn of the assistant, every token, or the last answer."""

_BREAK = "\n\n"
_WAY_OUT = "Set data.loss_on=completion, so that only the last answer is learned, use data with one answer a conversation, or set data.chat_template."
_THOUGHT_CURE = "Set data.chat_template to one that writes reasoning_content, write the thought into the content, or leave it out."
_TOOLS_CURE = "Set data.chat_template to one that writes tools, such as hermes, or leave the row out."
_THOUGHT_KEYS = ("reasoning_content", "thinking")
"""What templates call a thought: Qwen3's and GLM's the one, gpt-oss's the other."""
_MOST_SHAPES = 1000
_ENDLESS = frozenset(("time", "memory", "output", "ended"))
"""Ways to fail in which a template has not looked at what is said."""
_CAUSES = {
    "time": "was not done in time ({seconds:g} s)",
    "memory": "asks for more memory than it may have ({megabytes} MiB)",
    "output": "writes more text than it may ({characters:,} characters)",
    "depth": "is nested too deeply",
    "ended": "ended the process that it runs in",
    "security": "does what a template may not: {said}",
    "syntax": "cannot be read ({said})",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A conversation on its way through the template: what is asked of the sandbox, and for what."""

    turns: Sequence[Message]
    answer: Message | None
    mark: str
    contents: Sequence[str]
    cuts: Sequence[tuple[int, bool]]
    tools: Sequence[str] = ()
    thoughts: Sequence[str] = ()
    """Of every message, with marks as in `contents`."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        said = [*self.turns, *([self.answer] if self.answer else [])]
        found = list[dict[str, Any]]()
        for message, content, thought in zip(said, self.contents, self.thoughts or [""] * len(said), strict=True):
            found.append({"role": message.role, "content": content})
            if thought:
                found[-1] |= dict.fromkeys(_THOUGHT_KEYS, thought)
            if message.calls:
                functions = [{"name": call.tool, "arguments": json.loads(call.arguments)} for call in message.calls]
                found[-1]["tool_calls"] = [{"type": "function", "function": function} for function in functions]
            if message.tool:
                found[-1]["name"] = message.tool
        return found


_Shape = Sequence[tuple[Sequence[Pattern | str], bool, Closes]]
_Talk = tuple[Sequence[Message], Message | None]


@dataclass(slots=True)
class _Program:
    """A chat template and what it finds beside the messages, with what is known of it."""

    template: str
    variables: Mapping[str, Any]
    is_blind: bool
    """Whether it was never seen to look at what is said."""
    shapes: dict[tuple[Any, ...], _Shape | None] = field(default_factory=dict)
    """What it writes, by the messages' roles; None where it is not the same whatever is said."""

    @classmethod
    def of(cls, template: str, variables: Mapping[str, Any]) -> "_Program":
        return cls(template, variables, is_blind=LIKE_A_MARK not in f"{template}{variables}")


@dataclass(frozen=True)
class Renderer:
    """Examples to pieces of text."""

    tokenizer: Any
    model: str
    """What messages call the model."""
    talks: Talks = field(default_factory=Talks)
    loss_on: LossOn = "assistant"
    _look_alikes: LookAlikes = field(init=False, repr=False, compare=False)
    _stands_alone: bool = field(init=False, repr=False, compare=False)
    _programs: dict[tuple[str, str], _Program] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_look_alikes", LookAlikes(special_tokens(self.tokenizer)))
        object.__setattr__(self, "_stands_alone", stands_alone(self.tokenizer))

    @property
    def chat_template(self) -> str | None:
        """The tokenizer's, its default one where it has several; None: the plain layout. Raises: ModelError, where it has no default."""
        template = self.tokenizer.chat_template
        if not isinstance(template, Mapping):
            return template or None
        if "default" not in template:
            names = ", ".join(sorted(template))
            raise ModelError(f"{self.model}: has several chat templates ({names}) and none is the default. Set data.chat_template.")
        return str(template["default"])

    def parts(self, text: str) -> tuple[str, ...]:
        """A text of the data in stretches in which nothing spells a special token."""
        return self._look_alikes.parts(text)

    def pieces(self, examples: Sequence[Example], *, answered: bool = True) -> list[list[Piece]]:
        """The text of each example: a whole conversation, or, not `answered`, up to where its last answer begins.

        An answer is a piece of its own, the end of its turn included, without the white space after that. So is an earlier answer, unless the
        template writes it otherwise once the conversation goes on.
        Raises: ModelError, where a template fails, or does not leave what is to be learned as it is; DataError, for characters that no text has.
        """
        talks = [self.talks.conversation(example) for example in examples]
        if not answered:
            talks = [(turns, None) for turns, _ in talks]
        template = self.chat_template
        if template is None:
            return [self._plain(example, *talk) for example, talk in zip(examples, talks, strict=True)]
        variables = {
            name: [str(one) for one in token] if isinstance(token, list | tuple) else str(token)
            for name, token in self.tokenizer.special_tokens_map.items()
        }
        key = (template, str(variables))
        program = self._programs.get(key) or self._programs.setdefault(key, _Program.of(template, variables))
        shaped = [self._shaped(program, example, *talk) for example, talk in zip(examples, talks, strict=True)]
        others = [place for place, found in enumerate(shaped) if found is None]
        rendered = iter(self._rendered(program, [examples[place] for place in others], [talks[place] for place in others]))
        return [next(rendered) if found is None else found for found in shaped]

    def _shaped(self, program: _Program, example: Example, turns: Sequence[Message], answer: Message | None) -> list[Piece] | None:
        """A conversation in the shape of those with the same roles; None where the template has to see what is said."""
        said = [*turns, answer] if answer is not None else turns
        contents = [message.content for message in said]
        if not program.is_blind or not all(map(is_opaque, contents)) or any(map(self._look_alikes.within, contents)):
            return None
        if any(message.calls or message.tool or message.thought or message.unlearned for message in said) or (
            isinstance(example, Chat | Prompt) and example.tools
        ):
            return None
        roles = (answer is None, *((message.role, message.learned) for message in said))
        if roles not in program.shapes:
            if len(program.shapes) == _MOST_SHAPES:
                return None
            program.shapes[roles] = self._shape(program, example, turns, answer)
        shape = program.shapes[roles]
        if shape is None:
            return None
        return [
            Piece(tuple([one if isinstance(one, str) else one.filled(contents) for one in patterns]), scored, closes)
            for patterns, scored, closes in shape
        ]

    def _shape(self, program: _Program, example: Example, turns: Sequence[Message], answer: Message | None) -> _Shape | None:
        """Raises: ModelError, where the template does not come to an end, whatever is said."""
        asked = self._asked(example, turns, answer)
        asked = replace(asked, contents=list(map(mark, range(len(asked.contents)))))
        try:
            texts = sandbox().render(program.template, program.variables, [(asked.messages, asked.cuts, [])], hides=True)[0]
            pieces = self._templated(asked, dict(zip(asked.cuts, texts, strict=True)))
        except TemplateFailure as failure:
            if failure.kind in _ENDLESS:
                raise _placed(self._failed(failure, asked), example) from None
            program.is_blind = False
            return None
        except ModelError:  # which may not be so with other texts
            return None
        if len(pieces) != len(asked.cuts):  # an answer that seems to be written otherwise later
            return None
        return [(list(map(Pattern.of, piece.texts)), piece.scored, piece.closes) for piece in pieces]

    def _rendered(self, program: _Program, examples: Sequence[Example], talks: Sequence[_Talk]) -> list[list[Piece]]:
        asked = [self._asked(example, *talk) for example, talk in zip(examples, talks, strict=True)]
        conversations = [(one.messages, one.cuts, [json.loads(tool) for tool in one.tools]) for one in asked]
        try:
            texts = sandbox().render(program.template, program.variables, conversations)
        except TemplateFailure as failure:
            error = self._failed(failure, asked[failure.index])
            raise (_placed(error, examples[failure.index]) if failure.index >= 0 else error) from None
        found = []
        for example, one, rendered in zip(examples, asked, texts, strict=True):
            try:
                found.append(self._templated(one, dict(zip(one.cuts, rendered, strict=True))))
            except ModelError as error:
                raise _placed(error, example) from None
        return found

    def _asked(self, example: Example, turns: Sequence[Message], answer: Message | None) -> _Asked:
        said = [*turns, *([answer] if answer else [])]
        texts, mark = self._look_alikes.marked([*(message.content for message in said), *(message.thought for message in said)])
        contents, thoughts = texts[: len(said)], texts[len(said) :]
        if answer is not None and not turns:
            error = ModelError(f"{self.model}: a conversation that begins with its answer has no prompt that a chat template could write.")
            raise _placed(error, example)
        earlier = [place for place, message in enumerate(turns) if message.role == "assistant" and place > 0]
        cuts = [(len(turns), True), *([(len(said), False)] if answer else [])]
        cuts += [cut for place in earlier for cut in ((place, True), (place + 1, False))]
        tools = example.tools if isinstance(example, Chat | Prompt) else ()
        written = [*tools, *(text for message in said for call in message.calls for text in (call.tool, call.arguments))]
        strange = next((text for text in written if self._look_alikes.within(text)), None)
        if strange is not None:
            raise DataError(
                f"{_place(example)}a tool or a call of one spells a special token of the model: {shown(strange)}. Leave the row out."
            )
        return _Asked(turns, answer, mark, contents, cuts, tools, thoughts if any(thoughts) else ())

    def _learned(self, turns: Sequence[Message], answer: Message | None) -> list[bool]:
        """Of every message, whether it is to be learned as an answer."""
        if answer is None:
            return [False] * len(turns)
        prompt = max((place for place, message in enumerate(turns) if message.role == "user"), default=-1)
        first = {"assistant": 0, "all": 0, "completion": prompt + 1, "last": len(turns)}[self.loss_on]
        return [message.role == "assistant" and message.learned and place >= first for place, message in enumerate([*turns, answer])]

    def _templated(self, asked: _Asked, texts: Mapping[tuple[int, bool], str]) -> list[Piece]:
        turns, answer, mark = asked.turns, asked.answer, asked.mark
        scores_all = self.loss_on == "all" and answer is not None
        learned = self._learned(turns, answer)
        whole, pieces, at = texts[len(turns), True], list[Piece](), 0
        self._require_tools(asked, texts[len(turns) + 1, False] if answer is not None else whole)

        def piece(text: str, scored: bool) -> Piece:
            return Piece(self._parted(text, mark), scored)

        for place, message in enumerate(turns):
            if message.role != "assistant":
                continue
            before, after = texts.get((place, True), ""), texts.get((place + 1, False), "")  # none of a turn that nothing comes before
            start, end = len(before), len(after.rstrip())
            if learned[place]:
                self._require_thought(asked, place, after[start:end])
            stays = after.startswith(before) and whole.startswith(after[:end]) and asked.contents[place].strip() in after[start:end]
            if stays and at <= start:
                pieces += [piece(whole[at:start], scores_all), *self._answered(whole[start:end], asked, place, learned[place], "no")]
                at = end
            elif learned[place] != scores_all:  # to be told apart from what is around it
                raise ModelError(
                    f"{self.model}: its chat template writes an earlier answer otherwise once the conversation goes on, so it cannot be learned as "
                    f"the model will read it. {_WAY_OUT}"
                )
        pieces.append(piece(whole[at:], scores_all))
        if answer is not None:
            text = self._answer(whole, texts[len(turns) + 1, False], asked.contents[-1])
            if learned[-1]:
                self._require_thought(asked, -1, text)
            pieces += self._answered(text, asked, len(turns), learned[-1], "if open")
        return pieces

    def _require_thought(self, asked: _Asked, place: int, text: str) -> None:
        """Raises: ModelError, where the template leaves out what the assistant thinks before the answer that is learned."""
        if asked.thoughts and asked.thoughts[place].strip() not in text:
            raise ModelError(f"{self.model}: its chat template leaves out what the assistant thinks. {_THOUGHT_CURE}")

    def _require_tools(self, asked: _Asked, whole: str) -> None:
        """Raises: ModelError, where the template leaves out a tool, a call, or what a tool answered."""
        said = [*asked.turns, *([asked.answer] if asked.answer else [])]
        names = [json.loads(tool) for tool in asked.tools]
        wanted = {"a tool": [str(one.get("function", one).get("name", "")) for one in names]}
        wanted["a tool's call"] = [call.tool for message in said for call in message.calls]
        wanted["a tool's answer"] = [
            content.strip() for message, content in zip(said, asked.contents, strict=True) if message.role == "tool"
        ]
        for what, texts in wanted.items():
            if any(text not in whole for text in texts):
                raise ModelError(f"{self.model}: its chat template leaves out {what}. {_TOOLS_CURE}")

    def _answer(self, prompt: str, whole: str, content: str) -> str:
        """The answer's text as it follows the prompt: white space at its own ends, and none after the end of its turn."""
        follows, rest = whole.startswith(prompt), whole[len(prompt) :]
        if follows and rest.startswith(content):
            return content + rest[len(content) :].rstrip()
        if not follows or content.strip() not in rest:
            cause = "leaves the answer out or alters it" if follows else "writes the prompt otherwise when its answer is there"
            raise ModelError(
                f"{self.model}: its chat template {cause}, so what is learned would not be what is asked later. Set data.chat_template, or use another model."
            )
        return rest.rstrip()

    def _plain(self, example: Example, turns: Sequence[Message], answer: Message | None) -> list[Piece]:
        if (isinstance(example, Chat | Prompt) and example.tools) or any(message.calls or message.role == "tool" for message in turns):
            raise _placed(ModelError(f"{self.model}: has no chat template, and the plain layout has no tools. {_TOOLS_CURE}"), example)
        if any(message.thought for message in (*turns, *([answer] if answer else []))):
            raise _placed(ModelError(f"{self.model}: has no chat template, and the plain layout has no thoughts. {_THOUGHT_CURE}"), example)
        scores_all = self.loss_on == "all" and answer is not None
        learned = self._learned(turns, answer)
        said = [*turns, *([answer] if answer else [])]
        contents, mark = self._look_alikes.marked([message.content for message in said])
        pieces, before = list[Piece](), ""
        for place, (message, content) in enumerate(zip(said, contents, strict=True)):
            if message.role == "assistant":
                pieces += [Piece(self._parted(before, mark), scores_all)] if before else []
                pieces += self._answered(content, _Asked(turns, answer, mark, contents, ()), place, learned[place], "yes")
                before = ""
            else:
                before += content
            before += "" if answer and place == len(turns) else _BREAK
        return [*pieces, *([Piece(self._parted(before, mark), scores_all)] if before else [])]

    def _answered(self, text: str, asked: _Asked, place: int, scored: bool, closes: Closes) -> list[Piece]:
        """An answer's text as one piece, or, where parts of what is said are only read, as those parts and what is between them."""
        message, content = [*asked.turns, *([asked.answer] if asked.answer else [])][place], asked.contents[place]
        if not scored or not message.unlearned:
            return [Piece(self._parted(text, asked.mark), scored, closes)]
        thought = asked.thoughts[place].strip() if asked.thoughts else ""
        begin = text.find(content, text.find(thought) + len(thought))
        if begin < 0:
            raise ModelError(
                f"{self.model}: its chat template alters an answer, of which only parts are learned. Learn it whole, or not at all."
            )
        parts = learned_stretches(text, begin, content, asked.mark, message.unlearned)
        pieces = [Piece(self._parted(part, asked.mark), is_learned) for part, is_learned in parts]
        return [*pieces[:-1], replace(pieces[-1], closes=closes)]

    def _parted(self, text: str, mark: str) -> tuple[str, ...]:
        """The stretches of a text that is to be cut at each `mark`."""
        cut = text.split(mark) if mark else [text]
        return tuple([part for one in cut for part in (self._look_alikes.split(one) if self._stands_alone else (one,)) if part])

    def _failed(self, failure: TemplateFailure, asked: _Asked) -> ModelError:
        """The error of a conversation that the template did not render."""
        limits, cure = sandbox().limits, "Set data.chat_template to another, or use another model."
        if failure.kind == "refused":
            roles = ", ".join(message["role"] for message in asked.messages)
            return ModelError(
                f"{self.model}: its chat template refuses a conversation of {roles}: {failure.said[:160]}. Leave out what it names (data.system?)."
            )
        cause = _CAUSES[failure.kind].format(
            said=failure.said, seconds=limits.seconds, megabytes=limits.memory_bytes // 2**20, characters=limits.characters
        )
        return ModelError(f"{self.model}: its chat template {cause}. {cure}")


def _placed(error: ModelError, example: Example) -> ModelError:
    """The error with the row that it is about, where that is one of a file."""
    return ModelError(f"{_place(example)}{error}")


def _place(example: Example) -> str:
    return f"{example.origin.file}:{example.origin.row}: " if example.origin.file else ""
