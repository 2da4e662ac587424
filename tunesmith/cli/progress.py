"""How a long command shows that it is alive: a bar on a terminal, a plain line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from tunesmith.cli.output import console
from tunesmith.core.events import Event, Notice, Stage, Stepped, Validated, Warned
from tunesmith.core.events import Progress as Done
from tunesmith.report.numbers import count, duration, significant, size

if TYPE_CHECKING:
    import rich.progress

__all__ = ["Progress"]

_LINE_EVERY_SECONDS = 10.0
_SMOOTHING = 0.9
"""Weight of the past in the shown loss and speed."""


class _Counting(NamedTuple):
    """What a stage counts, since when, from where, and how far it has come."""

    stage: str
    first: int
    last: int
    since_seconds: float


class Progress:
    """A callable that shows each event; a context, at whose end the bar goes away."""

    def __init__(self, *, live: bool | None = None) -> None:
        self._live = sys.stderr.isatty() if live is None else live
        self._console = console(stderr=True)
        self._bar: rich.progress.Progress | None = None
        self._task: Any = None
        self._stage = ""
        self._last_line_seconds = 0.0
        self._counting = _Counting("", 0, 0, 0.0)
        self._loss = 0.0
        self._tokens_per_second = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._end_bar()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Stage(name, detail):
                self._begin(name, detail)
            case Done(stage, done, total, in_bytes):
                self._move(stage, done, total, "" if in_bytes else self._pace(stage, done, total), size if in_bytes else count)
            case Stepped(step, total_steps, seconds_left):
                self._smooth(step.loss, step.num_tokens / max(step.seconds, 1e-9), first=step.index == 1)
                text = f"loss {significant(self._loss)} · {count(self._tokens_per_second)} tokens/s"
                if seconds_left > 0:
                    text += f" · {duration(seconds_left)} left"
                self._move("train", step.index, total_steps, text, count, ends=True)
            case Validated(step, loss, metrics, best):
                values = ", ".join(f"{name.replace('_', ' ')} {significant(value)}" for name, value in {"loss": loss, **metrics}.items())
                self._print(f"  validation after step {step}: {values}{' (best so far)' if best else ''}")
            case Notice(text):
                self._print(f"  {text}")
            case Warned(text):
                self._print(f"warning: {text}", style="yellow")

    def _begin(self, name: str, detail: str) -> None:
        self._end_bar()
        self._stage = name
        self._print(f"{name}: {detail}" if detail else name, style="bold")
        self._last_line_seconds = time.monotonic()
        self._counting = _Counting(name, 0, 0, self._last_line_seconds)

    def _pace(self, stage: str, done: int, total: int) -> str:
        """How many are done in a second, and the time left where the total is known."""
        was, now = self._counting, time.monotonic()
        if stage != was.stage or done < was.last:
            was = _Counting(stage, done, done, now)
        self._counting = was._replace(last=done)
        seconds, counted = now - was.since_seconds, done - was.first
        if seconds < 1 or not counted:
            return ""
        rate = counted / seconds
        text = f"{count(rate) if rate >= 10 else significant(rate)}/s"
        return text if done >= total else f"{text} · {duration((total - done) / rate)} left"

    def _move(self, stage: str, done: int, total: int, text: str, number: Callable[[float], str], *, ends: bool = False) -> None:
        of = f"{number(done)}/{number(total)}" if total else number(done)
        if self._live:
            self._move_bar(stage, done, total, " · ".join(filter(None, (of, text))))
            return
        now = time.monotonic()
        if now - self._last_line_seconds >= _LINE_EVERY_SECONDS or (ends and done == total):
            self._last_line_seconds = now
            self._print("  " + " · ".join(filter(None, (f"{stage} {of}", text))))

    def _move_bar(self, stage: str, done: int, total: int, text: str) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        if self._bar is None or stage != self._stage:
            self._end_bar()
            self._stage = stage
            columns = (TextColumn("  {task.description}"), BarColumn(bar_width=32), TextColumn("{task.fields[text]}"))
            self._bar = Bar(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(stage, total=total or None, text=text)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total or None, text=text)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _smooth(self, loss: float, tokens_per_second: float, *, first: bool) -> None:
        past = 0.0 if first or not self._tokens_per_second else _SMOOTHING
        self._loss = past * self._loss + (1 - past) * loss
        self._tokens_per_second = past * self._tokens_per_second + (1 - past) * tokens_per_second

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style)
