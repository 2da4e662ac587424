"""The index that a context searches: the one that it names, or one made of the documents that it names, kept in the cache for the next time.

A kept index is found by a hash of its documents and of the encoder: documents that are others by now have another index.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tunesmith.app.index import SCHEMA, Index, open_index
from tunesmith.app.index_build import PASSAGE_TOKENS, build_index
from tunesmith.app.people import open_store
from tunesmith.core.context import Strategy
from tunesmith.core.errors import DataError
from tunesmith.core.events import Event
from tunesmith.core.files import cache_folder, hash_of, write_json
from tunesmith.data.library import Document, read_library
from tunesmith.model.source import Request, resolve

__all__ = ["check_searched", "documents_of", "indexing_seconds", "passage_tokens", "searched", "unmade_characters"]

_MADE = "made.json"
"""In a kept index: how long it took."""
_LOOKED_AT, _LOOKED_INTO = 200, 4000
"""Documents that tell how long passages are, and characters of each."""


def check_searched(strategy: Strategy) -> None:
    """Whether there is something to search, without making an index.

    Raises: UsageError, where the named index is not there, is of another encoder by now, or a package is missing; DataError, where the documents hold no text; FetchError, ModelError.
    """
    if strategy.index:
        _ = open_index(Path(strategy.index)).embedder
    elif strategy.documents:
        open_store(cache_folder("indexes"))
        resolve(Request(strategy.embedded_by))
        if not any(isinstance(one, Document) for one in read_library(strategy.documents)):
            raise DataError(f"{strategy.documents}: holds no text to look anything up in.")


def searched(strategy: Strategy, progress: Callable[[Event], None] | None = None) -> Index:
    """The index of a strategy that has one, or that names documents: made where it is not kept. Raises: as `check_searched`."""
    if strategy.index:
        return open_index(Path(strategy.index))
    folder = _folder(strategy, documents_of(strategy))
    if not (folder / _MADE).is_file():
        making = folder.with_name(f"{folder.name}.{os.getpid()}")
        try:
            made = build_index(strategy.documents, making, model=strategy.embedded_by, progress=progress)
            write_json(making / _MADE, {"seconds": made["seconds"]})
            with suppress(OSError):  # another process was quicker
                making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return open_index(folder)


def documents_of(strategy: Strategy) -> list[Document]:
    """What it names to be looked up; none where it names an index, or nothing."""
    named = read_library(strategy.documents) if strategy.documents and not strategy.index else ()
    return [one for one in named if isinstance(one, Document)]


def unmade_characters(strategy: Strategy, documents: Sequence[Document]) -> int:
    """Of the strategy's documents, those that an index has to be made of; 0 where it is kept, or none is needed."""
    if not documents or (_folder(strategy, documents) / _MADE).is_file():
        return 0
    return sum(len(one.text) for one in documents)


def _folder(strategy: Strategy, documents: Sequence[Document]) -> Path:
    """Where the index of these documents is kept."""
    encoder = resolve(Request(strategy.embedded_by)).sha256
    named = sorted((one.name, one.sha256) for one in documents)
    return cache_folder("indexes") / hash_of(SCHEMA, strategy.documents, strategy.embedded_by, encoder, named)[:32]


def passage_tokens(strategy: Strategy, documents: Sequence[Document], tokenizer: Any) -> float:
    """About how many tokens a passage has, without making an index: no more than its index cuts, and no more than the first documents hold.

    Args:
        documents: the strategy's.
        tokenizer: of the model that reads them.
    """
    if strategy.index:
        return float(open_index(Path(strategy.index)).settings.passage_tokens)
    lengths = [len(tokenizer(one.text[:_LOOKED_INTO], add_special_tokens=False)["input_ids"]) for one in documents[:_LOOKED_AT]]
    return sum(lengths) / max(1, sum(math.ceil(length / PASSAGE_TOKENS) for length in lengths))


def indexing_seconds(index: Index) -> float | None:
    """How long a kept index took to make; None of others."""
    try:
        return float(json.loads((index.folder / _MADE).read_text(encoding="utf-8"))["seconds"])
    except FileNotFoundError:
        return None
