"""How a long command shows that it is alive: a bar on a terminal, a plain line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

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


class Progress:
    """A callable that shows each event; a context, at whose end the bar goes away."""

    def __init__(self, *, live: bool | None = None) -> None:
        self._live = sys.stderr.isatty() if live is None else live
        self._console = console(stderr=True)
        self._bar: rich.progress.Progress | None = None
        self._task: Any = None
        self._stage = ""
        self._last_line_seconds = 0.0
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
                self._move(stage, done, total, "", size if in_bytes else count)
            case Stepped(step, total_steps, seconds_left):
                self._smooth(step.loss, step.num_tokens / max(step.seconds, 1e-9), first=step.index == 1)
                text = f"loss {significant(self._loss)} · {count(self._tokens_per_second)} tokens/s"
                if seconds_left > 0:
                    text += f" · {duration(seconds_left)} left"
                self._move("train", step.index, total_steps, text, count)
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

    def _move(self, stage: str, done: int, total: int, text: str, number: Callable[[float], str]) -> None:
        of = f"{number(done)}/{number(total)}" if total else number(done)
        if self._live:
            self._move_bar(stage, done, total, " · ".join(filter(None, (of, text))))
            return
        now = time.monotonic()
        if now - self._last_line_seconds >= _LINE_EVERY_SECONDS or (done == total and text):
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
