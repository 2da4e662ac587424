"""How likely a model finds continuations of prompts: beginnings that several share are computed once.

The sequences of a micro-batch are laid out as a tree (`engine/tree.py`). A few-shot prompt before many questions, and a question before its
choices, stand in the stream once; the last token of a choice, which nothing follows, is not read at all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunesmith.core.batch import Batch, collate
from tunesmith.core.evaluating import evaluating
from tunesmith.core.types import Origin, Row, Targets
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.likelihood import with_likeliest
from tunesmith.engine.packing import evaluation_batches
from tunesmith.engine.tree import LEAST_SHARED_TOKENS, Tree, num_shared

__all__ = ["Question", "Scored", "at_once", "score", "score_answers", "score_greedily", "score_rows"]

_HERE = Origin("score", 1)
_NEVER = 10**9
_PER_SHARED, _MOST_AT_ONCE, _MOST_TIMES = 8, 8192, 4
"""Sequences that all begin with the same tokens are read so many times as many at a time, up to a number: each batch reads that beginning anew. Measured on two cores with a model of 135 million
parameters: 2,048 tokens at a time are read a sixth faster than 8,192."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, at least one token, and what may continue it."""

    prompt: Sequence[int]
    choices: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Scored:
    """What is known of a choice."""

    nats: float
    """Its log-likelihood, a sum over its tokens."""
    is_greedy: bool
    """Whether greedy decoding would write it."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    tokens: tuple[int, ...]
    """What is read."""
    labels: tuple[int, ...]
    """What is scored: the first follows the last token of the prompt, the last the last token that is read."""
    question: int
    choice: int


def score(
    forward: PackedForward, questions: Sequence[Question], *, micro_batch_tokens: int = 8192, progress: Progress | None = None
) -> list[list[float]]:
    """The log-likelihood of each choice after its prompt, nats, a sum over the choice's tokens.

    Args:
        micro_batch_tokens: distinct tokens computed at a time, each common beginning counted once; more where that is long (`at_once`).
        progress: called with the number of questions done.
    Raises: ValueError, where a prompt or a choice is empty.
    """
    scores = [[0.0] * len(q.choices) for q in questions]
    for group, (sums, _) in _read(
        forward, questions, lambda batch: forward.logprobs(batch, with_entropy=False), micro_batch_tokens, progress
    ):
        for one, nats in zip(group, sums, strict=True):
            scores[one.question][one.choice] = nats
    return scores


def score_greedily(
    forward: PackedForward, questions: Sequence[Question], *, micro_batch_tokens: int = 8192, progress: Progress | None = None
) -> list[list[Scored]]:
    """As `score`, and of each choice whether greedy decoding would write it."""
    scores = [[Scored(0.0, False)] * len(q.choices) for q in questions]
    for group, (sums, likeliest) in _read(
        forward, questions, lambda batch: forward.at_labels(batch, with_likeliest), micro_batch_tokens, progress
    ):
        for one, nats, num_likeliest in zip(group, sums, likeliest, strict=True):
            scores[one.question][one.choice] = Scored(nats, num_likeliest == len(one.labels))
    return scores


def at_once(micro_batch_tokens: int, num_shared_tokens: int) -> int:
    """Distinct tokens that are computed at a time of sequences which all begin with so many in common: `micro_batch_tokens`, and more where these are many."""
    return max(micro_batch_tokens, min(_MOST_AT_ONCE, _PER_SHARED * num_shared_tokens, _MOST_TIMES * micro_batch_tokens))


def score_rows(
    forward: PackedForward, rows: Sequence[Row], *, micro_batch_tokens: int = 8192, progress: Progress | None = None
) -> list[float]:
    """The log-likelihood of what each row scores, nats, a weighted sum over its targets: as a row alone has it, but that rows which begin alike are laid out as a tree.

    Args:
        forward: a causal model whose attention is packed.
        rows: of one segment each, without a source.
        micro_batch_tokens: as of `score`.
        progress: called with the number of rows done.
    """
    scores, done = [0.0] * len(rows), 0
    with evaluating(forward), torch.no_grad():
        for group in _alike(rows, micro_batch_tokens):
            batch = collate([_tree_of([rows[index] for index in group])], forward.facts).to(forward.device)
            found_N = forward.logprobs(batch, with_entropy=False)[0].double() * batch.weights_N
            for index, nats in zip(group, batch.by_answer(found_N).tolist(), strict=True):
                scores[index] = nats
            done += len(group)
            if progress is not None:
                progress(done)
    return scores


def score_answers(
    forward: PackedForward, rows: Sequence[Row], *, micro_batch_tokens: int = 8192, progress: Progress = lambda done: None
) -> list[tuple[float, ...]]:
    """The log-likelihood of each answer of each row, nats, a sum over its targets, whatever these weigh.

    Args:
        micro_batch_tokens: tokens computed at a time.
        progress: called with the number of rows done.
    """
    found: list[tuple[float, ...]] = [()] * len(rows)
    done = 0
    with evaluating(forward), torch.no_grad():
        for batch, indices in evaluation_batches(rows, micro_batch_tokens, forward.facts):
            batch = batch.to(forward.device)
            said_A = batch.by_answer(forward.logprobs(batch, with_entropy=False)[0].double()).cpu()
            for index, own in zip(indices, torch.split(said_A, [len(row.answers) for row in batch.rows]), strict=True):
                found[index] = tuple(own.tolist())
            done += len(indices)
            progress(done)
    return found


def _alike(rows: Sequence[Row], budget: int) -> Iterator[list[int]]:
    """Numbers of rows in the order of their tokens, as many at a time as fit the budget with their distinct tokens, and with what they score."""
    keys, num_targets = list[bytes](), list[int]()
    for row in rows:
        keys.append(np.array(row.segments[0].tokens, dtype=">u4").tobytes())  # big-endian: in the order of the numbers
        num_targets.append(len(row.targets.labels))
    budget = at_once(budget, _common(min(keys), max(keys))) if keys else budget  # in order, what the first and the last share, all share
    group, used, scored, last = list[int](), 0, 0, b""
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        own, length = keys[index], len(keys[index]) // 4
        shared = _common(last, own) if group else 0
        new = length - (shared if shared >= LEAST_SHARED_TOKENS else 0)
        if group and (used + new > budget or scored + num_targets[index] > budget):
            yield group
            group, used, scored, new = [], 0, 0, length
        group.append(index)
        used, scored, last = used + new, scored + num_targets[index], own
    if group:
        yield group


def _common(a: bytes, b: bytes) -> int:
    """With how many equal tokens two keys begin."""
    size = min(len(a), len(b))
    if a[:size] == b[:size]:
        return size // 4
    differ = np.frombuffer(a, dtype=">u4", count=size // 4) != np.frombuffer(b, dtype=">u4", count=size // 4)
    return int(differ.argmax())


def _tree_of(group: Sequence[Row]) -> Row:
    """One row of all of a group, which stand in the order of their tokens; the last token of each, which nothing follows, is not read."""
    tree = Tree([row.segments[0].tokens[:-1] or row.segments[0].tokens for row in group])
    positions, labels, weights, answers = list[int](), list[int](), list[float](), list[int]()
    for index, (row, places) in enumerate(zip(group, tree.places, strict=True)):
        positions += [places[place] for place in row.targets.positions]
        labels += row.targets.labels
        weights += row.targets.weights
        answers += [index] * len(row.targets.labels)
    targets = Targets(tuple(positions), tuple(labels), tuple(weights), tuple(answers))
    return Row(tuple(tree.segments), _HERE, targets, answers=(0,) * len(group))


def _read(
    forward: PackedForward,
    questions: Sequence[Question],
    ask: Callable[[Batch], tuple[Tensor, Tensor]],
    micro_batch_tokens: int,
    progress: Progress | None,
) -> Iterator[tuple[list[_Sequence], list[list[float]]]]:
    """Sequences, a micro-batch at a time, and the sums over the labels of each of both things that `ask` says of a label."""
    if not all(len(q.prompt) and q.choices and all(map(len, q.choices)) for q in questions):
        raise ValueError("a question has a prompt and choices of at least one token each")
    sequences = [
        _Sequence((*q.prompt, *choice[:-1]), tuple(choice), at, place)
        for at, q in enumerate(questions)
        for place, choice in enumerate(q.choices)
    ]
    left = [len(q.choices) for q in questions]
    with evaluating(forward):
        least = LEAST_SHARED_TOKENS if forward.paths.attention == "packed" else _NEVER  # padded rows would repeat what they share
        begin = [min(one.tokens for one in sequences), max(one.tokens for one in sequences)] if sequences and least != _NEVER else [(), ()]
        for group in _groups(sequences, at_once(micro_batch_tokens, num_shared(*begin)), least):
            batch = collate([_row(group, least)], forward.facts).to(forward.device)
            with torch.no_grad():
                said = [found_N.double().cpu() for found_N in ask(batch)]
            none = torch.zeros(len(group), dtype=torch.float64)
            yield group, [none.index_add(0, batch.answers_N.cpu(), found_N).tolist() for found_N in said]
            for one in group:
                left[one.question] -= 1
            if progress is not None:
                progress(left.count(0))


def _groups(sequences: Sequence[_Sequence], budget: int, least: int) -> Iterator[list[_Sequence]]:
    """Sequences in the order of their tokens, so that neighbours share the most, as many at a time as fit the budget."""
    group, used = list[_Sequence](), 0
    for one in sorted(sequences, key=lambda s: s.tokens):
        shared = num_shared(group[-1].tokens, one.tokens) if group else 0
        new = len(one.tokens) - (shared if shared >= least else 0)
        if group and used + new > budget:
            yield group
            group, used, new = [], 0, len(one.tokens)
        group.append(one)
        used += new
    if group:
        yield group


def _row(group: Sequence[_Sequence], least: int) -> Row:
    """One row of all the sequences of a group, which stand in the order of their tokens."""
    tree = Tree([one.tokens for one in group], least=least)
    positions, labels, answers = list[int](), list[int](), list[int]()
    for index, (one, places) in enumerate(zip(group, tree.places, strict=True)):
        positions += places[-len(one.labels) :]
        labels += one.labels
        answers += [index] * len(one.labels)
    targets = Targets(tuple(positions), tuple(labels), (1.0,) * len(labels), tuple(answers))
    return Row(tuple(tree.segments), _HERE, targets, answers=(0,) * len(group))
