"""Keys without Enter: from a terminal (a pseudo-terminal here), and from a pipe."""

import io
import json
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.cli.keys import keys

pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def typist(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written to it is typed on the terminal that is the standard input."""
    typed, terminal = pty.openpty()
    with os.fdopen(terminal, "r", encoding="utf-8", closefd=True) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield typed
    os.close(typed)


def test_keys_are_read_as_they_are_pressed(typist: int) -> None:
    with keys() as pressed:
        os.write(typist, "1=é\n 2".encode())
        assert [pressed.read() for _ in range(4)] == ["1", "=", "é", "2"]


def test_keys_that_are_no_character_are_no_verdict(typist: int) -> None:
    with keys() as pressed:
        os.write(typist, b"\x1b[1~\x1b[A\x1bOP\x1b[15;2~q")  # Home, up, F1, Ctrl-F5
        assert pressed.read() == "q"


def test_the_end_of_the_input_is_no_key(typist: int) -> None:
    with keys() as pressed:
        os.write(typist, b"1\x04")
        assert [pressed.read(), pressed.read()] == ["1", ""]


def test_a_line_in_between_is_typed_as_usual(typist: int) -> None:
    with keys() as pressed:
        os.write(typist, b"c")
        assert pressed.read() == "c"
        threading.Timer(0.2, os.write, (typist, "too l\x7fshort, ñ\n2".encode())).start()  # a person reads first
        assert pressed.line() == "too short, ñ"
        assert pressed.read() == "2"


def test_the_terminal_is_afterwards_as_it_was(typist: int) -> None:
    before = termios.tcgetattr(sys.stdin.fileno())
    with pytest.raises(KeyboardInterrupt), keys() as pressed:
        os.write(typist, b"1")
        pressed.read()
        assert not termios.tcgetattr(sys.stdin.fileno())[3] & termios.ICANON
        raise KeyboardInterrupt
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_a_pipe_gives_a_character_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n =c some words\nq"))
    with keys() as pressed:
        assert [pressed.read(), pressed.read(), pressed.read()] == ["1", "=", "c"]
        assert pressed.line() == "some words"
        assert [pressed.read(), pressed.read()] == ["q", ""]


def test_a_judge_at_a_terminal_who_presses_ctrl_c_keeps_what_was_judged(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny"
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text("model: m\n")
    (run / "report.json").write_text(json.dumps({"model": {"name": "base"}}))
    said = [{"split": "test", "row": f"x:{n}", "prompt": f"q{n}", "tuned": {"text": "a"}, "base": {"text": "b"}, "scores": {}} for n in range(3)]  # fmt: skip
    (run / "predictions.jsonl").write_text("\n".join(map(json.dumps, said)))
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "tunesmith", "feedback", "collect", "tiny", "--judge", "ann"])
    seen = b""
    for key in (b"1", b"=", b"\x03"):
        seen += _read_until(terminal, b"which is better?")
        time.sleep(0.05)
        os.write(terminal, key)
    seen += _read_until(terminal, b"The same command goes on from there.")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 130
    os.close(terminal)
    assert b"interrupted; 2 judgements are kept in runs/feedback.sqlite" in seen
    assert b"Traceback" not in seen


def _read_until(terminal: int, words: bytes) -> bytes:
    seen, end = b"", time.monotonic() + 30
    while words not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
    return seen
