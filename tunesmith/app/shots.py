"""What stands with a question: examples before it, chosen by a strategy, and passages of documents above it, as many as the window holds.

p examples to choose among    q questions    h hidden size
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field, replace
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.app.index import Embedder, Index
from tunesmith.app.kept_index import searched
from tunesmith.context.passages import above
from tunesmith.core import registry
from tunesmith.core.context import Array, Strategy, Variant
from tunesmith.core.errors import RunError
from tunesmith.core.events import Event
from tunesmith.core.examples import Conversation
from tunesmith.core.files import hash_of, write_json
from tunesmith.core.passages import Passage
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Call, Example, Message
from tunesmith.data import ChatEncoder, TextEncoder
from tunesmith.evaluation.score import text_of
from tunesmith.recipe import Recipe

__all__ = ["Pool", "Put", "Shots", "answer_room", "kept_shots", "load_shots", "longest_of", "save_shots", "strategy_of"]

_FORM = "tunesmith/context/1"


@dataclass(frozen=True, slots=True)
class Pool:
    """Examples that may stand before a question; all lists have one entry an example."""

    turns: Sequence[tuple[Message, ...]] = ()
    """As `TextEncoder.turns` has them."""
    labels: Sequence[str] = ()
    texts: Sequence[str] = ()
    """What the questions are compared with."""


@dataclass(frozen=True, slots=True)
class Put:
    """Questions with what stands before them."""

    examples: list[Example]
    num_left_out: list[int]
    """Of each question, how many examples and passages had no room."""
    num_tokens: list[int]
    """Of each question as the model reads it; of one behind an endpoint a guess."""


@dataclass(frozen=True)
class Shots:
    """One way to put examples before questions: all that it takes to ask the same of other rows."""

    strategy: Strategy
    variant: Variant
    pool: Pool
    seed: int
    room: int
    """The most tokens of a prompt."""
    labels: tuple[str, ...] = ()
    """The classes that the model chooses among."""
    _choosing: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was computed of the pool and found in the index: shared by all variants."""

    def of(self, variant: Variant, pool: Pool) -> "Shots":
        """Another way, of the same examples."""
        return replace(self, variant=variant, pool=pool)

    def put(self, examples: Sequence[Example], encoder: TextEncoder | ChatEncoder, room: int | None = None) -> Put:
        """Each question with its examples before it, the nearest last, and its passages above it, the best first. Where a prompt has no room, the farthest examples are
        left out, then the last passages.

        Args:
            room: the most tokens of a prompt; None: `self.room`.
        """
        room = self.room if room is None else room
        texts = [text_of(example) for example in examples]
        taken = [places[: self.variant.num_shots] for places in self.places(texts)]
        if self.variant.order:
            taken = [self._reordered(places) for places in taken]
        found = self._passages(texts)
        made = [self._with(*one) for one in zip(examples, taken, found, strict=True)]
        lengths, left_out = _sizes(encoder, made), [0] * len(made)
        over = list(range(len(made)))
        while over := [row for row in over if lengths[row] > room and (taken[row] or found[row])]:
            for row in over:
                taken[row], found[row] = (taken[row][:-1], found[row]) if taken[row] else (taken[row], found[row][:-1])
                made[row] = self._with(examples[row], taken[row], found[row])
                left_out[row] += 1
            for row, length in zip(over, _sizes(encoder, [made[row] for row in over]), strict=True):
                lengths[row] = length
        return Put(made, left_out, lengths)

    def places(self, texts: Sequence[str]) -> list[list[int]]:
        """The examples before each question, the one that is read last first; never one with the question's own text, which would say its answer."""
        if not self.pool.turns:
            return [[]] * len(texts)
        alike, pool_ph, asked_qh = self._alike, None, None
        if self.strategy.embedding_model:
            pool_ph = self._choosing.get("pool")
            if pool_ph is None:
                pool_ph = self._choosing["pool"] = self._vectors(self.pool.texts)
            asked_qh = self._vectors(texts)
        own, rng = [alike.get(text, ()) for text in texts], np.random.default_rng(self.seed)
        num_spare = max(map(len, own), default=0)
        chosen = self.strategy.choose(len(texts), self.pool.labels, pool_ph, asked_qh, rng, num_spare)
        return [[place for place in places if place not in left_out] for places, left_out in zip(chosen, own, strict=True)]

    @property
    def _alike(self) -> Mapping[str, Sequence[int]]:
        """The places of each text in the pool."""
        found = defaultdict[str, list[int]](list)
        for place, text in enumerate(self.pool.texts):
            found[text].append(place)
        return found

    def _passages(self, texts: Sequence[str]) -> list[Sequence[Passage]]:
        """What the index holds for each question, looked up once for all variants."""
        most = max((variant.num_passages for variant in self.strategy.variants()), default=0)
        if not self.variant.num_passages:
            return [()] * len(texts)
        known: dict[str, Sequence[Passage]] = self._choosing.setdefault("passages", {})
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, self.searched().passages_for(new, most), strict=True))
        return [known[text][: self.variant.num_passages] for text in texts]

    @property
    def documents(self) -> str | None:
        """A hash of the documents that its passages are of; None where it reads none."""
        return hash_of(*sorted(self.searched().store.documents().items())) if self.variant.num_passages else None

    def searched(self, progress: Callable[[Event], None] | None = None) -> Index:
        """The index that passages are looked up in, opened once for all variants; one of the strategy's documents is made where it is not kept."""
        if "index" not in self._choosing:
            self._choosing["index"] = searched(self.strategy, progress)
        index: Index = self._choosing["index"]
        return index

    def _vectors(self, texts: Sequence[str]) -> Array:
        if "embedder" not in self._choosing:
            self._choosing["embedder"] = Embedder(self.strategy.embedding_model)
        return np.asarray(self._choosing["embedder"].vectors(texts), dtype=np.float64)

    def _reordered(self, places: Sequence[int]) -> list[int]:
        """The places in another order, which no smaller number of the variant has."""
        rng, found = np.random.default_rng([self.seed, len(places)]), [tuple(range(len(places)))]
        while len(found) <= self.variant.order and len(found) < factorial(len(places)):
            order = tuple(int(place) for place in rng.permutation(len(places)))
            found += [order] if order not in found else []
        return [places[place] for place in found[min(self.variant.order, len(found) - 1)]]

    def _with(self, example: Example, places: Sequence[int], passages: Sequence[Passage]) -> Example:
        assert isinstance(example, Conversation)
        before = tuple(turn for place in reversed(places) for turn in self.pool.turns[place])
        return replace(example, before=before, above=above(passages, cites=False) if passages else "")


