"""The networks that `scripts/make_keras_golden.py` made with Keras, as tunesmith reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.core.batch import collate
from tunesmith.core.types import Origin, Row, Segment
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.model.heads import Head, load_heads
from tunesmith.model.load import LoadedModel, load

__all__ = ["GOLDEN", "NAMES", "golden_rows", "load_file", "predicted", "words_file"]

GOLDEN = Path(__file__).parent / "model" / "sources" / "keras_golden"
NAMES = sorted(file.stem for file in GOLDEN.glob("*.h5"))
WORDS = 30


def words_file(folder: Path) -> Path:
    """The list of words of the golden networks of words: w2, w3, ... and unknown ones, token 1."""
    file = folder / "words.json"
    file.write_text(json.dumps({"<OOV>": 1, **{f"w{number}": number for number in range(2, WORDS)}}), encoding="utf-8")
    return file


def load_file(file: Path, folder: Path, **beside: Any) -> tuple[LoadedModel, Head, tuple[str, ...]]:
    """A network with its head and the names of its classes."""
    words = {} if "columns" in file.stem or "words" in beside else {"words": str(words_file(folder))}
    model = load(str(file), beside={**words, **beside})
    assert model.source.heads is not None
    heads, labels = load_heads(model.source.heads, model.source.heads.with_name("heads.json"))
    (head,) = heads.values()
    return model, head, labels


def golden_rows(name: str) -> tuple[list[list[float]], Tensor]:
    """What Keras was asked, and what it said: a probability a class, where it names two by one number the second's."""
    known = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    said = torch.tensor(known["probabilities"])
    return known["rows"], torch.cat([1 - said, said], -1) if said.shape[1] == 1 else said


def predicted(model: LoadedModel, head: Head, rows: Sequence[Sequence[float]]) -> Tensor:
    """Probabilities of rows that stand in one batch."""
    if model.facts.num_columns:
        made = [Segment((0,), vectors=(tuple(row),)) for row in rows]
    else:
        texts = [" ".join(f"w{number}" for number in row) for row in rows]
        made = [Segment(tuple(model.tokenizer(text)["input_ids"])) for text in texts]
    forward = PackedForward(model.trunk, {head.name: head}, model.facts, probe(model.trunk, model.facts)).eval()
    with torch.no_grad():
        return forward.head(head.name, collate([Row((one,), Origin("rows", 1)) for one in made], model.facts)).softmax(-1)
