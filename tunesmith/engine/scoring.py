"""How likely a model finds continuations of prompts: beginnings that several share are computed once.

The sequences of a micro-batch are laid out as a tree: a segment for what several have in common, and one for each that goes on from there. A
few-shot prompt before many questions, and a question before its choices, stand in the stream once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from tunesmith.core.batch import collate
from tunesmith.core.types import Origin, Row, Segment, Targets
from tunesmith.engine.forward import PackedForward

__all__ = ["LEAST_SHARED_TOKENS", "Question", "num_shared", "score"]

_HERE = Origin("score", 1)
LEAST_SHARED_TOKENS = 8
"""A shorter common beginning is not worth a segment of its own."""
_NEVER = 10**9


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, at least one token, and what may continue it."""

    prompt: Sequence[int]
    choices: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class _Sequence:
    tokens: tuple[int, ...]
    start: int
    """Where what is scored begins."""
    question: int
    choice: int


def score(
    forward: PackedForward,
    questions: Sequence[Question],
    *,
    micro_batch_tokens: int = 8192,
    progress: Callable[[int], None] | None = None,
) -> list[list[float]]:
    """The log-likelihood of each choice after its prompt, nats, a sum over the choice's tokens.

    Args:
        micro_batch_tokens: distinct tokens computed at a time, each common beginning counted once.
        progress: called with the number of questions done.
    Raises: ValueError, where a prompt or a choice is empty.
    """
    if not all(len(q.prompt) and q.choices and all(map(len, q.choices)) for q in questions):
        raise ValueError("a question has a prompt and choices of at least one token each")
    sequences = [
        _Sequence((*q.prompt, *choice), len(q.prompt), at, place)
        for at, q in enumerate(questions)
        for place, choice in enumerate(q.choices)
    ]
    scores = [[0.0] * len(q.choices) for q in questions]
    left = [len(q.choices) for q in questions]
    was_training = forward.training
    forward.eval()
    try:
        least = LEAST_SHARED_TOKENS if forward.paths.attention == "packed" else _NEVER  # padded rows would repeat what they share
        for group in _groups(sequences, micro_batch_tokens, least):
            batch = collate([_row(group, least)], forward.facts).to(forward.device)
            with torch.no_grad():
                logprobs_N = forward.logprobs(batch, with_entropy=False)[0].double().cpu()
            sums = torch.zeros(len(group), dtype=torch.float64).index_add(0, batch.answers_N.cpu(), logprobs_N)
            for one, total in zip(group, sums.tolist(), strict=True):
                scores[one.question][one.choice] = total
                left[one.question] -= 1
            if progress is not None:
                progress(left.count(0))
    finally:
        forward.train(was_training)
    return scores


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


def num_shared(a: Sequence[int], b: Sequence[int]) -> int:
    """With how many equal tokens two sequences begin."""
    for place, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return place
    return min(len(a), len(b))


@dataclass(slots=True)
class _Tree:
    """Segments as they are laid out, each with its parent and the place in the stream where it starts."""

    segments: list[Segment] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    num_tokens: int = 0
    least: int = LEAST_SHARED_TOKENS

    def add(self, tokens: Sequence[int], parent: int) -> int:
        self.segments.append(Segment(tuple(tokens), parent=parent))
        self.starts.append(self.num_tokens)
        self.num_tokens += len(tokens)
        return len(self.segments) - 1


def _row(group: Sequence[_Sequence], least: int) -> Row:
    """One row of all the sequences of a group, which stand in the order of their tokens."""
    tree = _Tree(least=least)
    places = dict[int, list[int]]()  # by the index in the group: the place in the stream of each token
    _lay(tree, group, range(len(group)), 0, -1, [], places)
    positions, labels, answers = list[int](), list[int](), list[int]()
    for index, one in enumerate(group):
        positions += places[index][one.start - 1 : len(one.tokens) - 1]
        labels += one.tokens[one.start :]
        answers += [index] * (len(one.tokens) - one.start)
    targets = Targets(tuple(positions), tuple(labels), (1.0,) * len(labels), tuple(answers))
    return Row(tuple(tree.segments), _HERE, targets, answers=(0,) * len(group))


def _lay(
    tree: _Tree, group: Sequence[_Sequence], members: range, depth: int, parent: int, before: list[int], places: dict[int, list[int]]
) -> None:
    """Lay out what the members have from token `depth` on; `before` holds the places of the tokens up to there."""
    shared = num_shared(group[members[0]].tokens, group[members[-1]].tokens)  # sorted: what the ends share, all share
    if len(members) > 1 and shared - depth >= tree.least:
        parent = tree.add(group[members[0]].tokens[depth:shared], parent)
        before = [*before, *range(tree.starts[parent], tree.num_tokens)]
        depth = shared
    start = members.start
    while start < members.stop:
        first, end = group[start].tokens, start + 1
        while end < members.stop and num_shared(first, group[end].tokens) - depth >= tree.least:
            end += 1
        if end - start > 1 and end - start < len(members):
            _lay(tree, group, range(start, end), depth, parent, before, places)
        else:
            for index in range(start, end):
                places[index] = _leaf(tree, group[index], depth, parent, before)
        start = end


def _leaf(tree: _Tree, one: _Sequence, depth: int, parent: int, before: list[int]) -> list[int]:
    if before and depth == len(one.tokens):  # all of it stands there already, as the beginning of another
        return before
    segment = tree.add(one.tokens[depth:], parent)
    return [*before, *range(tree.starts[segment], tree.num_tokens)]
