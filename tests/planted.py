"""Data in which the best way to adapt is known, planted anew by each seed: what a verdict of `tunesmith compare` has to find."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reader import WORDS

from tunesmith.app.compare import compare
from tunesmith.app.index_build import build_index
from tunesmith.recipe import from_mapping

__all__ = ["PLANTS", "Plant", "is_found"]

_UNTRAINED, _TRAINED = ("majority", "base", "zero_shot", "few_shot"), ("head", "lora", "full")
_TRAIN = {"epochs": 1, "examples_per_step": 32, "learning_rate": 3e-3}


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What is planted, and what a right verdict says of it."""

    recipe: Callable[[random.Random, Path, Path], dict[str, Any]]
    """Of a generator, the reader and a folder for the data."""
    winners: frozenset[str]
    """The arms of which any is rightly taken."""
    losers: frozenset[str] = frozenset()
    """Those that another has to beat for certain."""


def is_found(name: str, seed: int, model: Path, folder: Path) -> bool:
    """Whether the verdict on what a seed plants is the right one. `folder`: for data and runs, to be made."""
    plant = PLANTS[name]
    folder.mkdir()
    asked = {
        "model": str(model),
        "evaluate": {"retention": "none", "metrics": ["accuracy"]},
        "train": _TRAIN,
        "output_dir": str(folder / "runs"),
        **plant.recipe(random.Random(f"{name} {seed}"), model, folder),
    }
    report = compare(from_mapping(asked, name=name)).report
    beaten = {arm for arm, said in report["arms"].items() if said["beaten"]}
    return report["verdict"]["choice"] in plant.winners and plant.losers <= beaten


def _majority(draw: random.Random, model: Path, folder: Path) -> dict[str, Any]:
    """Labels that are drawn without a look at the text."""
    labels, share = draw.sample(WORDS, 2), draw.uniform(0.5, 0.7)

    def row() -> dict[str, str]:
        return {"text": " ".join(draw.choices(WORDS, k=8)), "label": labels[draw.random() > share]}

    data = _written(folder, {"train": 400, "validation": 100, "test": 150}, row)
    return {"data": data, "arms": ["majority", "base", "few_shot", *_TRAINED]}


def _zero_shot(draw: random.Random, model: Path, folder: Path) -> dict[str, Any]:
    """Labels that the text states behind a cue, among others that it also names: the wording that ends with the cue asks for the one that is stated."""
    cue, *labels = draw.sample(WORDS, 4)
    others = [word for word in WORDS if word not in (cue, *labels)]

    def row() -> dict[str, str]:
        label = draw.choice(labels)
        parts = [f"{cue} {label}", *draw.sample(others, 9), *(one for one in labels if one != label)]
        draw.shuffle(parts)
        return {"text": " ".join([draw.choice(others), *parts, draw.choice(others)]), "label": label}

    data = _written(folder, {"train": 24, "validation": 40, "test": 100}, row)
    wordings = json.dumps(["{text}", f"{{text}} {cue}"])
    zero_shot = ["method=none", "context=zero_shot", f"context.templates={wordings}"]
    return {"data": data, "train": {**_TRAIN, "epochs": 8}, "arms": dict.fromkeys((*_UNTRAINED, *_TRAINED)) | {"zero_shot": zero_shot}}


def _training(draw: random.Random, model: Path, folder: Path) -> dict[str, Any]:
    """Labels that a keyword decides: three of each label's, which nothing says but 2,000 rows."""
    labels, keywords = draw.sample(WORDS, 3), draw.sample(WORDS, 9)
    others = [word for word in WORDS if word not in (*labels, *keywords)]

    def row() -> dict[str, str]:
        place = draw.randrange(9)
        words = [*draw.choices(others, k=7), keywords[place]]
        draw.shuffle(words)
        return {"text": " ".join(words), "label": labels[place % 3]}

    data = _written(folder, {"train": 2000, "validation": 100, "test": 150}, row)
    return {"data": data, "arms": [*_UNTRAINED, *_TRAINED]}


def _retrieval(draw: random.Random, model: Path, folder: Path) -> dict[str, Any]:
    """Answers that stand in documents alone: those of the test rows are no other question's."""
    keys = draw.sample(WORDS, 140)
    others = [word for word in WORDS if word not in keys]
    facts = {key: draw.choice(WORDS) for key in keys}
    documents = folder / "documents"
    documents.mkdir()
    for key, answer in facts.items():
        (documents / f"{key}.txt").write_text(" ".join([*draw.sample(others, 3), key, answer, *draw.sample(others, 3)]), encoding="utf-8")
    build_index(str(documents), folder / "index", model=str(model), passage_tokens=20, overlap_tokens=0)
    asked = iter(facts.items())

    def row() -> dict[str, str]:
        return dict(zip(("question", "answer"), next(asked), strict=True))

    data = _written(folder, {"train": 60, "validation": 20, "test": 60}, row)
    retrieval = ["method=none", "context=retrieval", f"context.index={folder / 'index'}"]
    return {
        "data": data,
        "evaluate": {"retention": "none", "metrics": ["exact_match"], "max_new_tokens": 1},
        "arms": {"base": None, "zero_shot": None, "few_shot": None, "retrieval": retrieval, "lora": None, "full": None},
    }


def _written(folder: Path, counts: Mapping[str, int], row: Callable[[], dict[str, str]]) -> dict[str, str]:
    """A file of so many rows for each split: the recipe's `data`."""
    files = {split: folder / f"{split}.jsonl" for split in counts}
    for split, count in counts.items():
        files[split].write_text("".join(json.dumps(row()) + "\n" for _ in range(count)), encoding="utf-8")
    return {split: str(file) for split, file in files.items()}


PLANTS: Mapping[str, Plant] = {
    "majority": Plant(recipe=_majority, winners=frozenset({"majority"})),
    "zero_shot": Plant(recipe=_zero_shot, winners=frozenset({"zero_shot"}), losers=frozenset({"majority", "base"})),
    "training": Plant(recipe=_training, winners=frozenset(_TRAINED), losers=frozenset(_UNTRAINED)),
    "retrieval": Plant(
        recipe=_retrieval, winners=frozenset({"retrieval"}), losers=frozenset({"base", "zero_shot", "few_shot", "lora", "full"})
    ),
}
