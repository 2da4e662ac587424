"""Every error that tunesmith raises for a user's mistake or a machine's limit.

    TunesmithError            1   something failed
    ├── UsageError            2   the command or the recipe is wrong
    │   ├── RecipeError           a key or a value of the recipe
    │   ├── ModelError            no such model, or one that cannot be used so
    │   ├── MethodError           a method that does not fit the model
    │   ├── ObjectiveError        an objective that does not fit the data or the model
    │   └── RunError              no such run, or a run directory that cannot be written or read
    ├── DataError             3   the data
    ├── FetchError            1   something could not be downloaded, or is not what was pinned
    ├── DiskFull              1   no room left to write
    ├── MemoryExhausted       1   the smallest possible micro-batch does not fit
    ├── RewardError           1   an answer that gets no reward: its function raises, hangs, or returns no number
    ├── Diverged              4   the loss is no longer a number, or a policy has left its reference
    └── Interrupted         130   Ctrl-C or SIGTERM, after everything was saved

The number is the exit code of the command line. A message is one line: where, what was found, what was expected, what to do next.
"""

import difflib
import itertools
from collections.abc import Iterable

__all__ = [
    "DataError",
    "DiskFull",
    "Diverged",
    "FetchError",
    "Interrupted",
    "MemoryExhausted",
    "MethodError",
    "ModelError",
    "ObjectiveError",
    "RecipeError",
    "RewardError",
    "RunError",
    "TunesmithError",
    "UsageError",
    "did_you_mean",
    "one_line",
]


_MOST_KNOWN = 1000
"""A file may have a million columns, and comparing a word with each takes a millisecond."""
_MOST_LISTED = 60


class TunesmithError(Exception):
    """Anything that stops a command and that its user can act on. Its text is one line."""

    exit_code = 1


class UsageError(TunesmithError):
    """The command or the recipe asks for something that cannot be."""

    exit_code = 2


class RecipeError(UsageError):
    """A key or a value of the recipe is wrong."""


class ModelError(UsageError):
    """The model is unknown, incomplete, or cannot be used in the way asked for."""


class MethodError(UsageError):
    """The method does not fit the model."""


class ObjectiveError(UsageError):
    """The objective does not fit the data or the model."""


class RunError(UsageError):
    """The run does not exist, or its directory cannot be used."""


class DataError(TunesmithError):
    """The data cannot be read, or cannot be trained on."""

    exit_code = 3


class FetchError(TunesmithError):
    """A download failed, or its hash is not the pinned one."""


class DiskFull(TunesmithError):
    """What was to be written does not fit on the disk."""


class MemoryExhausted(TunesmithError):
    """The machine's memory does not hold the smallest possible micro-batch."""


class RewardError(TunesmithError):
    """A reward could not be had of an answer."""


class Diverged(TunesmithError):
    """The loss or the gradient is no longer a finite number, or a policy is further from its reference than it may be."""

    exit_code = 4


class Interrupted(TunesmithError):
    """The user or the system asked the run to stop; it can be resumed."""

    exit_code = 130


def one_line(error: BaseException, most: int | None = None) -> str:
    """An error's text in one line, of at most so many characters; the name of its class, where it has none."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean "x"? Known: a, b, c.`, leaving the question out where nothing is near."""
    names = sorted(itertools.islice(known, _MOST_KNOWN))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if not near:  # "lora_rank" is nearer to "r" than any ratio of letters says
        parts = [name for name in names if len(name) > 2 and (name in word or word in name)]
        near = parts[:1]
    question = f' Did you mean "{near[0]}"?' if near else ""
    listed = f"{', '.join(names[:_MOST_LISTED])}, ..." if len(names) > _MOST_LISTED else ", ".join(names)
    return f"{question} Known: {listed}." if names else question
