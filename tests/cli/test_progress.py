"""Progress is a plain line now and then where nobody watches, and a bar on a terminal; always on stderr."""

import pytest

from tunesmith.cli import progress as module
from tunesmith.cli.progress import Progress
from tunesmith.core.events import Notice, Stage, Stepped, Validated, Warned
from tunesmith.core.events import Progress as Done
from tunesmith.core.types import Step


def step(index: int, loss: float) -> Step:
    return Step(index, loss, 1.0, 1e-4, 16, 1000, 16.0, 0.5, index / 100)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_every_ten_seconds_and_at_the_end(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(live=False) as progress:
        progress(Stage("train", "lora, 100 steps"))
        for index in range(1, 101):
            clock[0] += 0.25
            progress(Stepped(step(index, 0.5), 100, (100 - index) * 0.25))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "train: lora, 100 steps",
        "  train 40/100 · loss 0.500 · 2,000 tokens/s · 15\u202fs left",
        "  train 80/100 · loss 0.500 · 2,000 tokens/s · 5\u202fs left",
        "  train 100/100 · loss 0.500 · 2,000 tokens/s",
    ]


def test_shown_loss_is_smoothed_from_the_first_steps_on(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(live=False) as progress:
        progress(Stepped(step(1, 1.0), 2, 1.0))
        progress(Stepped(step(2, 0.0), 2, 0.0))
    assert "loss 0.900" in capsys.readouterr().err  # 0.9 * 1.0 + 0.1 * 0.0


def test_validations_notices_and_warnings_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(live=False) as progress:
        progress(Validated(50, 0.61234, {"macro_f1": 0.8123}, best=True))
        progress(Notice("stopped early"))
        progress(Warned("few rows"))
    assert capsys.readouterr().err.splitlines() == [
        "  validation after step 50: loss 0.612, macro f1 0.812 (best so far)",
        "  stopped early",
        "warning: few rows",
    ]


def test_downloads_are_counted_in_bytes(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(live=False) as progress:
        progress(Stage("model", "minilm-l6"))
        clock[0] = 11.0
        progress(Done("model", 45_000_000, 90_000_000, in_bytes=True))
    assert capsys.readouterr().err.splitlines()[-1] == "  model 45.0\u202fMB/90.0\u202fMB"


def test_bar_goes_away_and_leaves_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(live=True) as progress:
        progress(Stage("train"))
        progress(Stepped(step(1, 0.5), 2, 3.0))
        assert progress._bar is not None
        progress(Notice("between"))
        progress(Stepped(step(2, 0.5), 2, 0.0))
    assert progress._bar is None
    assert "between" in capsys.readouterr().err


def test_a_total_that_is_not_known_is_left_out(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(live=False) as progress:
        progress(Stage("predict", "rows.csv"))
        clock[0] = 10.0
        progress(Done("predict", 5120, 0))
    assert capsys.readouterr().err.splitlines()[-1] == "  predict 5,120 · 512/s"


def test_a_count_says_its_pace_and_the_time_left_every_ten_seconds(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(live=False) as progress:
        progress(Stage("predict", "rows.csv"))
        for done in range(100, 3001, 100):
            clock[0] += 1.0
            progress(Done("predict", done, 3000))
    assert capsys.readouterr().err.splitlines() == [
        "predict: rows.csv",
        "  predict 1,000/3,000 · 100/s · 20\u202fs left",
        "  predict 2,000/3,000 · 100/s · 10\u202fs left",
        "  predict 3,000/3,000 · 100/s",
    ]


def test_a_count_that_begins_anew_has_a_pace_of_its_own(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(live=False) as progress:
        progress(Stage("evaluate"))
        clock[0] = 9.0
        progress(Done("evaluate", 900, 900))
        progress(Done("evaluate", 0, 100))
        clock[0] = 14.0
        progress(Done("evaluate", 20, 100))
    assert capsys.readouterr().err.splitlines()[-1] == "  evaluate 20/100 · 4.00/s · 20\u202fs left"
