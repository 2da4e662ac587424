"""What an index keeps of one person: documents, a profile, and what was asked and answered. Each person has stores of their own, in a folder of their own.

    INDEX/people/HASH/person.json     whose it is, where the documents come from, and how they were read
    INDEX/people/HASH/profile.txt     what every request of theirs shows
    INDEX/people/HASH/documents/, history/

A search opens the folder of the one who asks and no other. To forget a person is to delete the folder.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.files import hash_of, write_json, write_text
from tunesmith.core.passages import Array, Passage, PassageStore

__all__ = ["Person", "forget", "is_known", "open_store", "person", "talk"]

_STORE = "lancedb"
_MOST_LETTERS = 200
_STORES = ("documents", "history")
Vectors = Callable[[Sequence[Passage]], Array]
"""What makes the vectors of passages."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person that an index knows."""

    folder: Path
    user: str
    documents: PassageStore
    history: PassageStore

    @property
    def facts(self) -> dict[str, Any]:
        """`source` of the documents, and the settings that they were read with; empty where they are not known."""
        return _facts(self.folder)

    def set_facts(self, facts: Mapping[str, Any]) -> None:
        """Replace them."""
        write_json(self.folder / "person.json", {**facts, "user": self.user})

    @property
    def profile(self) -> str:
        """Empty where there is none."""
        file = self.folder / "profile.txt"
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def set_profile(self, text: str) -> None:
        """Replace it; an empty one takes it away."""
        if text.strip():
            write_text(self.folder / "profile.txt", text.strip() + "\n")
        else:
            (self.folder / "profile.txt").unlink(missing_ok=True)

    def remember(self, question: str, answer: str, vectors: Vectors) -> None:
        """Add a question and its answer to the history."""
        text, now = talk(question, answer), datetime.now(UTC).isoformat(timespec="microseconds")
        said = [Passage(now, 0, len(text), (), text)]
        self.history.put(said, vectors(said), {now: hash_of(text)})
        self.history.tidy()


def talk(question: str, answer: str) -> str:
    """How a question and its answer stand in the history."""
    return f"Question: {question.strip()}\nAnswer: {answer.strip()}"


def person(index: Path, user: str, model_sha256: str, vectors: Vectors) -> Person:
    """The person of that name; who is new gets a folder. Vectors of another model than the index's, whose hash is `model_sha256`, are made anew.

    Raises: UsageError, for a name that is empty or too long.
    """
    folder = _folder(index, user)
    shutil.rmtree(_gone(folder), ignore_errors=True)
    _finish(folder)
    found = Person(folder, user, *(open_store(folder / name) for name in _STORES))
    if found.facts.get("model_sha256") != model_sha256:
        for name in _STORES:
            _make_anew(folder / name, vectors)
        found.set_facts({**found.facts, "model_sha256": model_sha256})
    return found


def is_known(index: Path, user: str) -> bool:
    """Whether the index keeps anything of a person. Raises: UsageError, as `person`."""
    return _folder(index, user).is_dir()


def forget(index: Path, user: str) -> None:
    """Delete all that the index keeps of a person; once it has begun nothing of it is found any more, and the same call ends what was interrupted.

    Raises: UsageError, where it knows nobody of that name.
    """
    folder = _folder(index, user)
    gone = _gone(folder)
    if not folder.is_dir() and not gone.is_dir():
        raise UsageError(f"{index}: knows nobody called {user}.")
    while gone.is_dir():
        shutil.rmtree(gone)
    if folder.is_dir():
        folder.rename(gone)
        shutil.rmtree(gone)


def _folder(index: Path, user: str) -> Path:
    if not user.strip() or len(user) > _MOST_LETTERS:
        raise UsageError(f"--user: expected a name of 1 to {_MOST_LETTERS} letters.")
    return index / "people" / hash_of(user)[:32]


def _gone(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.gone")


def _facts(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "person.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def open_store(folder: Path) -> PassageStore:
    """The passages in a folder, an index's or a person's."""
    found: PassageStore = registry.create("store", _STORE, folder=str(folder))
    return found


def _make_anew(folder: Path, vectors: Vectors) -> None:
    """The same passages with vectors of another model; the old ones stay until the new are there."""
    old, new, put_aside = open_store(folder), folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    shutil.rmtree(new, ignore_errors=True)
    hashes = dict(old.documents())
    passages = [one for name in hashes for one in old.passages(name)]
    if passages:
        open_store(new).put(passages, vectors(passages), hashes)
        open_store(new).tidy()
        folder.rename(put_aside)
        new.rename(folder)
        shutil.rmtree(put_aside)


def _finish(folder: Path) -> None:
    """End what was interrupted between the two renamings above."""
    for name in _STORES:
        current, new, put_aside = (folder / f"{name}{end}" for end in ("", ".new", ".old"))
        if put_aside.is_dir() and not current.is_dir():
            new.rename(current)
        shutil.rmtree(put_aside, ignore_errors=True)
