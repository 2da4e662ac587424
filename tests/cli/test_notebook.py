"""In a notebook, progress is one output that is written anew."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tunesmith.cli.notebook import NotebookProgress, in_notebook
from tunesmith.core.events import Progress, Stage, Stepped, Validated, Warned
from tunesmith.core.types import Step


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a notebook would show, state after state."""
    states = list[str]()
    display = ModuleType("IPython.display")
    display.HTML = lambda text: text  # type: ignore[attr-defined]

    def begin(state: str, display_id: bool) -> Any:
        assert display_id
        states.append(state)
        return SimpleNamespace(update=states.append)

    display.display = begin  # type: ignore[attr-defined]
    package = ModuleType("IPython")
    package.get_ipython = type("ZMQInteractiveShell", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return states


def _step(index: int) -> Step:
    return Step(index, 0.5, 1.0, 1e-3, 8, 200, 50.0, 0.1, 0.5)


def test_a_kernel_is_told_from_a_plain_interpreter(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert not in_notebook()


def test_every_event_writes_the_one_output_anew(shown: list[str]) -> None:
    with NotebookProgress() as progress:
        progress(Stage("train", "lora, 4 steps"))
        progress(Stepped(_step(1), 4, 12.0))
        progress(Validated(1, 0.4, {"accuracy": 0.75}, best=True))
        progress(Progress("test", 5, 10))
        progress(Warned("a <b> in the data"))
    assert len(shown) == 7
    assert 'value="0.2500"' in shown[2]
    assert "step 1/4 · loss 0.500 · 2,000 tokens/s · 12 s left" in shown[2]
    assert "validation after step 1: loss 0.400, accuracy 0.750 (best so far)" in shown[3]
    assert "test 5/10" in shown[4]
    assert "warning: a &lt;b&gt; in the data" in shown[5]
    assert "<progress" not in shown[-1]
