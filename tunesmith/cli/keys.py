"""Keys as they are pressed, without Enter: from a terminal, or one character after the other from a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["Keys", "keys"]

_END = "\x04"
"""Ctrl-D, as a terminal gives it that is not read by lines."""
_ESCAPE = "\x1b"


class Keys:
    """Where keys come from."""

    def read(self) -> str:
        """The next key; empty where there are no more. White space, and keys that are no character (arrows and the like), are passed over."""
        raise NotImplementedError

    def line(self) -> str:
        """A line of text, as typed up to Enter."""
        raise NotImplementedError


class _Piped(Keys):
    def read(self) -> str:
        while character := sys.stdin.read(1):
            if not character.isspace():
                return character
        return ""

    def line(self) -> str:
        return sys.stdin.readline().strip()


@contextlib.contextmanager
def keys() -> Iterator[Keys]:
    """Keys, for as long as the block runs; the terminal is then as it was."""
    if not sys.stdin.isatty():
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")
        yield _Piped()
        return
    with _terminal() as found:
        yield found


if sys.platform == "win32":

    @contextlib.contextmanager
    def _terminal() -> Iterator[Keys]:
        yield _Console()

    class _Console(Keys):
        def read(self) -> str:
            import msvcrt

            while True:
                key = msvcrt.getwch()
                if key in ("\0", "\xe0"):  # a key that is no character comes as two
                    msvcrt.getwch()
                elif key == "\x03":
                    raise KeyboardInterrupt
                elif key in (_END, "\x1a"):
                    return ""
                elif key.isprintable() and not key.isspace():
                    return key

        def line(self) -> str:
            return sys.stdin.readline().strip()

else:

    @contextlib.contextmanager
    def _terminal() -> Iterator[Keys]:
        import termios

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        try:
            found = _Terminal(terminal, before)
            found.by_keys()  # what is typed before the first question is read by keys too
            yield found
        finally:
            # what was typed ahead stays where it is: the shell may want it
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)

    class _Terminal(Keys):
        def __init__(self, terminal: int, before: list[object]) -> None:
            self._terminal, self._before = terminal, before

        def by_keys(self) -> None:
            import termios
            import tty

            tty.setcbreak(self._terminal, termios.TCSADRAIN)  # Ctrl-C stays a signal

        def read(self) -> str:
            self.by_keys()  # a shell that had stopped the program (Ctrl-Z) may have changed the terminal
            while True:
                first = os.read(self._terminal, 1)
                if first in (b"", _END.encode()):
                    return ""
                if first == _ESCAPE.encode():
                    self._pass_over()
                    continue
                key = first + b"".join(os.read(self._terminal, 1) for _ in range(_more_bytes(first)))
                character = key.decode("utf-8", "replace")
                if character.isprintable() and not character.isspace():
                    return character

        def _pass_over(self) -> None:
            """What an arrow or a function key sends behind its escape: among it are digits, which are no verdict."""
            import select

            while select.select([self._terminal], [], [], 0.02)[0]:
                end = os.read(self._terminal, 1)
                if end in (b"", b"~") or (end.isalpha() and end != b"O"):
                    return

        def line(self) -> str:
            import termios

            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]
            found = b""
            try:
                # byte by byte: what was typed behind the line stays for `read`
                while (byte := os.read(self._terminal, 1)) not in (b"", b"\n"):
                    found += byte
                return found.decode("utf-8", "replace").strip()
            finally:
                self.by_keys()


def _more_bytes(first: bytes) -> int:
    """How many bytes of a UTF-8 character come after its first one."""
    return 3 if first >= b"\xf0" else 2 if first >= b"\xe0" else 1 if first >= b"\xc0" else 0
