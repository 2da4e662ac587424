"""Models that judge: one behind an endpoint, which writes its verdict, or one on this machine, of which the likelihood of A and B is read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tunesmith.app.concurrent import as_they_come
from tunesmith.app.kept_answers import Answer, KeptAnswers
from tunesmith.core.addresses import ENDPOINT_PREFIX, is_endpoint
from tunesmith.core.endpoint import Endpoint
from tunesmith.core.errors import FetchError, ModelError
from tunesmith.core.types import Choice, Message, Origin
from tunesmith.evaluation.pairwise import BEST, EXPLAINED, Letter, read_letter

__all__ = ["Heard", "Judge", "Tick", "WhyNot", "judge_named"]

_AT_A_TIME = 4
"""Questions that an endpoint is sent without waiting for the one before."""
_MOST_FAILURES = 3
"""So many questions in a row without an answer, each asked several times, and no more are sent."""
_MOST_TOKENS = 512
"""Of a reason and a verdict."""

Tick = Callable[[int], None]
WhyNot = Literal["unreadable", "unanswered", "too_long"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a judge said to one question, or why there is nothing."""

    letter: Letter | None
    why_not: WhyNot | None = None


class Judge(Protocol):
    """A model that is asked which answer is better."""

    ending: str
    """What its questions end with."""

    @property
    def facts(self) -> dict[str, Any]:
        """Which model it is."""
        ...

    @property
    def trouble(self) -> str:
        """An error or an answer that shows why questions stayed without a verdict; empty where there was none."""
        ...

    def ask(self, questions: Sequence[str], tick: Tick) -> list[Heard]:
        """The verdict on each question. `tick` is told how many are done."""
        ...


def judge_named(name: str, *, requests_per_minute: int | None = None) -> Judge:
    """The judge of that name: `openai:NAME@URL`, or a model, which is loaded: an alias, a hub id, a folder, `run:ID`.

    Raises: UsageError, ModelError, FetchError.
    """
    if is_endpoint(name):
        return EndpointJudge(Endpoint.named(name.removeprefix(ENDPOINT_PREFIX), what="judge"), requests_per_minute)
    return LocalJudge(name)


class EndpointJudge:
    """A judge behind an endpoint. What it answered is kept in the cache, so that the same question is paid for once."""

    ending = EXPLAINED

    def __init__(self, endpoint: Endpoint, requests_per_minute: int | None = None) -> None:
        """`requests_per_minute`: the most that are sent; None: as fast as it answers."""
        self._endpoint, self._answers, self.trouble = endpoint, KeptAnswers(endpoint, requests_per_minute), ""

    @property
    def facts(self) -> dict[str, Any]:
        """As `Judge.facts`."""
        return {"model": self._endpoint.model, "endpoint": self._endpoint.url}

    def ask(self, questions: Sequence[str], tick: Tick) -> list[Heard]:
        """As `Judge.ask`; after three in a row without an answer no more is sent."""
        found, num_failures = [Heard(None, "unanswered")] * len(questions), 0
        replies = as_they_come(lambda place: self._answer(questions[place]), len(questions), _AT_A_TIME)
        with contextlib.closing(replies):
            for count, (place, reply) in enumerate(replies, start=1):
                if isinstance(reply, FetchError):
                    self.trouble, num_failures = str(reply), num_failures + 1
                    if num_failures == _MOST_FAILURES:
                        break
                elif isinstance(reply, Exception):
                    raise reply
                else:
                    found[place], num_failures = self._heard(reply.text), 0
                tick(count)
        return found

    def _heard(self, text: str) -> Heard:
        letter = read_letter(text)
        if letter is None:
            self.trouble = f"it said {' '.join(text.split())[:200]!r}"
        return Heard(letter, None if letter else "unreadable")

    def _answer(self, question: str) -> Answer:
        return self._answers.answer([Message("user", question)], max_tokens=_MOST_TOKENS)


class LocalJudge:
    """A language model on this machine: it says the likelier of A and B."""

    ending = BEST
    trouble = ""

    def __init__(self, model: str) -> None:
        """Load it. Raises: ModelError, FetchError."""
        from tunesmith.app.tuned import load_base  # not before it is needed: it imports torch
        from tunesmith.recipe import from_mapping

        self._name, self._loaded = model, load_base(from_mapping({"model": model, "data": "none"}, name="judge"))
        if self._loaded.model.facts.is_encoder_decoder:
            raise ModelError(f"judge {model}: an encoder-decoder. Name a model that goes on with a text, or an endpoint: openai:NAME@URL.")

    @property
    def facts(self) -> dict[str, Any]:
        """As `Judge.facts`."""
        source = self._loaded.model.source
        return {"model": self._name, "sha256": source.sha256, "revision": source.revision}

    def ask(self, questions: Sequence[str], tick: Tick) -> list[Heard]:
        """As `Judge.ask`. What is too long for the model is not shortened: an answer would lose a part."""
        from tunesmith.engine.scoring import Question, score

        encoder = self._loaded.encoder
        examples = [Choice(question, ("A", "B"), None, Origin("question", place)) for place, question in enumerate(questions, start=1)]
        letters = _without_common_end(encoder.answers(examples[0]))
        prompts = encoder.prompts(examples)
        read = [place for place, prompt in enumerate(prompts) if len(prompt) + max(map(len, letters)) <= encoder.max_length]
        found = [Heard(None, "too_long")] * len(questions)
        nats = score(self._loaded.forward, [Question(prompts[place], letters) for place in read], progress=tick)
        for place, (a, b) in zip(read, nats, strict=True):
            found[place] = Heard("A" if a > b else "B")
        return found


def _without_common_end(answers: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The tokens of each answer without those with which all end: how likely a turn ends after a letter says nothing of the letter."""
    from tunesmith.engine.tree import num_shared

    shared = num_shared(*(answer[::-1] for answer in answers))
    return [answer[: len(answer) - shared] for answer in answers]
