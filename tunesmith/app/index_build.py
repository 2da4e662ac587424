"""An index of documents made, and brought up to date: what is new or another is cut and read by the model, what is gone is removed, the rest stays."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.app.index import SCHEMA, Embedder, Index, Settings, open_index, title_tokens
from tunesmith.app.interruption import Interruption
from tunesmith.context.chunks import Span, split
from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.events import Event, Progress, Stage
from tunesmith.core.files import write_json
from tunesmith.core.passages import Passage, PassageStore
from tunesmith.data.library import Document, Unread, read_library

__all__ = ["PASSAGE_TOKENS", "build_index"]

PASSAGE_TOKENS = 200
"""Of a passage, where nobody says another length."""
_DEFAULTS: Mapping[str, Any] = {"model": "minilm-l6", "passage_tokens": PASSAGE_TOKENS, "overlap_tokens": 40}
_BATCH_PASSAGES = 512
"""That are put into the store at once."""
_LENGTHS = ("passage_tokens", "overlap_tokens")


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
        rebuild: make it anew, with other settings or of another source.
        user: whose documents these are: only that person's questions find them. The index is there already, and its settings stand.
        profile: what every request of that person shows from now on; None: as before.
    Returns: {schema, index, source, user, model: {name, sha256}, passage_tokens, overlap_tokens, documents, passages, added, changed, removed, unchanged, left_out, seconds}; all but the
        settings and `left_out` (name -> why) are numbers. Interrupted, it goes on by the same call.
    Raises: UsageError, where `folder` is no index, or one of another source or with other settings; DataError, where there is no text to index; FetchError, ModelError.
    """
    folder = folder or Path(f"{Path(_absolute(source)).name or 'documents'}.index")
    wanted = {"model": model and _absolute(model), "passage_tokens": passage_tokens, "overlap_tokens": overlap_tokens}
    started = time.perf_counter()
    with Interruption() as interruption:
        say = interruption.checked(progress)
        say(Stage("data", source))
        documents, unread = _read(source)
        index = _opened(folder, source, wanted, rebuild) if user is None else _opened_for_a_person(folder, wanted)
        store, known = (index.store, index.store.documents()) if user is None else _store_of(index, user, profile, source, rebuild)
        new = [one for name, one in documents.items() if known.get(name) != one.sha256]
        gone = [name for name in store.documents() if name not in documents and not any(one.may_hold(name) for one in unread)]
        _put(index, store, new, say)
        _take_away(store, gone, say)
        if user is not None:
            index.person(user).set_facts({**asdict(index.settings), "source": _absolute(source)})
    added = sum(one.name not in known for one in new)
    return {
        "schema": SCHEMA,
        "index": str(folder),
        "source": source,
        "user": user,
        "model": {"name": index.settings.model, "sha256": index.settings.model_sha256},
        **{name: getattr(index.settings, name) for name in _LENGTHS},
        "documents": len(store.documents()),
        "passages": len(store),
        "added": added,
        "changed": len(new) - added,
        "removed": len(gone),
        "unchanged": len(documents) - len(new),
        "left_out": {one.name: one.why for one in unread},
        "seconds": time.perf_counter() - started,
    }


def _absolute(name: str) -> str:
    """A path that is there as it can be found from everywhere; other names as they are."""
    path = Path(name).expanduser()
    try:
        return str(path.resolve()) if path.exists() else name
    except OSError:
        return name


def _read(source: str) -> tuple[dict[str, Document], list[Unread]]:
    """Raises: DataError, where there is no text."""
    documents, unread = dict[str, Document](), list[Unread]()
    for one in read_library(source):
        if isinstance(one, Unread):
            unread.append(one)
        else:
            documents[one.name] = one
    if not documents:
        raise DataError(f"{source}: holds no text to index.{''.join(f' {one.name}: {one.why}' for one in unread[:1])}")
    return documents, unread