def _sizes(encoder: TextEncoder | ChatEncoder, examples: Sequence[Example]) -> list[int]:
    """Tokens of each prompt."""
    prompts: Sequence[Sized] = encoder.prompts(examples)
    return list(map(len, prompts))


def strategy_of(recipe: Recipe) -> Strategy:
    """The strategy of a recipe that has a context. Raises: UsageError, for an option out of its range."""
    assert recipe.context is not None
    strategy: Strategy = registry.create("strategy", recipe.context.name, **recipe.context.options)
    return strategy


def answer_room(encoder: TextEncoder | ChatEncoder, longest_answer: int) -> int:
    """The most tokens of a prompt that leaves an answer its room; of a long answer half the window."""
    return encoder.max_length - min(longest_answer, encoder.max_length // 2)


def longest_of(tokenizer: Any, texts: Iterable[str]) -> int:
    """Tokens of the longest text."""
    return max(map(len, tokenizer(list(dict.fromkeys(texts)), add_special_tokens=False)["input_ids"]))


def save_shots(file: Path, shots: Shots, tried: Sequence[Mapping[str, Any]] = ()) -> None:
    """Keep them as JSON, without the pool where nothing of it is shown. `tried`: what they were chosen among, as report.json has it."""
    pool = shots.pool if shots.variant.num_shots else Pool()
    rows = [
        {"turns": [asdict(turn) for turn in turns], "label": label, "text": text}
        for turns, label, text in zip(pool.turns, pool.labels, pool.texts, strict=True)
    ]
    document = {
        "schema": _FORM,
        **asdict(shots.variant),
        "seed": shots.seed,
        "room": shots.room,
        "labels": list(shots.labels),
        "index": shots.documents,
        "pool": rows,
        "tried": tried,
    }
    write_json(file, document, indent=None)


def _message(saved: Mapping[str, Any]) -> Message:
    """What `asdict` made of it; JSON has no tuples."""
    calls = tuple(Call(**call) for call in saved["calls"])
    return Message(**{**saved, "calls": calls, "unlearned": tuple(map(tuple, saved["unlearned"]))})


def load_shots(directory: RunDirectory, recipe: Recipe) -> Shots:
    """What the model of a run with a context was shown. `recipe`: the run's. Raises: RunError, where the file is missing or of another form."""
    found = directory.read_json(directory.context)
    try:
        if found["schema"] != _FORM:
            raise RunError(f"{directory.context}: is of the form {found['schema']}, expected {_FORM}. Make the run again.")
        variant = Variant(found["template"], found["num_shots"], found["order"], found["num_passages"])
        turns = [tuple(map(_message, row["turns"])) for row in found["pool"]]
        pool = Pool(turns, [row["label"] for row in found["pool"]], [row["text"] for row in found["pool"]])
        return Shots(strategy_of(recipe), variant, pool, found["seed"], found["room"], tuple(found["labels"]))
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{directory.context}: is damaged. Make the run again.") from None


def kept_shots(directory: RunDirectory, recipe: Recipe) -> tuple[Shots, list[dict[str, Any]]] | None:
    """What a run that goes on had chosen, and what it had tried; None where that has to be chosen yet. Raises: RunError, where it learned from documents that changed."""
    if not directory.context.is_file():
        return None
    shots, found = load_shots(directory, recipe), directory.read_json(directory.context)
    if found.get("index") == shots.documents:
        return shots, found.get("tried", [])
    if recipe.trains:
        raise RunError(
            f"{directory.path}: the documents of {shots.strategy.index or shots.strategy.documents} changed since it was begun; what it learned so far is not comparable. Start a new run."
        )
    return None
