"""The questions of `tunesmith feedback collect`, on a terminal or through a pipe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tunesmith.cli.keys import keys
from tunesmith.cli.output import console

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.app.feedback_collect import Sitting
    from tunesmith.app.feedback_session import Question, Session
    from tunesmith.cli.keys import Keys

__all__ = ["ask"]

_PAIR_KEYS = "1 2 the better answer   = equally good   s skip   u undo   c comment   q leave"
_GRADE_KEYS = "1 (bad) to 5 (good)   s skip   u undo   c comment   q leave"
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What would move the cursor, colour the screen or turn the direction of writing: an answer may hold anything."""


def ask(sitting: Sitting, store: str) -> None:
    """Ask until nothing is left, the judge leaves, or the input ends."""
    out, session = console(), sitting.session
    out.print(f"{sitting.judge}, {store}: {_greeting(sitting)}", style="bold")
    with keys() as pressed:
        shown = -1
        while (question := session.current) is not None:
            if shown != session.number:
                _show(question, session, out)
                shown = session.number
            _prompt(question, session, out)
            key = pressed.read()
            out.print(key or "q")
            if key in ("", "q", "Q"):
                return
            if _take(key, question, session, pressed, out):
                shown = -1


def _greeting(sitting: Sitting) -> str:
    parts = [f"{sitting.session.total:,} to judge", f"{sitting.judged_before:,} judged before"]
    if sitting.same_answers:
        parts.append(f"{sitting.same_answers:,} where both models said the same are left out")
    return ", ".join(parts)


def _take(key: str, question: Question, session: Session, pressed: Keys, out: Console) -> bool:
    """Do what a key asks for. Returns: whether the screen is to be shown anew."""
    place = session.number
    if key in "sS":
        session.skip()
    elif key in "uU":
        if not session.undo():
            out.print("nothing to undo in this sitting", style="dim")
        return session.number != place
    elif key in "cC":
        out.print("comment, then Enter: ", style="dim", end="")
        session.comment(pressed.line())
        out.print()
    elif len(question.answers) == 2 and key in "12=":
        _tell_elsewhere(session.choose({"1": 1, "2": 2, "=": None}[key]), out)
    elif len(question.answers) == 1 and key in "12345":
        _tell_elsewhere(session.grade(int(key)), out)
    else:
        out.print(_keys_of(question), style="dim")
    return False


def _tell_elsewhere(kept: bool, out: Console) -> None:
    if not kept:
        out.print("judged in another window in the meantime: what was said there stays", style="yellow")


def _keys_of(question: Question) -> str:
    return _PAIR_KEYS if len(question.answers) == 2 else _GRADE_KEYS


def _prompt(question: Question, session: Session, out: Console) -> None:
    asked = "which is better?" if len(question.answers) == 2 else f"{session.asked_grade}?"
    out.print(f"{asked} ", style="bold", end="")


def _show(question: Question, session: Session, out: Console) -> None:
    out.print()
    out.rule(f"{session.number:,} of {session.total:,}", characters="─" if out.encoding.startswith("utf") else "-")
    messages = question.prompt.messages
    for message in messages:
        _block("prompt" if len(messages) == 1 else str(message.get("role")), _text(message), out)
    for number, answer in enumerate(question.answers, start=1):
        _block(f"answer {number}" if len(question.answers) == 2 else "answer", answer.text, out)
    out.print(_keys_of(question), style="dim")


def _block(title: str, text: str, out: Console) -> None:
    out.print(title, style="bold cyan")
    out.print(_CONTROLS.sub("\ufffd", text.replace("\r\n", "\n")).strip("\n") or "(nothing)", soft_wrap=False)
    out.print()


def _text(message: Any) -> str:
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in message.get("tool_calls", ())]
    return "\n".join([*([message["content"]] if message.get("content") else []), *calls])