def _opened(folder: Path, source: str, wanted: Mapping[str, Any], rebuild: bool) -> Index:
    """The index that is there, or a new one. `wanted`: settings, where they are asked for. Raises: UsageError."""
    is_there, asked = (folder / "index.json").is_file(), {name: value for name, value in wanted.items() if value is not None}
    if not is_there and (folder.is_file() or (folder.is_dir() and any(folder.iterdir()))):
        raise UsageError(f"{folder}: holds something else. Name another folder with --to.")
    before = _settings_of(folder, rebuild) if is_there else {}
    if is_there and not rebuild:
        index = open_index(folder)
        other = [f"with {name} {before[name]}, not {value}" for name, value in asked.items() if before[name] != value]
        other += [f"of {index.source}"] if index.source != _absolute(source) else []
        if other:
            raise UsageError(
                f"{folder}: was made {'; '.join(other)}. Ask for the same, name another folder with --to, or make it anew: --rebuild."
            )
        return index
    index = Index(folder, _absolute(source), _new_settings({**_DEFAULTS, **before, **asked}, asked.keys()))
    passages, old = folder / "passages", folder / "passages.old"
    if is_there and passages.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        passages.rename(old)  # at once: an index without passages is one that is not filled yet
    write_json(folder / "index.json", {"schema": SCHEMA, "source": index.source, "settings": asdict(index.settings)})
    if is_there:
        shutil.rmtree(old, ignore_errors=True)
    return index


def _settings_of(folder: Path, rebuild: bool) -> dict[str, Any]:
    """Those of the index that is there; none of a broken one that is to be made anew. Raises: UsageError."""
    try:
        return asdict(open_index(folder).settings)
    except UsageError:
        if rebuild:
            return {}
        raise


def _new_settings(wanted: Mapping[str, Any], asked: Set[str]) -> Settings:
    """Lengths that nobody asked for are made to fit. Raises: UsageError, for those that go nowhere; ModelError, FetchError."""
    model, passage_tokens, overlap_tokens = (wanted[name] for name in _DEFAULTS)
    embedder = Embedder(model)
    most = embedder.max_tokens - title_tokens(embedder.max_tokens)
    if "passage_tokens" not in asked:
        passage_tokens = min(passage_tokens, most)
    if passage_tokens > most:
        raise UsageError(f"--passage-tokens {passage_tokens}: {model} reads {most} at most, beside a passage's titles.")
    if "overlap_tokens" not in asked and overlap_tokens >= passage_tokens / 2:
        overlap_tokens = passage_tokens // 5
    if not 0 <= overlap_tokens < passage_tokens / 2:
        raise UsageError(f"--overlap-tokens {overlap_tokens}: expected fewer than half of a passage's {passage_tokens}.")
    return Settings(model, embedder.sha256, passage_tokens, overlap_tokens)


def _opened_for_a_person(folder: Path, wanted: Mapping[str, Any]) -> Index:
    """Raises: UsageError, where there is no index, or settings are asked for."""
    asked = [f"--{name.replace('_', '-')}" for name, value in wanted.items() if value is not None]
    if asked:
        raise UsageError(f"{asked[0]}: with --user the settings are the index's. Leave it out.")
    return open_index(folder)


def _store_of(index: Index, user: str, profile: str | None, source: str, rebuild: bool) -> tuple[PassageStore, Mapping[str, str]]:
    """A person's documents, and those among them that were read with the index's settings, once a new profile is kept.

    Raises: UsageError, where they are of another source.
    """
    who = index.person(user)
    facts = who.facts
    if facts.get("source") not in (None, _absolute(source)) and not rebuild:
        raise UsageError(f"{index.folder}: {user}'s documents are those of {facts['source']}. To have these in their place: --rebuild.")
    if profile is not None:
        who.set_profile(profile)
    is_alike = all(facts.get(name) == getattr(index.settings, name) for name in _LENGTHS)
    return who.documents, who.documents.documents() if is_alike and not rebuild else {}


def _take_away(store: PassageStore, gone: Sequence[str], say: Callable[[Event], None]) -> None:
    """Remove documents, and tidy: always, as an earlier call may have been interrupted before."""
    store.remove(gone)
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
        passages = [one for _, found in batch for one in found]
        store.put(passages, index.vectors(passages), {one.name: one.sha256 for one, _ in batch})
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
