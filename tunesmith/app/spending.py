"""What the requests of a run cost, and the most that they may: counted over all its sittings."""

import contextlib
import json
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.app.kept_answers import Answer
from tunesmith.core.errors import TunesmithError
from tunesmith.core.types import Message

__all__ = ["Price", "Spending", "spent_usd"]

_BYTES_PER_MESSAGE = 64
"""More tokens than a server's chat template puts around a message."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    read: float
    written: float

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """Of so many tokens."""
        return (tokens_in * self.read + tokens_out * self.written) / 1e6


class Spending:
    """Requests that were paid for. Several threads may ask at a time."""

    def __init__(self, price: Price | None, budget_usd: float | None = None, file: Path | None = None) -> None:
        """Go on from what the file says was paid for.

        Args:
            price: None: not known. A budget needs one.
            file: where each request is noted, a JSON line; None: nowhere.
        """
        self._price, self._budget, self._file = price, budget_usd, file
        self.num_requests = self.num_uncounted = self.tokens_in = self.tokens_out = self._num_sent = 0
        self._usd = self._reserved = 0.0
        self._changed = threading.Condition()
        for line in _lines(file):
            self._add(line["tokens_in"], line["tokens_out"], line["usd"])

    @property
    def usd(self) -> float | None:
        """What was spent; None where prices are not known. Of requests whose tokens the server does not tell, the most that they can have cost."""
        return None if self._price is None else self._usd

    def usd_per_answer(self, answers: Sequence[Answer]) -> float | None:
        """What one of the answers costs on average, whoever paid for it; None where there is none, or prices or tokens are not known."""
        tokens = [(one.prompt_tokens, one.completion_tokens) for one in answers]
        if self._price is None or not tokens or any(None in one for one in tokens):
            return None
        return self._price.usd(sum(one[0] or 0 for one in tokens), sum(one[1] or 0 for one in tokens)) / len(tokens)

    def reserve(self, messages: Sequence[Message], max_tokens: int) -> float:
        """Wait until the budget holds the request, whatever those before it turn out to cost.

        Returns: the most that it can cost, USD: no text has more tokens than bytes.
        Raises: TunesmithError, where the budget does not hold it.
        """
        size = sum(_BYTES_PER_MESSAGE + len(message.content.encode("utf-8")) for message in messages)
        most = self._price.usd(size, max_tokens) if self._price else 0.0
        with self._changed:
            if self._budget is not None:
                while self._usd + self._reserved + most > self._budget and self._num_sent:
                    self._changed.wait()
                if self._usd + most > self._budget:
                    raise TunesmithError(
                        f"budget_usd: {self._usd:.4f} of {self._budget:g} USD were spent, and the next request may cost {most:.4f}. Nothing more was sent, and "
                        "what was answered is kept: with a larger budget_usd the same command asks only what is missing."
                    )
            self._reserved, self._num_sent = self._reserved + most, self._num_sent + 1
        return most

    def settle(self, reserved: float, answer: Answer | None) -> None:
        """Note what a request cost. `answer`: None where there was none, for which nothing is counted."""
        with self._changed:
            self._reserved, self._num_sent = self._reserved - reserved, self._num_sent - 1
            if answer is not None:
                tokens_in, tokens_out = answer.prompt_tokens, answer.completion_tokens
                is_told = tokens_in is not None and tokens_out is not None
                usd = self._price.usd(tokens_in or 0, tokens_out or 0) if self._price and is_told else reserved
                self._add(tokens_in, tokens_out, usd)
                self._note({"tokens_in": tokens_in, "tokens_out": tokens_out, "usd": usd})
            self._changed.notify_all()

    def _add(self, tokens_in: int | None, tokens_out: int | None, usd: float) -> None:
        self.num_requests += 1
        self.num_uncounted += tokens_in is None or tokens_out is None
        self.tokens_in += tokens_in or 0
        self.tokens_out += tokens_out or 0
        self._usd += usd

    def _note(self, line: dict[str, float | None]) -> None:
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def spent_usd(file: Path) -> float:
    """What the requests that are noted in a file cost."""
    return math.fsum(line["usd"] for line in _lines(file))


def _lines(file: Path | None) -> Iterator[dict[str, Any]]:
    """What was noted; a line that was cut short is passed over."""
    if file is None or not file.is_file():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)
