"""A user's own function: what it is given, what counts as a number, and what is said where it fails."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rewarded_answers import PROMPT, nobody, response

from tunesmith.core.errors import RewardError, UsageError
from tunesmith.core.types import Chat, Message, Origin, Preference, Prompt, Unpaired
from tunesmith.reward.function import Function

SOURCE = """
import json, time
import numpy as np

def words(answer):
    return len(answer.split())

def everything(answer, prompt, reference, messages, num_tokens, has_ended):
    given = [answer, prompt, reference, messages, num_tokens, has_ended]
    return float(given == EXPECTED)

def all_of(**given):
    return len(given)

def partly(answer, *rest, scale=3, has_ended=None, **more):
    return scale * has_ended + len(rest)

def truth(answer):
    return answer == "yes"

def of_numpy(answer):
    return np.float32(0.5)

def in_an_array(answer):
    return np.array(2)

def nothing(answer):
    pass

def a_text(answer):
    return "0.5"

def several(answer):
    return np.ones(2)

def huge(answer):
    return 10 ** 400

def not_a_number(answer):
    return float("nan")

def unbounded(answer):
    return float("-inf")

def raises(answer):
    if "bad" in answer:
        raise ValueError("told\\nin two lines")
    return 1.0

def leaves(answer):
    raise SystemExit(3)

def hangs(answer):
    if "bad" in answer:
        time.sleep(30)
    return 1.0

def is_slow(answer):
    time.sleep(0.3)
    return 1.0

def num_turns(messages):
    return len(messages)

def asks_for_more(answer, refrence):
    return 1.0

class Scorer:
    def __call__(self, answer):
        return 7

scorer = Scorer()
number = 3
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("code") / "rewards.py"
    expected = ["yes", PROMPT, "no", [{"role": "user", "content": PROMPT}], 2, True]
    found.write_text(f"EXPECTED = {expected!r}\n{SOURCE}", encoding="utf-8")
    return found


def score(file: Path, name: str, *texts: str, **options: Any) -> list[float]:
    return Function(function=f"{file}:{name}", **options).score([response(text, reference="no") for text in texts], nobody)


def test_a_function_of_a_file_is_called_answer_by_answer(file: Path) -> None:
    assert score(file, "words", "a b", "a", "") == [2.0, 1.0, 0.0]


def test_a_function_of_a_module_is_imported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(file.parent))
    assert Function(function="rewards:words").score([response("a b c")], nobody) == [3.0]


def test_it_is_given_what_it_names(file: Path) -> None:
    assert score(file, "everything", "yes") == [1.0]
    assert score(file, "all_of", "yes") == [6.0]
    assert score(file, "partly", "yes") == [3.0]  # scale has a default, and nothing goes by place
    assert score(file, "scorer", "yes") == [7.0]


