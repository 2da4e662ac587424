"""`tunesmith data generate`: new examples that a model writes after seeds, or about documents.

Source: Wang et al. (2023), "Self-Instruct", https://arxiv.org/abs/2212.10560. Here rows that were written are never shown as examples again.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tunesmith.app.data_files import Work, check_target, data_work, written
from tunesmith.app.writers import TOP_P, LocalWriter, RemoteWriter, Writer, Written
from tunesmith.core.endpoint import Endpoint
from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.events import Event, Progress, Stage, Warned
from tunesmith.core.system import memory_bytes
from tunesmith.core.types import Completion, Example, Labelled, Message, Origin
from tunesmith.data import read
from tunesmith.data.convert import TARGETS, convert
from tunesmith.data.generation.forms import Form, PairForm, form_for, is_echo, request
from tunesmith.data.generation.novelty import Novelty, question_of
from tunesmith.data.generation.passages import LEAST_CHARACTERS, Passage, passages, request_about, stands_in
from tunesmith.data.minhash import LEAST_THRESHOLD
from tunesmith.data.record_source import RecordSource
from tunesmith.data.sources._aliases import DOCUMENTS
from tunesmith.data.table import Record

__all__ = ["OUTCOMES", "generate_data"]

MOST_REQUESTS_A_ROW = 4
"""So many times the wanted rows are asked for, at most."""
OUTCOMES = ("kept", "too_long", "cut", "unparsed", "echo", "not_in_passage", "like_seed", "like_other", "like_row")
"""What becomes of a request, in the order in which it is found out."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked, and what the row that comes of it keeps of that."""

    messages: tuple[Message, ...]
    origin: dict[str, Any]
    label: str | None = None
    passage: Passage | None = None


class _Asking(Protocol):
    """What requests are made of."""

    name: str
    format: str
    form: Form

    def request(self, number: int) -> _Request:
        """The request of this number, from 1: always the same one."""
        ...

    def record(self, example: Example, asked: _Request) -> Record:
        """The row that an example becomes."""
        ...

    def questions(self) -> Iterator[str]:
        """What is known already, and not to be asked again."""
        ...


