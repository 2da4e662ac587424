"""Ctrl-C and SIGTERM, turned into an error at a moment when nothing is half done."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from tunesmith.core.errors import Interrupted
from tunesmith.core.events import Event

__all__ = ["Interruption"]


class Interruption:
    """While it is entered, the first signal raises Interrupted as soon as nothing is being written, a second one at once."""

    def __init__(self) -> None:
        self._requested = False
        self._held = 0
        self._is_busy: Callable[[], bool] = lambda: False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]
        self._before = {}

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        again, self._requested = self._requested, True
        if again or not (self._held or self._is_busy()):
            raise Interrupted("interrupted.")

    def while_busy(self, is_busy: Callable[[], bool]) -> None:
        """Hold the error back for as long as `is_busy()`; `check` raises it then."""
        self._is_busy = is_busy

    def check(self) -> None:
        """Raise the error that was held back, if any."""
        if self._requested:
            raise Interrupted("interrupted.")

    def checked(self, say: Callable[[Event], None] | None) -> Callable[[Event], None]:
        """`say`, or nobody to tell, with every event a moment to stop at, where a library's own `except` has swallowed the signal's error."""

        def checked(event: Event) -> None:
            self.check()
            if say is not None:
                say(event)

        return checked

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Finish the block first."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if not self._held:
            self.check()
