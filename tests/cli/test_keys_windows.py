"""Keys on a console of Windows: `msvcrt` is played here, by what Microsoft documents of `_getwch`."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.cli import keys as keys_here


class _Msvcrt(ModuleType):
    """A console on which these keys were pressed. A key that is no character comes as two: NUL or U+00E0, then which one."""

    def __init__(self, *pressed: str) -> None:
        super().__init__("msvcrt")
        self.left = list("".join(pressed))

    def getwch(self) -> str:
        """The next one, without Enter and unseen; Ctrl-C is a character of it, and no signal."""
        return self.left.pop(0)


class _Console:
    """A standard input that is a console, with lines typed on it."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self.lines.pop(0)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as Windows imports it."""
    spec = importlib.util.spec_from_file_location("keys_of_windows", Path(keys_here.__file__))
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as during:
        during.setattr(sys, "platform", "win32")
        spec.loader.exec_module(found)
    monkeypatch.setattr(sys, "stdin", _Console("too short, ñ \r\n"))
    return found


def _pressed(monkeypatch: pytest.MonkeyPatch, *keys: str) -> _Msvcrt:
    made = _Msvcrt(*keys)
    monkeypatch.setitem(sys.modules, "msvcrt", made)
    return made


def test_keys_are_read_as_they_are_pressed(windows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _pressed(monkeypatch, "1", "=", "é", "\r", " ", "\t", "2")
    with windows.keys() as found:
        assert [found.read() for _ in range(4)] == ["1", "=", "é", "2"]


def test_both_halves_of_a_key_that_is_no_character_are_passed_over(windows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    up, home, delete, f1 = "\xe0H", "\xe0G", "\xe0S", "\0;"  # their second halves could be verdicts
    console = _pressed(monkeypatch, up, home, "1", delete, f1, "q")
    with windows.keys() as found:
        assert [found.read(), found.read()] == ["1", "q"]
    assert not console.left


def test_ctrl_c_interrupts_and_leaves_what_comes_behind(windows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    console = _pressed(monkeypatch, "1", "\x03", "2")
    with windows.keys() as found:
        assert found.read() == "1"
        with pytest.raises(KeyboardInterrupt):
            found.read()
    assert console.left == ["2"]


@pytest.mark.parametrize("end", ["\x04", "\x1a"], ids=["ctrl-d", "ctrl-z"])
def test_the_end_of_the_input_is_no_key(end: str, windows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _pressed(monkeypatch, "1", end)
    with windows.keys() as found:
        assert [found.read(), found.read()] == ["1", ""]


def test_a_line_in_between_is_typed_as_usual(windows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _pressed(monkeypatch, "c", "2")
    with windows.keys() as found:
        assert found.read() == "c"
        assert found.line() == "too short, ñ"
        assert found.read() == "2"
