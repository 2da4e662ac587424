"""An index that `prepare_search` made is searched in a process that has just begun: how long each question takes, and what an exact search finds."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.app.index import open_index
from tunesmith.context.fusion import fused
from tunesmith.core.passages import Array, Hit

__all__ = ["NUM_FOUND", "NUM_RANKED", "leg", "recall"]

NUM_FOUND = 10
NUM_RANKED = 50
"""Passages of each ranking, as many as a search looks at."""
_WARM_UP = 10
_TIE = 1e-6
"""Cosines that are no further apart are equal."""


def recall(found: Sequence[Hit], place_of: dict[tuple[str, int], int], cosines_P: Array) -> float:
    """The share of the best ten passages, by cosines with every passage, that were found; of equal ones either counts."""
    least = float(np.partition(cosines_P, -NUM_FOUND)[-NUM_FOUND])
    places = {place_of[hit.passage.document, hit.passage.start] for hit in found[:NUM_FOUND]}
    return sum(float(cosines_P[place]) >= least - _TIE for place in places) / NUM_FOUND


def _milliseconds(ask: Callable[[int], Any], number: int) -> float:
    started = time.perf_counter()
    ask(number)
    return (time.perf_counter() - started) * 1e3


def leg(folder: Path) -> dict[str, Any]:
    """{first: milliseconds of the first search, milliseconds: {WAY: [of each question]}, recall: [of each question]}.

    Ways: vector; words; fused, both rankings made one; whole, in which the model reads the question too.
    """
    questions, places = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("questions", "places"))
    index = open_index(folder / "index")
    vectors_QH = index.embedder.vectors(questions)
    ways: dict[str, Callable[[int], Any]] = {
        "vector": lambda number: index.store.nearest(vectors_QH[number], NUM_RANKED),
        "words": lambda number: index.store.matching(questions[number], NUM_RANKED),
        "fused": lambda number: fused(index.rankings(questions[number], vectors_QH[number], NUM_FOUND)),
        "whole": lambda number: index.search(questions[number], NUM_FOUND),
    }
    first, *_ = [_milliseconds(ways["fused"], number) for number in range(_WARM_UP)]
    taken = {way: [_milliseconds(ask, number) for number in range(_WARM_UP, len(questions))] for way, ask in ways.items()}
    place_of = {(document, start): place for place, (document, start) in enumerate(places)}
    vectors_PH = np.load(folder / "vectors.npy")
    found = [recall(index.store.nearest(vector_H, NUM_RANKED), place_of, vectors_PH @ vector_H) for vector_H in vectors_QH]
    return {"first": first, "milliseconds": taken, "recall": found}


if __name__ == "__main__":
    own = Path(sys.argv[1])
    (own / "result.json").write_text(json.dumps(leg(own)), encoding="utf-8")