class _Seeds:
    """Rows of which each request shows some."""

    def __init__(self, source: str, num_shown: int, seed: int, format: str | None, columns: Mapping[str, str] | None) -> None:
        dataset = read(source, format=format, columns=columns, most_bytes=max(memory_bytes() // 16, 2**28))
        self.name, self._seed, self._rows = source, seed, dataset.examples
        self.form: Form = form_for(dataset.examples, source)
        self.format = dataset.facts.format if dataset.facts.format in TARGETS else "messages"
        self._by_label: dict[str, list[int]] = {}
        for place, example in enumerate(dataset.examples):
            if self.form.shows(example):
                label = example.label if isinstance(example, Labelled) else None
                self._by_label.setdefault(label or "", []).append(place)
        self._places = sorted(place for places in self._by_label.values() for place in places)
        if not self._places:
            raise DataError(
                f"{source}: none of {len(self._rows)} rows can be shown to a model, line by line, and read again. Bring other seeds."
            )
        self.num_left_out = len(self._rows) - len(self._places)
        self._num_shown = min(num_shown, len(self._places))
        self._labels = sorted(self._by_label) if isinstance(self._rows[self._places[0]], Labelled) else []

    def request(self, number: int) -> _Request:
        """Rows drawn by the seed and the number. Of a class at least half, as far as there are so many; each label in turn."""
        draw, chosen = random.Random(f"{self._seed}:{number}"), list[int]()
        label = self._labels[(number - 1) % len(self._labels)] if self._labels else None
        if label is not None:
            own = self._by_label[label]
            chosen = draw.sample(own, min(len(own), -(-self._num_shown // 2)))
        taken = set(chosen)  # more are drawn than are missing, as some may be taken
        more = [place for place in draw.sample(self._places, self._num_shown) if place not in taken]
        chosen += more[: self._num_shown - len(chosen)]
        draw.shuffle(chosen)
        shown = [self._rows[place] for place in chosen]
        origin = {"seeds": [f"{example.origin.file}:{example.origin.row}" for example in shown]}
        return _Request(request(self.form, shown, label), origin, label)

    def record(self, example: Example, asked: _Request) -> Record:
        """In the format of the seeds."""
        return convert(example, self.format).record

    def questions(self) -> Iterator[str]:
        """Of every seed, shown or not."""
        return map(question_of, self._rows)


class _Documents:
    """Passages, of which each request is about one."""

    format = "pairs"

    def __init__(self, folder: str, seed: int) -> None:
        rows = RecordSource(folder if folder.startswith(DOCUMENTS) else f"{DOCUMENTS}{folder}")
        self.name = folder
        self.form: Form = PairForm()
        self._passages = [found for origin, record in rows.records() for found in passages(str(record["text"]), origin)]
        if not self._passages:
            raise DataError(f"{folder}: no document with a passage of {LEAST_CHARACTERS} characters or more to ask about.")
        random.Random(str(seed)).shuffle(self._passages)

    def request(self, number: int) -> _Request:
        """Each passage in turn, in an order of the seed."""
        passage = self._passages[(number - 1) % len(self._passages)]
        origin = {"document": f"{passage.document.file}:{passage.document.row}", "passage": passage.number}
        return _Request(request_about(passage), origin, passage=passage)

    def record(self, example: Example, asked: _Request) -> Record:
        """The pair, and the passage that it is about."""
        assert asked.passage is not None
        return {**convert(example, "pairs").record, "passage": asked.passage.text}

    def questions(self) -> Iterator[str]:
        """None."""
        return iter(())


def generate_data(
    seeds: str | None,
    out: Path,
    *,
    documents: str | None = None,
    model: str | None = None,
    endpoint: str | None = None,
    rows: int = 100,
    examples: int = 4,
    near: float = 0.7,
    against: Sequence[str] = (),
    seed: int = 0,
    temperature: float = 0.7,
    max_new_tokens: int = 256,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    force: bool = False,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Write new rows: such as `seeds`, or questions and answers about `documents`.

    Args:
        out: a .jsonl file. Each row has a column `origin`: the shown seeds, or the document and the passage; the model; the request's number and hash; the seed.
        model, endpoint: who writes, one of the two: a model's name, or NAME@URL.
        rows: how many are wanted; at most four times as many requests are made.
        examples: seeds that each request shows.
        near: similarity from which a question is like a seed's, one of `against` (sources such as test sets) or an earlier row's, and left out.
        temperature: 0: always the likeliest token.
        format, columns: as for `read`, for the seeds; `force`: whether `out` is replaced.
    Returns: {source, out, format, model, top_p, temperature, seed, near_threshold, against, wanted, asked, parsed, outcomes, labels, seeds_left_out};
        `outcomes`: what became of the requests, `OUTCOMES` -> how many.
    Raises: UsageError, DataError, ModelError, FetchError, Interrupted; nothing is written then.
    """
    with data_work(progress) as work:
        _check(seeds, documents, model, endpoint, near)
        check_target(out, [], force=force, suffixes=(".jsonl",))
        if any(Path(source).exists() and out.exists() and out.samefile(source) for source in (seeds, *against) if source):
            raise UsageError(f"{out}: is a file that is read. Name another to write.")
        work.say(Stage("read", seeds or documents or ""))
        asking: _Asking = _Documents(documents, seed) if documents is not None else _Seeds(seeds or "", examples, seed, format, columns)
        novelty = Novelty(near, asking.questions(), (question for source in against for question in _questions(source, columns or {})))
        work.say(Stage("generate", endpoint or model or ""))
        options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
        writer: Writer = RemoteWriter(Endpoint.named(endpoint), **options) if endpoint else LocalWriter(model or "", **options)
        kept, outcomes = _ask(work, writer, asking, novelty, rows, seed)
        _judge_yield(work, asking.name, outcomes, rows)
        with written(out, list(kept[0])) as write:
            for record in kept:
                write(record)
    asked = sum(outcomes.values())
    labels = Counter(record["label"] for record in kept) if asking.format == "labelled" else {}
    return {
        "source": asking.name, "out": str(out), "format": asking.format, **writer.facts, "top_p": TOP_P, "temperature": temperature,
        "max_new_tokens": max_new_tokens, "seed": seed, "near_threshold": near, "against": list(against), "wanted": rows, "asked": asked,
        "parsed": asked - sum(outcomes[kind] for kind in ("too_long", "cut", "unparsed")),
        "outcomes": {kind: outcomes[kind] for kind in OUTCOMES}, "labels": dict(sorted(labels.items())),
        "seeds_left_out": asking.num_left_out if isinstance(asking, _Seeds) else 0,
    }  # fmt: skip


def _check(seeds: str | None, documents: str | None, model: str | None, endpoint: str | None, near: float) -> None:
    """Raises: UsageError, where options do not go together."""
    if (seeds is None) == (documents is None):
        raise UsageError("name either seeds, rows such as those that are wanted, or --from-documents with a folder.")
    if (model is None) == (endpoint is None):
        raise UsageError("name either --model, a model on this machine, or --endpoint, NAME@URL.")
    if not LEAST_THRESHOLD <= near <= 1:
        raise UsageError(f"--near {near:g}: expected a similarity from {LEAST_THRESHOLD} to 1, such as 0.7.")


def _questions(source: str, given: Mapping[str, str]) -> Iterator[str]:
    """The questions of other data, read as its own columns tell."""
    rows = RecordSource(source)
    columns = rows.columns()
    _, form, located = rows.format(None, {role: column for role, column in given.items() if column in columns}, columns)
    return (question_of(example) for _, _, example in rows.examples(form, located))


def _ask(work: Work, writer: Writer, asking: _Asking, novelty: Novelty, wanted: int, seed: int) -> tuple[list[Record], Counter[str]]:
    """Ask, in rounds, for as many as are missing, until there are enough or enough was asked."""
    kept, outcomes, number = list[Record](), Counter[str](), 1
    while len(kept) < wanted and number <= MOST_REQUESTS_A_ROW * wanted:
        count = min(wanted - len(kept), MOST_REQUESTS_A_ROW * wanted - number + 1)
        asked = [asking.request(number + place) for place in range(count)]

        def tick(done: int, before: int = number - 1, total: int = number - 1 + count) -> None:
            work.say(Progress("generate", before + done, total))

        answers = writer.write([one.messages for one in asked], number, tick)
        for one, answer in zip(asked, answers, strict=True):
            outcome, example = _outcome(answer, one, asking.form, novelty)
            outcomes[outcome] += 1
            if example is not None:
                facts = {
                    **one.origin,
                    "model": writer.facts["model"],
                    "request": number,
                    "request_sha256": _hash(one.messages),
                    "seed": seed,
                }
                kept.append({**asking.record(example, one), "origin": facts})
            number += 1
    return kept, outcomes


def _hash(messages: Sequence[Message]) -> str:
    """SHA-256 of the messages as JSON, as an endpoint is sent them."""
    sent = [{"role": message.role, "content": message.content} for message in messages]
    return hashlib.sha256(json.dumps(sent, ensure_ascii=False).encode("utf-8")).hexdigest()


def _outcome(answer: Written, asked: _Request, form: Form, novelty: Novelty) -> tuple[str, Example | None]:
    """What becomes of an answer, and the example where it is kept."""
    if answer.end != "ended":
        return answer.end, None
    example = form.read(answer.text, asked.label, Origin("answer", 1))
    if example is None:
        return "unparsed", None
    if is_echo(example):
        return "echo", None
    if asked.passage is not None and isinstance(example, Completion) and not stands_in(example.target, asked.passage.text):
        return "not_in_passage", None
    like = novelty.take(question_of(example))
    return (like, None) if like else ("kept", example)


def _judge_yield(work: Work, name: str, outcomes: Counter[str], wanted: int) -> None:
    """Say where there are fewer rows than wanted. Raises: DataError, where there is none."""
    asked, most = sum(outcomes.values()), outcomes.most_common(1)[0][0]
    if outcomes["kept"] >= wanted:
        return
    advice = {
        "too_long": "The requests are longer than the model reads: lower --examples or --max-new-tokens, or take shorter seeds.",
        "cut": "Answers did not end: raise --max-new-tokens, or lower --temperature.",
    }.get(most, "A larger model follows the form better, and more seeds, or another --seed, give other rows.")
    listed = ", ".join(f"{kind} {outcomes[kind]:,}" for kind in OUTCOMES[1:] if outcomes[kind])
    if not outcomes["kept"]:
        raise DataError(f"{name}: of {asked:,} answers none makes a new row ({listed}); nothing was written. {advice}")
    work.say(
        Warned(
            f"{outcomes['kept']:,} of {wanted:,} wanted rows after {asked:,} requests, {MOST_REQUESTS_A_ROW} a row, the most that are made. {advice}"
        )
    )
