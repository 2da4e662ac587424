"""Index a library of real texts as `tunesmith index` does, and fill the index up with passages made of them: what the leg of `search` is asked."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tunesmith.app.index import open_index
from tunesmith.app.index_build import build_index
from tunesmith.app.machine import machine_facts, versions
from tunesmith.core.passages import Array, Passage
from tunesmith.core.types import Completion
from tunesmith.data import read
from tunesmith.data.library import Document, read_library

__all__ = ["MODEL", "mixed", "write", "write_library"]

MODEL = "minilm-l6"
_ASKED_OF = 10
"""Of every so many functions one is a question in place of a document."""
_PER_DOCUMENT, _BATCH = 8, 512
"""Passages of a document that is made, and those that are put into the store at once."""


def write_library(folder: Path) -> list[str]:
    """Functions of Python's library and pages of its reference, a file each. Returns: questions, the sentences that describe the functions which are left out."""
    folder.mkdir(parents=True)
    functions = [one for one in read("docstrings").examples if isinstance(one, Completion)]
    for number, one in enumerate(functions):
        if number % _ASKED_OF:
            (folder / f"function-{number}.txt").write_text(one.source, encoding="utf-8")
    for number, page in enumerate(read_library("python-reference")):
        if isinstance(page, Document):
            (folder / f"page-{number}.md").write_text(page.text, encoding="utf-8")
    return [one.target for one in functions[::_ASKED_OF]]


def mixed(passages: Sequence[Passage], vectors_PH: Array, count: int) -> Iterator[tuple[list[Passage], Array]]:
    """`count` passages in batches, each the first half of one and the second half of another; its vector is a weighted mean of theirs, at length 1."""
    rng = np.random.default_rng(0)
    pairs_n2, weights_n = rng.integers(len(passages), size=(count, 2)), rng.uniform(0.2, 0.8, size=(count, 1))
    for first in range(0, count, _BATCH):
        batch = slice(first, first + _BATCH)
        mean_BH = weights_n[batch] * vectors_PH[pairs_n2[batch, 0]] + (1 - weights_n[batch]) * vectors_PH[pairs_n2[batch, 1]]
        made = [_halves(number, passages[a], passages[b]) for number, (a, b) in enumerate(pairs_n2[batch], start=first)]
        yield made, (mean_BH / np.linalg.norm(mean_BH, axis=1, keepdims=True)).astype(np.float32)


def _halves(number: int, one: Passage, other: Passage) -> Passage:
    text = one.text[: len(one.text) // 2] + other.text[len(other.text) // 2 :]
    place, start = number // _PER_DOCUMENT, number % _PER_DOCUMENT
    return replace(one, document=f"mixed-{place}.txt", start=start, end=start + len(text), text=text)


def write(folder: Path, num_chunks: int, repeats: int, model: str = MODEL) -> None:
    """Write index/, and beside it questions.json, places.json and vectors.npy (of each passage), and facts.json, with what was measured on the way."""
    questions = write_library(folder / "library")
    indexing, embedding = list[float](), list[float]()
    for _ in range(repeats):
        indexing.append(build_index(str(folder / "library"), folder / "index", model=model, rebuild=True)["seconds"])
        index = open_index(folder / "index")
        passages = [one for name in index.store.documents() for one in index.store.passages(name)]
        _ = index.embedder
        started = time.perf_counter()
        vectors_PH = index.vectors(passages)
        embedding.append(time.perf_counter() - started)
    places, all_vectors = [(one.document, one.start) for one in passages], [vectors_PH]
    storing = 0.0
    for batch, batch_BH in mixed(passages, vectors_PH, num_chunks - len(passages)):
        started = time.perf_counter()
        index.store.put(batch, batch_BH, dict.fromkeys((one.document for one in batch), "mixed"))
        storing += time.perf_counter() - started
        places += [(one.document, one.start) for one in batch]
        all_vectors.append(batch_BH)
    started = time.perf_counter()
    index.store.tidy()
    tidying = time.perf_counter() - started
    np.save(folder / "vectors.npy", np.concatenate(all_vectors))
    (folder / "places.json").write_text(json.dumps(places), encoding="utf-8")
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    facts = {
        "machine": {**machine_facts(torch.device("cpu")), "versions": versions()},
        "workload": {"model": model, "data": "python", "num_chunks": num_chunks, "num_real_chunks": len(passages)},
        "indexing": {"seconds": indexing, "embedding_seconds": embedding, "storing_seconds": storing, "tidying_seconds": tidying},
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
