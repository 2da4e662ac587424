"""Several requests at a time: what an endpoint takes long to answer is waited for side by side, and no faster than it may be asked."""

import queue
import threading
from collections.abc import Callable, Generator
from time import monotonic, sleep
from typing import TypeVar

__all__ = ["Pace", "as_they_come"]

T = TypeVar("T")


def as_they_come(ask: Callable[[int], T], count: int, at_a_time: int) -> Generator[tuple[int, T | Exception], None, None]:
    """Call `ask` with 0 to `count` - 1 in threads, and yield each number with what came of it, an exception too, as soon as it is there.

    Numbers are taken in their order. Where the iterator is closed, nothing more is asked; what was asked already is not waited for.
    """
    waiting, done = queue.SimpleQueue[int](), queue.SimpleQueue[tuple[int, T | Exception]]()
    for number in range(count):
        waiting.put(number)
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, ask(number)))
            except Exception as error:  # it is told in the thread that asked for it
                done.put((number, error))

    for _ in range(min(at_a_time, count)):
        threading.Thread(target=work, daemon=True).start()
    try:
        for _ in range(count):
            yield done.get()
    finally:
        stopped.set()


class Pace:
    """Lets threads through one after the other, so many seconds apart."""

    def __init__(self, requests_per_minute: int | None) -> None:
        """`requests_per_minute`: the most that are let through; None: all at once."""
        self._seconds, self._next, self._lock = 60 / requests_per_minute if requests_per_minute else 0.0, 0.0, threading.Lock()

    def wait(self) -> None:
        """Until it is this thread's turn."""
        with self._lock:
            now = monotonic()
            start = max(now, self._next)
            self._next = start + self._seconds
        sleep(start - now)
