"""A model behind an address that speaks OpenAI's chat completions, as most servers of language models do.

Source: OpenAI's API reference, "Create chat completion", https://platform.openai.com/docs/api-reference/chat/create.
"""

import http.client
import ipaddress
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import sleep
from typing import Any

from tunesmith.core.errors import FetchError, UsageError
from tunesmith.core.fetch import IndexSettings, index_settings, opener_for
from tunesmith.core.types import Message

__all__ = ["KEY_VARIABLE", "Endpoint", "NoAnswer", "Paused", "Reply"]

KEY_VARIABLE = "OPENAI_API_KEY"
"""The environment variable that holds the key; a key is read from nowhere else, and stands in no file and no message."""
_PAUSES_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Before each attempt; a server that says no is not asked again."""
_LONGEST_PAUSE_SECONDS = 60.0
_TIMEOUT_SECONDS = 120.0
_MOST_BYTES = 16 * 2**20
_MOST_SHOWN = 300
_OF_THIS_REQUEST = (400, 413, 422)
"""What a server says to what it is asked, where it may answer something else: too long, or not allowed."""

Paused = Callable[[float, str], None]
"""Is told of each pause before a request is sent again: seconds, and why."""


class NoAnswer(FetchError):
    """The server answered this request with something that is no completion; it may answer another."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered, whether it was cut at the most tokens, and what the server says of it, as far as it does."""

    text: str
    is_cut: bool
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """Those of a thought that is not shown among them, which are paid, too."""
    fingerprint: str | None = None
    """Of the server's software and settings: with another one the same request may be answered otherwise."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model's name and the address that requests are sent to."""

    model: str
    url: str
    key: str | None = field(default=None, repr=False)
    settings: IndexSettings = field(default_factory=IndexSettings, repr=False)
    """Proxy and certificates."""

    @classmethod
    def named(cls, text: str, *, what: str = "--endpoint") -> "Endpoint":
        """From NAME@URL; the key from `OPENAI_API_KEY`, proxy and certificates as pip is set to.

        `/v1` is added to an address without a path, and `/chat/completions` where it is missing. The key goes out over https, or to this
        machine, and nowhere else; no proxy is asked for this machine.

        Args:
            what: what messages call the text.
        Raises: UsageError, where the text is written otherwise, or holds a password.
        """
        found = re.fullmatch(r"(\S.*)@(https?://\S+)", text)
        parts = urllib.parse.urlsplit(found[2]) if found else None
        if not found or not parts or not parts.hostname:
            raise UsageError(f"{what} {text}: expected NAME@URL, such as my-model@http://localhost:8000/v1.")
        if parts.username or parts.password:
            raise UsageError(f"{what}: an address with a login in it. Take it out, and set the environment variable {KEY_VARIABLE}.")
        path = parts.path.rstrip("/") or "/v1"
        path = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
        is_here, settings = _is_here(parts.hostname), replace(index_settings(), trusted_hosts=())
        return cls(
            model=found[1],
            url=urllib.parse.urlunsplit(parts._replace(path=path, fragment="")),
            key=(os.environ.get(KEY_VARIABLE) or None) if is_here or parts.scheme == "https" else None,
            settings=replace(settings, proxy=None) if is_here else settings,
        )

    @property
    def is_here(self) -> bool:
        """Whether it is this machine's own: nothing that it is asked leaves the machine."""
        return _is_here(urllib.parse.urlsplit(self.url).hostname or "")

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        top_p: float,
        seed: int,
        paused: Paused = lambda seconds, why: None,
    ) -> Reply:
        """The model's next turn; asked again, after longer and longer pauses, where the server is busy (429) or broken (5xx).

        Args:
            seed: for servers that draw the same tokens for the same seed; others leave it.
        Raises: FetchError, where there is no answer; NoAnswer, where there is none that can be read, or this request is refused.
        """
        asked = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
        }
        return self._read(self._post(json.dumps(asked).encode("utf-8"), paused))

    def _post(self, content: bytes, paused: Paused) -> bytes:
        request = urllib.request.Request(self.url, content, {"Content-Type": "application/json", "User-Agent": "tunesmith"})
        if self.key:
            request.add_unredirected_header("Authorization", f"Bearer {self.key}")
        opener, wanted, reason = _opener(self.url, self.settings, is_here=self.is_here), 0.0, ""
        for pause in _PAUSES_SECONDS:
            seconds = min(max(pause, wanted), _LONGEST_PAUSE_SECONDS)
            if reason:
                paused(seconds, reason)
            sleep(seconds)
            try:
                with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                    return _whole(answer)
            except urllib.error.HTTPError as error:
                reason, wanted = _said(error), _seconds(error.headers.get("Retry-After"))
                if error.code < 500 and error.code != 429:
                    kind = NoAnswer if error.code in _OF_THIS_REQUEST else FetchError
                    raise kind(f"{self.url}: {reason}. {self._advice(error.code)}") from None
            except (OSError, http.client.HTTPException) as error:
                reason, wanted = str(getattr(error, "reason", None) or error) or type(error).__name__, 0.0
        raise FetchError(f"{self.url}: no answer after {len(_PAUSES_SECONDS)} attempts: {reason}. {self._advice(0)}")

    def _advice(self, code: int) -> str:
        if code in (401, 403):
            return (
                f"The key in {KEY_VARIABLE} is not accepted."
                if self.key
                else f"Set the key in the environment variable {KEY_VARIABLE} (it is sent over https only)."
            )
        if code == 404:
            return f"Check the address, and that the server has a model {self.model}."
        return "Check the address, the request's limits and the server." if code else "Check the address, the network and the proxy."

    def _read(self, content: bytes) -> Reply:
        try:
            document = json.loads(content)
            choice: Mapping[str, Any] = document["choices"][0]
            text, usage = choice["message"]["content"], document.get("usage") or {}
            prompt_tokens, completion_tokens = (_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
            fingerprint = document.get("system_fingerprint")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            text = None
        if not isinstance(text, str):
            shown = content[:_MOST_SHOWN].decode("utf-8", "replace")
            raise NoAnswer(f"{self.url}: answered {shown!r}, expected a chat completion with choices[0].message.content.")
        is_cut = choice.get("finish_reason") == "length"
        return Reply(text, is_cut, prompt_tokens, completion_tokens, fingerprint if isinstance(fingerprint, str) else None)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what was asked, and the key, go where they were sent and nowhere else."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


@lru_cache(maxsize=8)
def _opener(url: str, settings: IndexSettings, *, is_here: bool) -> urllib.request.OpenerDirector:
    """What opens an address, made once: reading the certificates takes longer than many an answer."""
    return opener_for(url, settings, _NoRedirect(), *([urllib.request.ProxyHandler({})] if is_here else []))


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _whole(answer: Any) -> bytes:
    """What was sent. Raises: IncompleteRead, where that is less than was announced: `read` alone says nothing of it."""
    content = bytes(answer.read(_MOST_BYTES))
    if answer.length and len(content) < _MOST_BYTES:
        raise http.client.IncompleteRead(content, answer.length)
    return content


def _seconds(text: str | None) -> float:
    """Of a Retry-After: a number of seconds, or the time at which to ask again (RFC 9110, section 10.2.3)."""
    if not text:
        return 0.0
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _said(error: urllib.error.HTTPError) -> str:
    """The status and what the server says to it, in one line."""
    content = error.read(_MOST_BYTES)
    try:
        told = json.loads(content)["error"]
        message = told["message"] if isinstance(told, Mapping) else told
    except (ValueError, LookupError, TypeError, RecursionError):
        message = ""
    return f"HTTP {error.code} {' '.join(str(message or error.reason).split())[:_MOST_SHOWN]}".rstrip(". ")