@pytest.mark.parametrize(
    ("example", "turns"),
    [
        (Chat((Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d")), Origin("x", 1)), "abc"),
        (Prompt((Message("system", "a"), Message("user", "b")), Origin("x", 1)), "ab"),
    ],
)
def test_messages_are_the_turns_before_the_answer(example: Any, turns: str, tmp_path: Path) -> None:
    file = tmp_path / "turns.py"
    file.write_text(f"def same(messages):\n    return ''.join(m['content'] for m in messages) == {turns!r}\n", encoding="utf-8")
    assert Function(function=f"{file}:same").score([response("x", example=example)], nobody) == [1.0]


@pytest.mark.parametrize(("name", "found"), [("truth", [1.0, 0.0]), ("of_numpy", [0.5, 0.5]), ("in_an_array", [2.0, 2.0])])
def test_truth_values_and_other_libraries_numbers_are_numbers(file: Path, name: str, found: list[float]) -> None:
    said = score(file, name, "yes", "no")
    assert said == found
    assert all(type(one) is float for one in said)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nothing", "returned NoneType, expected a number,"),
        ("a_text", "returned str, expected a number,"),
        ("several", "returned ndarray, expected a number,"),
        ("huge", "returned int, expected a number,"),
        ("not_a_number", "returned nan, expected a finite number,"),
        ("unbounded", "returned -inf, expected a finite number,"),
        ("raises", "raised ValueError: told in two lines (rewards.py:"),
        ("leaves", "raised SystemExit: 3 (rewards.py:"),
    ],
)
def test_what_is_no_number_is_told_in_one_line_with_the_row_and_the_answer(file: Path, name: str, what: str) -> None:
    with pytest.raises(RewardError) as error:
        score(file, name, "bad\nanswer")
    text = str(error.value)
    assert text.startswith(f"rewards: function: {file}:{name}: {what}")
    assert "for the answer 'bad answer' to asked.jsonl:3. Mend it, or set on_failure" in text
    assert "\n" not in text
    assert score(file, name, "bad\nanswer", on_failure=-0.5) == [-0.5]


def test_a_function_that_raises_at_some_answers_goes_on_with_the_others(file: Path) -> None:
    assert score(file, "raises", "good", "bad", "good", on_failure=0.0) == [1.0, 0.0, 1.0]


def test_a_function_that_hangs_is_left_behind(file: Path) -> None:
    started = time.perf_counter()
    assert score(file, "hangs", "good", "bad", "good", on_failure=-1.0, timeout_seconds=0.2) == [1.0, -1.0, 1.0]
    with pytest.raises(RewardError, match=r"hangs: returned nothing in 0\.2 s for the answer 'bad' to asked\.jsonl:3\."):
        score(file, "hangs", "bad", timeout_seconds=0.2)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("named", "what"),
    [
        ("{file}:asks_for_more", r'asks for refrence, which no answer has\. Did you mean "reference"\?'),
        ("{file}:word", r'rewards\.py has no function word\. Did you mean "words"\?'),
        ("{file}:number", r"rewards\.py has no function number\."),
        ("{file}", r"expected file\.py:name or package\.module:name\."),
        ("elsewhere.py:words", r"elsewhere\.py: no such file\. Name a Python file, as rewards\.py:name\."),
        ("no_such_module:words", r"no_such_module: cannot be loaded \(ModuleNotFoundError: No module named 'no_such_module'\)\."),
        (":words", r"expected file\.py:name"),
    ],
)
def test_a_function_that_is_not_there_is_told_before_anything_runs(file: Path, named: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as error:
        Function(function=named.format(file=file))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("def f(answer:\n", r"broken\.py: cannot be loaded \(SyntaxError"),
        ("import no_such_package\n", r"cannot be loaded \(ModuleNotFoundError: No module named 'no_such_package'\)"),
        ("raise ValueError('at once')\n", r"cannot be loaded \(ValueError: at once\)"),
        ("raise SystemExit(1)\n", r"cannot be loaded \(SystemExit: 1\)"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(source: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(source, encoding="utf-8")
    with pytest.raises(UsageError, match=what) as error:
        Function(function=f"{file}:f")
    assert "\n" not in str(error.value)


def test_a_mended_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "mended.py"
    for value in (1.0, 2.0):
        file.write_text(f"def f(answer):\n    return {value}  {'#' * int(value)}\n", encoding="utf-8")
        assert Function(function=f"{file}:f").score([response("x")], nobody) == [value]


def test_a_file_may_hold_dataclasses(tmp_path: Path) -> None:
    file = tmp_path / "classes.py"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    n: int\ndef f(answer):\n    return A(3).n\n",
        encoding="utf-8",
    )
    assert Function(function=f"{file}:f").score([response("x")], nobody) == [3.0]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_time_that_is_none_is_named(file: Path, seconds: float) -> None:
    with pytest.raises(UsageError, match=r"timeout_seconds: -?\d: expected a number above 0"):
        Function(function=f"{file}:words", timeout_seconds=seconds)


def test_a_thread_whose_function_came_back_late_ends(file: Path) -> None:
    score(file, "is_slow", "bad", "bad", on_failure=0.0, timeout_seconds=0.05)
    deadline = time.perf_counter() + 5
    while any(one.name == "reward" for one in threading.enumerate()) and time.perf_counter() < deadline:
        time.sleep(0.02)
    assert not [one for one in threading.enumerate() if one.name == "reward" and not _hangs(one)]


def _hangs(one: threading.Thread) -> bool:
    """Those of other tests, which sleep for half a minute."""
    frame = sys._current_frames().get(one.ident or 0)
    return frame is not None and frame.f_code.co_name == "hangs"


@pytest.mark.parametrize("kind", [Preference, Unpaired])
def test_a_function_sees_the_whole_conversation_that_was_judged(kind: type, file: Path) -> None:
    turns, ways = (Message("system", "a"), Message("user", "b")), (Message("assistant", "c"),)
    here = Origin("x", 1)
    example = Preference(turns, ways, (Message("assistant", "d"),), here) if kind is Preference else Unpaired(turns, ways, True, here)
    found = Function(function=f"{file}:num_turns").score([response("x", example=example)], nobody)
    assert found == [2.0]
