"""Chat templates run in a process of their own, with limits: the caller's side. The process is started once and serves from then on."""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import ModelError

__all__ = ["Asked", "Limits", "TemplateFailure", "TemplateSandbox", "sandbox"]

Asked = tuple[Sequence[Mapping[str, Any]], Sequence[tuple[int, bool]], Sequence[Any]]
"""Messages of a conversation, the texts that are wanted (of the first so many messages, with the assistant asked to answer or not), and tools."""

_START_SECONDS = 60.0
_REQUEST_CHARACTERS = 2_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a template may take."""

    seconds: float = 2.0
    """Of computing, for one conversation."""
    wall_seconds: float = 4.0
    """For a request, whatever it waits for: the process is ended then."""
    memory_bytes: int = 384 * 2**20
    """Of address space, interpreter included."""
    characters: int = 4_000_000
    """Of a text, beside eight for each character of the conversation."""


class TemplateFailure(Exception):
    """A template that did not render a conversation.

    `index`: the conversation's place, -1 where that is not known; `kind`: what it ran into; `said`: its own words.
    """

    def __init__(self, index: int, kind: str, said: str = "") -> None:
        super().__init__(kind, said)
        self.index, self.kind, self.said = index, kind, said


class TemplateSandbox:
    """One worker process, and who may talk to it: one thread at a time."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def render(self, template: str, variables: Mapping[str, Any], asked: Sequence[Asked], *, hides: bool = False) -> list[list[str]]:
        """The texts of every conversation.

        Args:
            template: Jinja source. `variables`: what it finds beside the messages, JSON-like.
            hides: whether a template fails that looks at what is said, with the kind "looked" or another: else it writes the same around
                any texts that are not empty and have no white space at their ends.
        Raises: TemplateFailure, for the first conversation that is not rendered; ModelError, where no process can be started.
        """
        found, at = list[list[str]](), 0
        while at < len(asked):
            end, size = at, 0
            while end < len(asked) and (end == at or size < _REQUEST_CHARACTERS):
                size += sum(len(message["content"]) for message in asked[end][0])
                end += 1
            found += self._answered({"template": template, "variables": variables, "hides": hides}, asked[at:end], at)
            at = end
        return found

    @property
    def process_id(self) -> int | None:
        """Of the process, where there is one."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _answered(self, request: Mapping[str, Any], asked: Sequence[Asked], offset: int) -> list[list[str]]:
        line = json.dumps({**request, "conversations": asked}).encode("ascii") + b"\n"
        with self._lock:
            answer = self._exchange(line)
        if "texts" in answer:
            texts: list[list[str]] = answer["texts"]
            return texts
        failed = int(answer["failed"])
        raise TemplateFailure(offset + failed if failed >= 0 else -1, answer["kind"], answer.get("said", ""))

    def _exchange(self, request: bytes) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            process.kill()

        watchdog = threading.Timer(self.limits.wall_seconds, expire)
        watchdog.daemon = True
        watchdog.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):  # it ended: killed, or out of memory where Python cannot say so
            self._stop()
            return {"failed": -1, "kind": "time" if expired.is_set() else "ended"}
        except BaseException:  # an answer that nobody waits for would be taken for the next one
            self._stop()
            raise
        finally:
            watchdog.cancel()
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner != os.getpid():  # a fork: the process is its parent's
            self._process = None
        if self._process is None or self._process.poll() is not None:
            self._process, self._owner = self._started(), os.getpid()
        return self._process

    def _started(self) -> subprocess.Popen[bytes]:
        import jinja2

        worker = Path(__file__).with_name("_template_worker.py")
        where = str(Path(jinja2.__file__).parents[1])
        command = [sys.executable, "-I", str(worker), json.dumps(asdict(self.limits)), where]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, close_fds=True, start_new_session=True
            )
        except OSError as error:
            raise ModelError(f"chat template: the process that runs it cannot be started ({error}).") from None
        watchdog = threading.Timer(_START_SECONDS, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                process.kill()
                raise ModelError(f"chat template: the process that runs it did not start ({' '.join(command[:3])}).")
        except BaseException:
            process.kill()
            raise
        finally:
            watchdog.cancel()
        return process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.wait()


_SHARED = TemplateSandbox()
atexit.register(_SHARED.close)


def sandbox() -> TemplateSandbox:
    """The one that every model's templates run in."""
    return _SHARED
