"""An endpoint whose answers are kept in the cache: the same question is paid for once."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import TypedDict

from tunesmith.app.concurrent import Pace
from tunesmith.core.endpoint import Endpoint, Paused
from tunesmith.core.files import cache_folder, hash_of, write_json
from tunesmith.core.types import Message

__all__ = ["Answer", "KeptAnswers"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered, as `core.endpoint.Reply` has it, and how long that took."""

    text: str
    is_cut: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    fingerprint: str | None
    seconds: float
    """From the last time that it was asked to the answer, as it was when it was asked."""


class KeptAnswers:
    """Asks an endpoint what it was not asked before: greedily, in the same words, for an answer of the same length. Several threads may ask."""

    def __init__(self, endpoint: Endpoint, requests_per_minute: int | None = None, paused: Paused = lambda seconds, why: None) -> None:
        """`requests_per_minute`: the most that are sent; None: as fast as it answers. `paused`: as `Endpoint.chat` takes it."""
        self.endpoint, self._pace, self._paused = endpoint, Pace(requests_per_minute), paused

    def kept(self, messages: Sequence[Message], *, max_tokens: int, number: int = 0) -> Answer | None:
        """What was answered before; None where it was not asked, or the file is damaged. Arguments: as of `answer`."""
        try:
            return Answer(**json.loads(self._file(messages, max_tokens, number).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def answer(self, messages: Sequence[Message], *, max_tokens: int, number: int = 0) -> Answer:
        """The answer, kept or new.

        Args:
            number: another one asks the same again, and is kept beside the first.
        Raises: FetchError, NoAnswer, as `Endpoint.chat`.
        """
        return self.kept(messages, max_tokens=max_tokens, number=number) or self.ask(messages, max_tokens=max_tokens, number=number)

    def ask(self, messages: Sequence[Message], *, max_tokens: int, number: int = 0) -> Answer:
        """As `answer`, whatever is kept."""
        self._pace.wait()
        started = monotonic()

        def paused(seconds: float, why: str) -> None:
            nonlocal started
            self._paused(seconds, why)
            started = monotonic() + seconds

        reply = self.endpoint.chat(messages, **_options(max_tokens), paused=paused)
        found = Answer(**asdict(reply), seconds=monotonic() - started)
        write_json(self._file(messages, max_tokens, number), asdict(found))
        return found

    def _file(self, messages: Sequence[Message], max_tokens: int, number: int) -> Path:
        said = [(message.role, message.content) for message in messages]
        asked = (self.endpoint.model, self.endpoint.url, said, _options(max_tokens), number)
        return cache_folder("answers") / f"{hash_of(*asked)}.json"


class _Options(TypedDict):
    max_tokens: int
    temperature: float
    top_p: float
    seed: int


def _options(max_tokens: int) -> _Options:
    """Greedy, as everything that is measured."""
    return {"max_tokens": max_tokens, "temperature": 0.0, "top_p": 1.0, "seed": 0}
