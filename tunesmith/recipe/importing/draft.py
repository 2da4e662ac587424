"""A recipe in the making: values with the reason for each, and the keys of the other program's file that have no place in it."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.messages import shown
from tunesmith.recipe.text import write_yaml

__all__ = ["Draft", "Imported", "Left", "local_path"]

_WIDTH = 110
_MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Left:
    """A key that was not carried over."""

    key: str
    value: str
    """As the file has it, short."""
    reason: str
    cure: str
    """What to do; empty where nothing needs to be done."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A recipe made from another program's file."""

    program: str
    """LLaMA-Factory or axolotl."""
    text: str
    """The recipe, as YAML with comments."""
    left: tuple[Left, ...]


@dataclass
class Draft:
    """What was read of `given`, and the recipe that comes of it. Keys without a value (`wandb_project:`) count as not given."""

    where: str
    """What messages call the file."""
    given: dict[str, Any]
    source: str = ""
    """The file's text, in which messages find a key's line."""
    values: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def take(self, key: str, default: Any = None) -> Any:
        """The value of a key, which from now on counts as read; `default`, where it is not given."""
        self.seen.add(key)
        value = self.given.get(key)
        return default if value is None else value

    def has(self, key: str) -> bool:
        """Whether a key is given."""
        return self.given.get(key) is not None

    def number(self, key: str, default: Any = None, *, whole: bool = False, least: float | None = None) -> Any:
        """A number; text that is one (`"1e-4"`) counts. Raises: RecipeError, for anything else, or for less than `least`."""
        value = self.take(key, default)
        if isinstance(value, str) and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value.strip()):
            value = float(value)
        if value is None:
            return None
        expected = f"a {'whole ' if whole else ''}number" + ("" if least is None else f" of at least {least:g}")
        if isinstance(value, bool) or not isinstance(value, int | float) or (least is not None and value < least) or (whole and value % 1):
            raise self.refusal(key, f"expected {expected}, found {shown(value)}.")
        return int(value) if whole else value

    def text(self, key: str, default: str | None = None) -> str | None:
        """A text. Raises: RecipeError, for anything else."""
        value = self.take(key, default)
        if value is not None and not isinstance(value, str):
            raise self.refusal(key, f"expected text, found {shown(value)}.")
        return value

    def is_on(self, key: str, default: bool = False) -> bool:
        """Whether a switch is on. Raises: RecipeError, where it is neither true nor false."""
        value = self.take(key, default)
        if isinstance(value, str) and value.lower() in ("true", "false", "yes", "no", "on", "off"):
            return value.lower() in ("true", "yes", "on")
        if not isinstance(value, bool):
            raise self.refusal(key, f"expected true or false, found {shown(value)}.")
        return value

    def put(self, path: str, value: Any, why: str = "") -> None:
        """Write `value` at `path` (`train.epochs`) of the recipe, with a comment above it."""
        here = self.values
        *sections, last = path.split(".")
        for section in sections:
            here = here.setdefault(section, {})
        here[last] = value
        if why:
            self.comments[path] = why

    def leave(self, key: str, reason: str, cure: str = "", *, value: Any = None) -> None:
        """Say that a key was not carried over, and why; one that is not given is passed over."""
        self.seen.add(key)
        found = self.given.get(key) if value is None else value
        if found is not None:
            self.left.append(Left(key, _short(found), reason, cure))

    def leave_known(self, reasons: Mapping[str, tuple[str, str]]) -> None:
        """`leave` those of the keys that are given; switches that are off say nothing."""
        for key, (reason, cure) in reasons.items():
            if self.given.get(key) is False:
                self.seen.add(key)
            else:
                self.leave(key, reason, cure)

    def leave_rest(self) -> None:
        """`leave` every key that was not read."""
        for key in self.given:
            if key not in self.seen:
                self.leave(
                    key,
                    "not known here, or without a counterpart",
                    "look up what it does there; `tunesmith recipe schema` lists every key here",
                )

    def refusal(self, key: str, text: str) -> RecipeError:
        """An error about a key, with its line where it can be found."""
        found = re.search(rf'^[ \t\-"\']*{re.escape(key.rpartition(".")[2])}["\']?[ \t]*:', self.source, re.MULTILINE)
        line = f":{self.source.count(chr(10), 0, found.start()) + 1}" if found else ""
        return RecipeError(f"{self.where}{line}: {key}: {text}")

    def finished(self, program: str) -> Imported:
        """The recipe as text: comments where something was decided, and at the end what was not carried over and needs something done."""
        head = f"# Made by `tunesmith recipe import` from {Path(self.where).name}, a file of {program}.\n"
        tail = "".join(_comment(f"{one.key}: {one.value}: {one.reason}; {one.cure}.", "#   ") for one in self.left if one.cure)
        note = "\n# Not carried over:\n" + tail if tail else ""
        return Imported(program, head + "\n".join(_lines(self.values, self.comments)) + "\n" + note, tuple(self.left))


def local_path(path: Path) -> str:
    """A path as a recipe names it: from the current folder where it lies below that, else whole."""
    whole = path.absolute()
    return (whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole).as_posix()


def _short(value: Any) -> str:
    if not isinstance(value, Mapping | list):
        return shown(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def _lines(values: Mapping[str, Any], comments: Mapping[str, str], above: str = "", indent: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{above}{key}"
        if path in comments:
            yield from _comment(comments[path], f"{indent}# ").rstrip("\n").split("\n")
        if isinstance(value, dict) and any(one.startswith(f"{path}.") for one in comments):
            yield f"{indent}{key}:"
            yield from _lines(value, comments, f"{path}.", f"{indent}  ")
        else:
            yield from (f"{indent}{line}" for line in write_yaml({key: value}).rstrip("\n").split("\n"))


def _comment(text: str, start: str) -> str:
    return (
        textwrap.fill(
            " ".join(text.split()), _WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
        )
        + "\n"
    )
