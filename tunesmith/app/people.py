"""What an index keeps of one person: documents, a profile, and what was asked and answered. Each person has stores of their own, in a folder of their own.

    INDEX/people/HASH/person.json     whose it is, and the model of the vectors
    INDEX/people/HASH/profile.txt     what every request of theirs shows
    INDEX/people/HASH/documents/, history/

A search opens the folder of the one who asks and no other. To forget a person is to delete the folder.
"""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.files import hash_of, write_json, write_text
from tunesmith.core.passages import Array, Passage, PassageStore

__all__ = ["Person", "forget", "is_known", "person", "talk"]

_STORE = "lancedb"
_MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Person:
    """A person that an index knows."""

    folder: Path
    documents: PassageStore
    history: PassageStore

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

    def remember(self, question: str, answer: str, vector_H: Array) -> None:
        """Add a question and its answer to the history. `vector_H`: of `talk`."""
        text, now = talk(question, answer), datetime.now(UTC).isoformat(timespec="microseconds")
        self.history.put([Passage(now, 0, len(text), (), text)], vector_H[None], {now: hash_of(text)})
        self.history.tidy()


def talk(question: str, answer: str) -> str:
    """How a question and its answer stand in the history."""
    return f"Question: {question.strip()}\nAnswer: {answer.strip()}"


def person(index: Path, user: str, embedder: Any) -> Person:
    """The person of that name; who is new gets a folder. Vectors of another model than the index's are made anew.

    Raises: UsageError, for a name that is empty or too long.
    """
    folder, sha256 = _folder(index, user), embedder.sha256
    found = Person(folder, *(_store(folder / name) for name in ("documents", "history")))
    if not is_known(index, user):
        write_json(folder / "person.json", {"user": user, "model_sha256": sha256})
    elif json.loads((folder / "person.json").read_text(encoding="utf-8"))["model_sha256"] != sha256:
        for name in ("documents", "history"):
            _made_anew(folder / name, embedder)
        write_json(folder / "person.json", {"user": user, "model_sha256": sha256})
    return found


def is_known(index: Path, user: str) -> bool:
    """Whether the index keeps anything of a person. Raises: UsageError, as `person`."""
    return (_folder(index, user) / "person.json").is_file()


def forget(index: Path, user: str) -> None:
    """Delete all that the index keeps of a person. Raises: UsageError, where it knows nobody of that name."""
    if not is_known(index, user):
        raise UsageError(f"{index}: knows nobody called {user}.")
    shutil.rmtree(_folder(index, user))


def _folder(index: Path, user: str) -> Path:
    if not user.strip() or len(user) > _MOST_LETTERS:
        raise UsageError(f"--user: expected a name of 1 to {_MOST_LETTERS} letters.")
    return index / "people" / hash_of(user)[:32]


def _store(folder: Path) -> PassageStore:
    found: PassageStore = registry.create("store", _STORE, folder=str(folder))
    return found


def _made_anew(folder: Path, embedder: Any) -> None:
    """The same passages with vectors of another model; the old ones stay until the new are there."""
    old, new = _store(folder), folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    hashes = dict(old.documents())
    passages = [one for name in hashes for one in old.passages(name)]
    if passages:
        _store(new).put(passages, np.asarray(embedder.vectors([one.text for one in passages])), hashes)
        _store(new).tidy()
        shutil.rmtree(folder)
        new.rename(folder)
