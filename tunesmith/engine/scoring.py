"""How likely a model finds continuations of prompts: beginnings that several share are computed once.

The sequences of a micro-batch are laid out as a tree (`engine/tree.py`). A few-shot prompt before many questions, and a question before its
choices, stand in the stream once; the last token of a choice, which nothing follows, is not read at all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Origin, Row, Targets
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.likelihood import with_likeliest
from tunesmith.engine.tree import LEAST_SHARED_TOKENS, Tree, num_shared

__all__ = ["Question", "Scored", "score", "score_greedily"]

_HERE = Origin("score", 1)
_NEVER = 10**9

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
        micro_batch_tokens: distinct tokens computed at a time, each common beginning counted once.
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
    was_training = forward.training
    forward.eval()
    try:
        least = LEAST_SHARED_TOKENS if forward.paths.attention == "packed" else _NEVER  # padded rows would repeat what they share
        for group in _groups(sequences, micro_batch_tokens, least):
            batch = collate([_row(group, least)], forward.facts).to(forward.device)
            with torch.no_grad():
                said = [found_N.double().cpu() for found_N in ask(batch)]
            none = torch.zeros(len(group), dtype=torch.float64)
            yield group, [none.index_add(0, batch.answers_N.cpu(), found_N).tolist() for found_N in said]
            for one in group:
                left[one.question] -= 1
            if progress is not None:
                progress(left.count(0))
    finally:
        forward.train(was_training)


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
