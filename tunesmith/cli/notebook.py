"""Live progress in a notebook: one output that is written anew with every event."""

import html
from typing import Any

from tunesmith.core.events import Event, Notice, Progress, Stage, Stepped, Validated, Warned

__all__ = ["NotebookProgress", "in_notebook"]

_LINES = 12


def in_notebook() -> bool:
    """Whether this is a notebook's kernel, where output is HTML."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return type(get_ipython()).__name__ == "ZMQInteractiveShell"


class NotebookProgress:
    """A callable that shows each event; a context, at whose end the last state stays."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._now, self._share = "", 0.0
        self._handle: Any = None

    def __enter__(self) -> "NotebookProgress":
        from IPython.display import HTML, display

        self._handle = display(HTML(self._html()), display_id=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._now = ""
        self._show()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Stage(name, detail):
                self._lines.append(f"{name}: {detail}" if detail else name)
                self._now, self._share = "", 0.0
            case Progress(stage, done, total):
                self._now, self._share = (f"{stage} {done:,}/{total:,}", done / total) if total else (f"{stage} {done:,}", 0.0)
            case Stepped(step, total_steps, seconds_left):
                speed = step.num_tokens / max(step.seconds, 1e-9)
                self._now = f"step {step.index}/{total_steps} · loss {step.loss:.3f} · {speed:,.0f} tokens/s · {seconds_left:,.0f} s left"
                self._share = step.index / total_steps
            case Validated(step, loss, metrics, best):
                values = ", ".join(f"{name} {value:.3f}" for name, value in {"loss": loss, **metrics}.items())
                self._lines.append(f"validation after step {step}: {values}{' (best so far)' if best else ''}")
            case Notice(text) | Warned(text):
                self._lines.append(f"warning: {text}" if isinstance(event, Warned) else text)
        self._show()

    def _show(self) -> None:
        from IPython.display import HTML

        if self._handle is not None:
            self._handle.update(HTML(self._html()))

    def _html(self) -> str:
        lines = "<br>".join(html.escape(line) for line in self._lines[-_LINES:])
        bar = f'<br><progress value="{self._share:.4f}" max="1"></progress> {html.escape(self._now)}' if self._now else ""
        return f'<div style="font: 13px/1.5 monospace">{lines}{bar}</div>'
