"""A Python function of your own, from a file or an installed module.

It is called once an answer with what it names of: `answer`, `prompt`, `reference`, `messages`, `num_tokens`, `has_ended`, and returns a number. It runs in this process: name code that you trust.
"""

import importlib
import importlib.util
import inspect
import math
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import RewardError, TunesmithError, UsageError, did_you_mean, one_line
from tunesmith.core.rewards import Ask, Response

__all__ = ["Function"]

_GIVEN = ("answer", "prompt", "reference", "messages", "num_tokens", "has_ended")
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, kw_only=True)
class Function:
    """What a function returns for an answer."""

    function: str
    """`file.py:name`, or `package.module:name`."""
    on_failure: float | None = None
    """What an answer gets where the function raises, hangs, or returns what is no finite number; null: the run stops."""
    timeout_seconds: float = 10.0
    """How long it may take for one answer, > 0."""
    weight: float = 1.0
    """What it counts beside the recipe's other rewards; below 0 it is a penalty."""
    _call: Callable[..., Any] = field(init=False, repr=False, compare=False)

    file_options: ClassVar[tuple[str, ...]] = ("function",)

    def __post_init__(self) -> None:
        """Raises: UsageError, where there is no such function, or it asks for what is not given."""
        if self.timeout_seconds <= 0:
            raise UsageError(f"timeout_seconds: {self.timeout_seconds:g}: expected a number above 0.")
        object.__setattr__(self, "_call", _loaded(self.function))
        wanted = [
            name
            for name, one in inspect.signature(self._call).parameters.items()
            if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) and (one.default is one.empty or name in _GIVEN)
        ]
        strange = next((name for name in wanted if name not in _GIVEN), None)
        if strange is not None:
            raise UsageError(f"function: {self.function}: asks for {strange}, which no answer has.{did_you_mean(strange, _GIVEN)}")

    def score(self, responses: Sequence[Response], ask: Ask) -> list[float]:
        """What the function says, answer by answer. Raises: RewardError, where it fails and nothing says what to do then."""
        with _Calls(self._call, self.timeout_seconds) as calls:
            return [self._one(calls, response) for response in responses]

    def _one(self, calls: "_Calls", response: Response) -> float:
        try:
            return _number(calls(_arguments(self._call, response)))
        except RewardError as error:
            if self.on_failure is not None:
                return self.on_failure
            origin, shown = response.example.origin, " ".join(response.text.split())[:_SHOWN_CHARACTERS]
            raise RewardError(
                f"rewards: function: {self.function}: {error} for the answer {shown!r} to {origin.file}:{origin.row}. Mend it, or set on_failure to what such an answer is to get."
            ) from None


def _number(found: Any) -> float:
    """Truth values and other libraries' numbers too, texts not. Raises: RewardError."""
    try:
        number = None if isinstance(found, str | bytes | bytearray) else float(found)
    except Exception:  # whatever another library's object raises
        number = None
    if number is None:
        raise RewardError(f"returned {type(found).__name__}, expected a number,")
    if not math.isfinite(number):
        raise RewardError(f"returned {number}, expected a finite number,")
    return number


class _Calls:
    """A thread in which a function is called, so that one that hangs can be left behind."""

    def __init__(self, call: Callable[..., Any], timeout_seconds: float) -> None:
        self._call, self._timeout = call, timeout_seconds
        self._asked: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def __enter__(self) -> "_Calls":
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.put(None)

    def _begin(self) -> None:
        self._asked, self._said = queue.SimpleQueue(), queue.SimpleQueue()
        threading.Thread(target=_serve, args=(self._call, self._asked, self._said), daemon=True, name="reward").start()

    def __call__(self, arguments: Mapping[str, Any]) -> Any:
        """What the function returns. Raises: RewardError."""
        self._asked.put(arguments)
        try:
            is_fine, said = self._said.get(timeout=self._timeout)
        except queue.Empty:
            self._asked.put(None)  # the old thread ends when its call does
            self._begin()
            raise RewardError(f"returned nothing in {self._timeout:g} s") from None
        if not is_fine:
            raise RewardError(f"raised {said}")
        return said


def _serve(call: Callable[..., Any], asked: Any, said: Any) -> None:
    while (arguments := asked.get()) is not None:
        try:
            said.put((True, call(**arguments)))
        except (Exception, SystemExit) as error:  # whatever a user's code raises
            last = traceback.extract_tb(error.__traceback__)[-1]
            said.put((False, f"{type(error).__name__}: {one_line(error)} ({Path(last.filename).name}:{last.lineno})"))


def _arguments(call: Callable[..., Any], response: Response) -> dict[str, Any]:
    given = {
        "answer": response.text,
        "prompt": response.prompt,
        "reference": response.reference,
        "messages": [{"role": turn.role, "content": turn.content} for turn in response.turns],
        "num_tokens": response.num_tokens,
        "has_ended": response.has_ended,
    }
    parameters = inspect.signature(call).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return given if takes_all else {name: value for name, value in given.items() if name in parameters}


def _loaded(named: str) -> Callable[..., Any]:
    """The function. Raises: UsageError."""
    where, _, name = named.rpartition(":")
    if not where or not name:
        raise UsageError(f"function: {named}: expected file.py:name or package.module:name.")
    try:
        module = _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except TunesmithError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's file does when it is read
        raise UsageError(f"function: {where}: cannot be loaded ({type(error).__name__}: {one_line(error)}). Mend it first.") from None
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise UsageError(f"function: {where} has no function {name}.{did_you_mean(name, known)}")
    return found  # type: ignore[no-any-return]


def _from_file(file: Path) -> Any:
    if not file.is_file():
        raise UsageError(f"function: {file}: no such file. Name a Python file, as rewards.py:name.")
    spec = importlib.util.spec_from_file_location(f"tunesmith_reward_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None  # of a file that ends in .py there is one
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses of the file look themselves up
    spec.loader.exec_module(module)
    return module
