"""Requests that are waited for side by side."""

import contextlib
import threading
import time

from tunesmith.app.concurrent import as_they_come


def test_every_number_comes_once_with_its_result_or_its_error() -> None:
    def ask(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number * number

    found = dict(as_they_come(ask, 6, 2))
    error = found.pop(3)
    assert isinstance(error, ValueError)
    assert found == {0: 0, 1: 1, 2: 4, 4: 16, 5: 25}


def test_no_more_run_at_a_time_than_are_allowed() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def ask(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    assert len(list(as_they_come(ask, 12, 3))) == 12
    assert 1 < most <= 3


def test_nothing_more_is_asked_once_it_is_closed() -> None:
    asked = list[int]()

    def ask(number: int) -> None:
        asked.append(number)
        time.sleep(0.01)

    with contextlib.closing(as_they_come(ask, 1000, 2)) as answers:
        next(answers)
    time.sleep(0.05)
    assert len(asked) < 20


def test_nothing_to_ask_is_nothing() -> None:
    assert list(as_they_come(lambda number: number, 0, 4)) == []
