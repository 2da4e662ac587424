"""An index of documents: made, kept up to date, and searched by meaning and by words.

INDEX/index.json     what it is of, the model of its vectors, the length of its passages
INDEX/passages/      the store
INDEX/people/        what it keeps of single people, of whom nobody else's search sees anything (`app/people.py`)
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunesmith.app.interruption import Interruption
from tunesmith.app.people import is_known, person
from tunesmith.context.chunks import Span, split
from tunesmith.context.fusion import fused
from tunesmith.core import registry
from tunesmith.core.errors import DataError, UsageError, one_line
from tunesmith.core.events import Event, Progress, Stage
from tunesmith.core.files import write_json
from tunesmith.core.passages import Array, Passage, PassageStore
from tunesmith.core.types import Labelled, Origin
from tunesmith.data.library import Document, Unread, read_library

__all__ = ["Found", "Index", "build_index", "open_index"]

_SCHEMA = "tunesmith/index/1"
_STORE = "lancedb"
_BATCH_PASSAGES = 512
"""That are put into the store at once."""
_RANKED = 50
"""Passages of each ranking that are fused, at least."""
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
        found: PassageStore = registry.create("store", _STORE, folder=str(self.folder / "passages"))
        return found

    @cached_property
    def embedder(self) -> "Embedder":
        """The model of its vectors. Raises: UsageError, where that is another by now; ModelError, FetchError."""
        found = Embedder(self.settings.model)
        if found.sha256 != self.settings.model_sha256:
            raise UsageError(
                f"{self.folder}: {self.settings.model} is another model than its vectors were made with. Make it anew: --rebuild."
            )
        return found

    def search(self, question: str, count: int, user: str | None = None) -> list[Found]:
        """The passages that answer a question best, by reciprocal rank fusion of nearness of meaning and BM25.

        Args:
            user: who asks: what is kept of that person is searched too, and of nobody else.
        Raises: UsageError, for a question without text.
        """
        if not question.strip():
            raise UsageError("the question is empty. Say what is to be looked up.")
        stores: dict[Kept, PassageStore] = {"all": self.store}
        if user is not None and is_known(self.folder, user):
            who = person(self.folder, user, self.embedder)
            stores |= {"documents": who.documents, "history": who.history}
        vector_H, ranked = self.embedder.vectors([question])[0], max(_RANKED, 4 * count)
        near = [(hit, kept) for kept, store in stores.items() for hit in store.nearest(vector_H, ranked)]
        near.sort(key=lambda found: -found[0].score)  # a cosine is the same in every store; BM25's score is not
        rankings = [[(kept, hit.passage) for hit, kept in near]]
        rankings += [[(kept, hit.passage) for hit in store.matching(question, ranked)] for kept, store in stores.items()]
        by_meaning, *by_words = [{key: place for place, key in enumerate(ranking, start=1)} for ranking in rankings]
        words = {key: place for places in by_words for key, place in places.items()}
        return [Found(key[1], by_meaning.get(key), words.get(key), key[0]) for key in fused(rankings)[:count]]

    def rankings(self, question: str, vector_H: Array, count: int) -> tuple[list[Passage], list[Passage]]:
        """By meaning and by words, of as many passages as it takes to find the best `count`. `vector_H`: the question's."""
        ranked = max(_RANKED, 4 * count)
        by_meaning, by_words = self.store.nearest(vector_H, ranked), self.store.matching(question, ranked)
        return [hit.passage for hit in by_meaning], [hit.passage for hit in by_words]


class Embedder:
    """A model that makes vectors of texts."""

    def __init__(self, name: str) -> None:
        """Load it. Raises: ModelError, FetchError."""
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

    def vectors(self, texts: Sequence[str], tick: Callable[[int], None] = lambda done: None) -> Array:
        """Of each text the mean of its last hidden states, at length 1: shape (texts, H). What is longer than the model reads is cut."""
        from tunesmith.app.judging import embed

        vectors_PH = embed(self._speaker, [Labelled(text, None, _HERE) for text in texts], tick).numpy()
        return np.asarray(vectors_PH / np.maximum(np.linalg.norm(vectors_PH, axis=1, keepdims=True), 1e-12), dtype=np.float32)

    def token_starts(self, text: str) -> list[int]:
        """Of each token of a text the character that it begins at."""
        found = self._speaker.model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
        return [start for start, _ in found["offset_mapping"]]


