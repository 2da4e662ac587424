"""Packed micro-batches: rows laid end to end, with no padding between them.

T tokens of the stream    S segments    N scored positions    A answers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from tunesmith.core.types import ModelFacts, Row, Segment

__all__ = ["Batch", "Stream", "chains", "collate"]


def chains(parents: Sequence[int]) -> list[list[int]]:
    """For each segment those that it continues, the first of them first, and itself."""
    found = list[list[int]]()
    for segment, parent in enumerate(parents):
        found.append([*found[parent], segment] if parent >= 0 else [segment])
    return found


@dataclass(frozen=True)
class Stream:
    """Segments laid end to end. Segment s is `[bounds[s], bounds[s + 1])` and continues segment `parents[s]`, where that is not -1."""

    tokens_T: Tensor
    positions_T: Tensor
    token_types_T: Tensor
    bounds: tuple[int, ...]
    parents: tuple[int, ...]
    vectors_TC: Tensor | None = None
    """What a model of numbers reads in place of the tokens."""

    @property
    def num_tokens(self) -> int:
        """Length of the stream."""
        return self.bounds[-1]

    @property
    def longest(self) -> int:
        """Tokens of the longest segment, with those that it continues."""
        return max(sum(self.bounds[s + 1] - self.bounds[s] for s in chain) for chain in chains(self.parents))

    def to(self, device: torch.device | str) -> Stream:
        """The same stream on another device."""
        return replace(
            self,
            tokens_T=self.tokens_T.to(device),
            positions_T=self.positions_T.to(device),
            token_types_T=self.token_types_T.to(device),
            vectors_TC=None if self.vectors_TC is None else self.vectors_TC.to(device),
        )


@dataclass(frozen=True)
class Batch:
    """A micro-batch. `rows` are what it was made of, so that it can be split."""

    stream: Stream
    source: Stream | None
    """What an encoder-decoder reads: one segment for each segment of `stream`."""
    predict_N: Tensor
    """Positions in the stream whose next token is scored."""
    labels_N: Tensor
    weights_N: Tensor
    answers_N: Tensor
    """The answer, 0..A-1, that each target belongs to."""
    segments_A: Tensor
    """The segment that each answer is read from."""
    rows_A: Tensor
    """The row, 0..len(rows)-1, of each answer."""
    per_answer: Mapping[str, Tensor]
    per_target: Mapping[str, Tensor]
    counts: Mapping[str, float]
    """`target`: sum of weights; `answer`; `row`."""
    rows: tuple[Row, ...]
    facts: ModelFacts

    def by_answer(self, values_N: Tensor) -> Tensor:
        """Values of the targets, summed over those of each answer, (A,)."""
        return values_N.new_zeros(len(self.rows_A)).index_add(0, self.answers_N, values_N)

    def split(self) -> tuple[Batch, Batch]:
        """Two halves by rows, for when memory runs out. Raises ValueError for a single row."""
        if len(self.rows) < 2:
            raise ValueError("a batch of one row cannot be split")
        total, at, seen = sum(row.num_tokens for row in self.rows), 0, 0
        while at < len(self.rows) - 1 and (at == 0 or seen + self.rows[at].num_tokens <= total / 2):
            seen += self.rows[at].num_tokens
            at += 1
        device = self.stream.tokens_T.device
        return collate(self.rows[:at], self.facts).to(device), collate(self.rows[at:], self.facts).to(device)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        moved: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor | Stream):
                moved[f.name] = value.to(device)
        for name in ("per_answer", "per_target"):
            moved[name] = {key: value.to(device) for key, value in getattr(self, name).items()}
        return replace(self, **moved)


def _stream(segments: Sequence[Segment], parents: Sequence[int], facts: ModelFacts) -> Stream:
    bounds, tokens, types, positions, ends = [0], list[int](), list[int](), list[int](), list[int]()
    vectors = [vector for segment in segments for vector in segment.vectors]
    for segment, parent in zip(segments, parents, strict=True):
        start = ends[parent] if parent >= 0 else 0
        ends.append(start + len(segment.tokens))
        tokens += segment.tokens
        types += segment.token_types or (0,) * len(segment.tokens)
        positions += range(start + facts.first_position, ends[-1] + facts.first_position)
        bounds.append(len(tokens))
    return Stream(
        torch.tensor(tokens, dtype=torch.long),
        torch.tensor(positions, dtype=torch.long),
        torch.tensor(types, dtype=torch.long),
        tuple(bounds),
        tuple(parents),
        torch.tensor(vectors, dtype=torch.float32) if vectors else None,
    )


def collate(rows: Sequence[Row], facts: ModelFacts) -> Batch:
    """Lay `rows` end to end.

    Raises: ValueError, where a row is empty or a parent does not stand before its child.
    """
    segments, parents, sources = list[Segment](), list[int](), list[Segment]()
    predict, labels, weights, answers = list[int](), list[int](), list[float](), list[int]()
    segments_of_answers, rows_of_answers, values = list[int](), list[int](), dict[str, list[float]]()
    target_values = dict[str, list[float]]()
    at_token = 0
    for index, row in enumerate(rows):
        first_segment, first_answer = len(segments), len(segments_of_answers)
        for place, segment in enumerate(row.segments):
            if not segment.tokens or segment.parent >= place:
                raise ValueError(f"row {index}: segment {place} is empty or stands before its parent")
            segments.append(segment)
            parents.append(segment.parent + first_segment if segment.parent >= 0 else -1)
            if row.source is not None:
                sources.append(row.source)
        predict += [at_token + p for p in row.targets.positions]
        labels += row.targets.labels
        weights += row.targets.weights
        answers += [first_answer + a for a in row.targets.answers]
        segments_of_answers += [first_segment + s for s in row.answers]
        rows_of_answers += [index] * len(row.answers)
        for name, numbers in row.values.items():
            values.setdefault(name, []).extend(numbers)
        for name, numbers in row.targets.values.items():
            target_values.setdefault(name, []).extend(numbers)
        at_token += sum(len(s.tokens) for s in row.segments)
    return Batch(
        stream=_stream(segments, parents, facts),
        source=_stream(sources, [-1] * len(sources), facts) if sources else None,
        predict_N=torch.tensor(predict, dtype=torch.long),
        labels_N=torch.tensor(labels, dtype=torch.long),
        weights_N=torch.tensor(weights, dtype=torch.float32),
        answers_N=torch.tensor(answers, dtype=torch.long),
        segments_A=torch.tensor(segments_of_answers, dtype=torch.long),
        rows_A=torch.tensor(rows_of_answers, dtype=torch.long),
        per_answer={name: torch.tensor(numbers) for name, numbers in values.items()},
        per_target={name: torch.tensor(numbers) for name, numbers in target_values.items()},
        counts={"target": float(sum(weights)), "answer": float(len(segments_of_answers)), "row": float(len(rows))},
        rows=tuple(rows),
        facts=facts,
    )
