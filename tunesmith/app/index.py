"""An index of documents, opened and searched by meaning and by words.

INDEX/index.json     what it is of, the model of its vectors, the length of its passages
INDEX/passages/      the store
INDEX/people/        what it keeps of single people, of whom nobody else's search sees anything (`app/people.py`)
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunesmith.app.people import Person, is_known, open_store, person
from tunesmith.context.fusion import fused
from tunesmith.core import registry
from tunesmith.core.errors import UsageError, one_line
from tunesmith.core.passages import Array, Passage, PassageStore
from tunesmith.core.types import Labelled, Origin

__all__ = ["SCHEMA", "Embedder", "Found", "Index", "Settings", "open_index", "title_tokens"]

SCHEMA = "tunesmith/index/1"
_RANKED = 50
"""Passages of each ranking that are fused, at least."""
_TITLE_LETTERS = 120
"""Of the titles that a passage is read with; the nearest come first into these."""
_HERE = Origin("passage", 1)


@dataclass(frozen=True, slots=True)
class Settings:
    """What every passage of an index has in common."""

    model: str
    model_sha256: str
    passage_tokens: int
    overlap_tokens: int


Kept = Literal["all", "documents", "history"]


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that answers a question, and its place, from 1, in each of the rankings; None where that does not hold it."""

    passage: Passage
    by_meaning: int | None
    by_words: int | None
    kept_of: Kept = "all"
    """Whose it is: everybody's, or of the one who asks a document or a part of the history."""


class Index:
    """An index that is there."""

    def __init__(self, folder: Path, source: str, settings: Settings) -> None:
        self.folder = folder
        self.source = source
        self.settings = settings

    @cached_property
    def store(self) -> PassageStore:
        """Where its passages are."""
        return open_store(self.folder / "passages")

    @cached_property
    def embedder(self) -> "Embedder":
        """The model of its vectors. Raises: UsageError, where that is another by now; ModelError, FetchError."""
        found = Embedder(self.settings.model)
        if found.sha256 != self.settings.model_sha256:
            raise UsageError(
                f"{self.folder}: {self.settings.model} is another model than its vectors were made with. Make it anew: {self.command} --rebuild."
            )
        return found

    @property
    def command(self) -> str:
        """What brings it up to date."""
        return f"tunesmith index {self.source} --to {self.folder}"

    def vectors(self, passages: Sequence[Passage]) -> Array:
        """Of each passage one, of its titles and its text: shape (passages, H)."""
        return self.embedder.vectors([_read_as(one) for one in passages])

    def person(self, user: str) -> Person:
        """What it keeps of a person; who is new gets a folder. Raises: UsageError, for no name."""
        return person(self.folder, user, self.settings.model_sha256, self.vectors)

    def known_person(self, user: str | None) -> Person | None:
        """As `person`, of one of whom it keeps something; None, where it does not, or nobody is named."""
        return self.person(user) if user is not None and is_known(self.folder, user) else None

    def search(self, question: str, count: int, user: str | None = None) -> list[Found]:
        """The passages that answer a question best, by reciprocal rank fusion of nearness of meaning and BM25.

        Args:
            user: who asks: what is kept of that person is searched too, and of nobody else.
        Raises: UsageError, for a question without text.
        """
        if not question.strip():
            raise UsageError("the question is empty. Say what is to be looked up.")
        stores: dict[Kept, PassageStore] = {"all": self.store}
        who = self.known_person(user)
        if who is not None:
            stores |= {"documents": who.documents, "history": who.history}
        vector_H, ranked = self.embedder.vectors([question])[0], max(_RANKED, 4 * count)
        near = [(hit, kept) for kept, store in stores.items() for hit in store.nearest(vector_H, ranked)]
        near.sort(key=lambda found: -found[0].score)  # a cosine is the same in every store; BM25's score is not
        rankings = [[(kept, hit.passage) for hit, kept in near]]
        rankings += [[(kept, hit.passage) for hit in store.matching(question, ranked)] for kept, store in stores.items()]
        by_meaning, *by_words = [{key: place for place, key in enumerate(ranking, start=1)} for ranking in rankings]
        words = {key: place for places in by_words for key, place in places.items()}
        return [Found(key[1], by_meaning.get(key), words.get(key), key[0]) for key in fused(rankings)[:count]]

    def passages_for(self, questions: Sequence[str], count: int) -> list[list[Passage]]:
        """For each question the passages that answer it best, as `search` finds them without anybody's own; none for a question without text."""
        vectors_QH = self.embedder.vectors(questions)
        return [
            fused(self.rankings(question, vector_H, count))[:count] if question.strip() else []
            for question, vector_H in zip(questions, vectors_QH, strict=True)
        ]

    def rankings(self, question: str, vector_H: Array, count: int) -> tuple[list[Passage], list[Passage]]:
        """By meaning and by words, of as many passages as it takes to find the best `count`. `vector_H`: the question's."""
        ranked = max(_RANKED, 4 * count)
        by_meaning, by_words = self.store.nearest(vector_H, ranked), self.store.matching(question, ranked)
        return [hit.passage for hit in by_meaning], [hit.passage for hit in by_words]


class Embedder:
    """A model that makes vectors of texts."""

    def __init__(self, name: str) -> None:
        """Load it. Raises: UsageError, where its tokenizer is of no use here; ModelError, FetchError."""
        from tunesmith.app.tuned import load_untuned
        from tunesmith.recipe import from_mapping

        recipe = from_mapping({"model": name, "data": {"train": "none"}}, name="index")
        self._speaker = load_untuned(recipe, registry.create("objective", "classify"), "classification", "text")
        self.sha256 = self._speaker.model.source.sha256 or ""
        self.max_tokens = self._speaker.model.facts.max_length
        if not self._speaker.model.tokenizer.is_fast:
            raise UsageError(
                f"{name}: its tokenizer does not tell where in a text its tokens stand. Name an encoder with a tokenizer.json."
            )

    def vectors(self, texts: Sequence[str]) -> Array:
        """Of each text the mean of its last hidden states, at length 1: shape (texts, H). What is longer than the model reads is cut."""
        from tunesmith.app.judging import embed

        vectors_PH = embed(self._speaker, [Labelled(text, None, _HERE) for text in texts]).numpy()
        return np.asarray(vectors_PH / np.maximum(np.linalg.norm(vectors_PH, axis=1, keepdims=True), 1e-12), dtype=np.float32)

    def token_starts(self, text: str) -> list[int]:
        """Of each token of a text the character that it begins at."""
        found = self._speaker.model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
        return [start for start, _ in found["offset_mapping"]]


def title_tokens(max_tokens: int) -> int:
    """Tokens of a model that are left for the titles of a passage, and for what a tokenizer puts around a text."""
    return min(40, max_tokens // 4)


def open_index(folder: Path) -> Index:
    """The index in a folder. Raises: UsageError, where there is none, or one of another version."""
    file = folder / "index.json"
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise ValueError(f"its form is {found['schema']}, expected {SCHEMA}")
        return Index(folder, found["source"], Settings(**found["settings"]))
    except OSError:
        raise UsageError(f"{folder}: no index there. Make one: tunesmith index FOLDER --to {folder}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: is not what an index holds ({one_line(error, 120)}). Make it anew: --rebuild.") from None


def _read_as(passage: Passage) -> str:
    """What the model reads of a passage: the titles that it stands under, as many of the nearest as have room, and its text."""
    titles = " > ".join(passage.headings)
    return f"{titles[-_TITLE_LETTERS:]}\n{passage.text}".strip()