def build_index(
    source: str,
    folder: Path | None = None,
    *,
    model: str | None = None,
    passage_tokens: int | None = None,
    overlap_tokens: int | None = None,
    rebuild: bool = False,
    user: str | None = None,
    profile: str | None = None,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Make an index of documents, or bring it up to date: only documents whose text is another are read by the model again.

    Args:
        source: a folder, a file, or a source of texts that a recipe could name.
        folder: of the index; None: the source's name with `.index`, in the working directory.
        model: the encoder that makes the vectors. It, and the tokens, are as the index has them, where that is there; else `minilm-l6`, 200 and 40.
        rebuild: make an index anew whose settings are others.
        user: whose documents these are: only that person's questions find them. The index is there already, and its settings stand.
        profile: what every request of that person shows from now on; None: as before.
    Returns: {schema, index, source, user, model: {name, sha256}, passage_tokens, overlap_tokens, documents, passages, added, changed, removed, unchanged, left_out, seconds}; all but the
        settings and `left_out` (name -> why) are numbers. Interrupted, it goes on by the same call.
    Raises: UsageError, where `folder` is no index, or one with other settings; DataError, where there is no text to index; FetchError, ModelError.
    """
    folder = folder or Path(f"{Path(source).name or 'documents'}.index")
    wanted = {"model": model, "passage_tokens": passage_tokens, "overlap_tokens": overlap_tokens}
    started = time.perf_counter()
    with Interruption() as interruption:
        say = interruption.checked(progress)
        say(Stage("data", source))
        documents, unread = _read(source)
        if not documents:
            raise DataError(f"{source}: holds no text to index.{_first(unread)}")
        index = _opened(folder, source, wanted, rebuild) if user is None else open_index(folder)
        store = index.store if user is None else _store_of(index, user, profile)
        known = store.documents()
        new = [one for name, one in documents.items() if known.get(name) != one.sha256]
        gone = [name for name in known if name not in documents and name.partition("#")[0] not in unread]
        _bring_up_to_date(index, store, new, gone, say)
    added = sum(one.name not in known for one in new)
    return {
        "schema": _SCHEMA,
        "index": str(folder),
        "source": source,
        "user": user,
        "model": {"name": index.settings.model, "sha256": index.settings.model_sha256},
        "passage_tokens": index.settings.passage_tokens,
        "overlap_tokens": index.settings.overlap_tokens,
        "documents": len(store.documents()),
        "passages": len(store),
        "added": added,
        "changed": len(new) - added,
        "removed": len(gone),
        "unchanged": len(documents) - len(new),
        "left_out": unread,
        "seconds": time.perf_counter() - started,
    }


def open_index(folder: Path) -> Index:
    """The index in a folder. Raises: UsageError, where there is none, or one of another version."""
    file = folder / "index.json"
    try:
        from json import loads

        found = loads(file.read_text(encoding="utf-8"))
        if found["schema"] != _SCHEMA:
            raise ValueError(f"its form is {found['schema']}, expected {_SCHEMA}")
        return Index(folder, found["source"], Settings(**found["settings"]))
    except OSError:
        raise UsageError(f"{folder}: no index there. Make one: tunesmith index FOLDER --to {folder}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: is not what an index holds ({one_line(error, 120)}). Make it anew: --rebuild.") from None


def _read(source: str) -> tuple[dict[str, Document], dict[str, str]]:
    documents, unread = dict[str, Document](), dict[str, str]()
    for one in read_library(source):
        if isinstance(one, Unread):
            unread[one.name] = one.why
        else:
            documents[one.name] = one
    return documents, unread


def _first(unread: dict[str, str]) -> str:
    return "".join(f" {name}: {why}" for name, why in list(unread.items())[:1])


_DEFAULTS: Mapping[str, Any] = {"model": "minilm-l6", "passage_tokens": 200, "overlap_tokens": 40}


def _opened(folder: Path, source: str, wanted: Mapping[str, Any], rebuild: bool) -> Index:
    """The index that is there, or a new one. `wanted`: settings, where they are asked for. Raises: UsageError."""
    is_there, asked = (folder / "index.json").is_file(), {name: value for name, value in wanted.items() if value is not None}
    if not is_there and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder}: holds something else. Name another folder with --to.")
    before = asdict(open_index(folder).settings) if is_there else {}
    if is_there and not rebuild:
        other = [f"{name} {before[name]}, not {value}" for name, value in asked.items() if before[name] != value]
        if other:
            raise UsageError(f"{folder}: was made with {'; '.join(other)}. Ask for the same, or make it anew: --rebuild.")
        return open_index(folder)
    model, passage_tokens, overlap_tokens = (asked.get(name, before.get(name, default)) for name, default in _DEFAULTS.items())
    embedder = Embedder(model)
    if passage_tokens > embedder.max_tokens:
        raise UsageError(f"--passage-tokens {passage_tokens}: {model} reads {embedder.max_tokens} at most.")
    if not 0 <= overlap_tokens < passage_tokens / 2:
        raise UsageError(f"--overlap-tokens {overlap_tokens}: expected fewer than half of a passage's {passage_tokens}.")
    index = Index(folder, source, Settings(model, embedder.sha256, passage_tokens, overlap_tokens))
    index.__dict__["embedder"] = embedder
    passages, old = folder / "passages", folder / "passages.old"
    if is_there and passages.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        passages.rename(old)  # at once: an index without passages is one that is not filled yet
    write_json(folder / "index.json", {"schema": _SCHEMA, "source": source, "settings": asdict(index.settings)})
    if is_there:
        shutil.rmtree(old, ignore_errors=True)
    return index


def _store_of(index: Index, user: str, profile: str | None) -> PassageStore:
    """That of a person's documents, once a new profile is kept."""
    who = person(index.folder, user, index.embedder)
    if profile is not None:
        who.set_profile(profile)
    return who.documents


def _bring_up_to_date(
    index: Index, store: PassageStore, new: Sequence[Document], gone: Sequence[str], say: Callable[[Event], None]
) -> None:
    _put(index, store, new, say)
    store.remove(gone)
    if new or gone:
        say(Stage("store"))
        store.tidy()


def _put(index: Index, store: PassageStore, documents: Sequence[Document], say: Callable[[Event], None]) -> None:
    """Cut documents into passages and put these into the store, some whole documents at a time."""
    if not documents:
        return
    say(Stage("embed", f"{len(documents):,} documents"))
    done, total = 0, sum(len(one.text) for one in documents)
    for batch in _batches(index, documents):
        say(Progress("embed", done, total))
        texts = ["\n".join([" > ".join(one.headings), one.text]).strip() for _, passages in batch for one in passages]
        vectors_PH = index.embedder.vectors(texts)
        store.put([one for _, passages in batch for one in passages], vectors_PH, {one.name: one.sha256 for one, _ in batch})
        done += sum(len(one.text) for one, _ in batch)
    say(Progress("embed", total, total))


def _batches(index: Index, documents: Iterable[Document]) -> Iterator[list[tuple[Document, list[Passage]]]]:
    batch, num_passages = list[tuple[Document, list[Passage]]](), 0
    for document in documents:
        spans = split(
            document.text,
            index.embedder.token_starts(document.text),
            most_tokens=index.settings.passage_tokens,
            overlap_tokens=index.settings.overlap_tokens,
        )
        batch.append((document, [_passage(document, span) for span in spans]))
        num_passages += len(spans)
        if num_passages >= _BATCH_PASSAGES:
            yield batch
            batch, num_passages = [], 0
    if batch:
        yield batch


def _passage(document: Document, span: Span) -> Passage:
    return Passage(document.name, span.start, span.end, span.headings, document.text[span.start : span.end])
