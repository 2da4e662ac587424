"""What writes the answers to requests: a model on this machine, or an endpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tunesmith.app.concurrent import as_they_come
from tunesmith.core.endpoint import Endpoint
from tunesmith.core.files import hash_of
from tunesmith.core.types import Message, Origin, Prompt

__all__ = ["TOP_P", "LocalWriter", "RemoteWriter", "Writer", "Written"]

TOP_P = 0.95
"""Tokens beyond this sum of probabilities are never drawn: at a temperature above 0 they add little but noise."""
_AT_A_TIME = 4
"""Requests that an endpoint is sent without waiting for the one before."""

Requests = Sequence[tuple[Message, ...]]
Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Written:
    """What came back to a request; `too_long`: it was not sent, as request and answer are more than the model reads."""

    text: str
    end: Literal["ended", "cut", "too_long"]


class Writer(Protocol):
    """A model that answers requests."""

    @property
    def facts(self) -> dict[str, Any]:
        """Which model it is, as the summary tells it."""
        ...

    def write(self, requests: Requests, first: int, tick: Tick) -> list[Written]:
        """The answer to each. `first`: the number of the first request, with which the seed is mixed; `tick` is told how many are done."""
        ...


class LocalWriter:
    """A language model on this machine: the same answers for the same requests, numbers and seed."""

    def __init__(self, model: str, *, max_new_tokens: int, temperature: float, seed: int) -> None:
        """Load it. Raises: ModelError, FetchError."""
        from tunesmith.app.tuned import load_base  # not before it is needed: it imports torch
        from tunesmith.recipe import from_mapping

        self._loaded = load_base(from_mapping({"model": model, "data": "none"}, name="generate"))
        self._name, self._most, self._temperature, self._seed = model, max_new_tokens, temperature, seed

    @property
    def facts(self) -> dict[str, Any]:
        """As `Writer.facts`."""
        source = self._loaded.model.source
        return {"model": self._name, "sha256": source.sha256, "revision": source.revision}

    def write(self, requests: Requests, first: int, tick: Tick) -> list[Written]:
        """As `Writer.write`. What is too long for the model is not shortened: the first shown example would lose its beginning."""
        from tunesmith.engine.generate import generate
        from tunesmith.engine.sampling import Sampling

        loaded, facts = self._loaded, self._loaded.model.facts
        examples = [Prompt(messages, Origin("request", first + place)) for place, messages in enumerate(requests)]
        if facts.is_encoder_decoder:
            encoded = [loaded.encoder.encode(example) for example in examples]
            prompts, fits = [one.source for one in encoded], [one.num_cut == 0 for one in encoded]
        else:
            prompts = loaded.encoder.prompts(examples)
            fits = [len(prompt) + self._most <= facts.max_length for prompt in prompts]
        sent = [place for place, fit in enumerate(fits) if fit]
        sampling = Sampling(temperature=self._temperature, top_p=TOP_P, seed=_seed(self._seed, first)) if self._temperature else None
        answers = generate(
            loaded.forward,
            [prompts[place] for place in sent],
            max_new_tokens=self._most,
            stop_tokens=loaded.stop_tokens,
            sampling=sampling,
            progress=tick,
        )
        found = [Written("", "too_long")] * len(requests)
        for place, tokens in zip(sent, answers, strict=True):
            found[place] = Written(loaded.encoder.decode(tokens), "cut" if len(tokens) >= self._most else "ended")
        return found


class RemoteWriter:
    """A model behind an address; whether it writes the same again is its server's matter."""

    def __init__(self, endpoint: Endpoint, *, max_new_tokens: int, temperature: float, seed: int) -> None:
        """`endpoint`: where requests go."""
        self._endpoint, self._most, self._temperature, self._seed = endpoint, max_new_tokens, temperature, seed

    @property
    def facts(self) -> dict[str, Any]:
        """As `Writer.facts`."""
        return {"model": self._endpoint.model, "endpoint": self._endpoint.url}

    def write(self, requests: Requests, first: int, tick: Tick) -> list[Written]:
        """As `Writer.write`, a few at a time. Raises: FetchError, for the first that stays without an answer; no more are sent then."""
        found = [Written("", "too_long")] * len(requests)
        answers = as_they_come(lambda place: self._ask(requests[place], first + place), len(requests), _AT_A_TIME)
        with contextlib.closing(answers):
            for count, (place, outcome) in enumerate(answers, start=1):
                if isinstance(outcome, Exception):
                    raise outcome
                found[place] = outcome
                tick(count)
        return found

    def _ask(self, messages: tuple[Message, ...], number: int) -> Written:
        options = {"max_tokens": self._most, "temperature": self._temperature, "top_p": TOP_P if self._temperature else 1.0}
        reply = self._endpoint.chat(messages, **options, seed=_seed(self._seed, number))  # type: ignore[arg-type]
        return Written(reply.text, "cut" if reply.is_cut else "ended")


def _seed(seed: int, number: int) -> int:
    """Another seed for each number, below 2^31 as servers take it."""
    return int(hash_of(seed, number)[:8], 16) >> 1
