"""What the encoder makes of an example: tokens, and what they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.core.examples import Origin

__all__ = ["Encoded", "EncodedContext", "EncodedWords", "Row", "Segment", "Targets", "WordWindow", "continued"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One rendered and tokenized example.

    `tokens`, `token_types` and `scored` have one entry a token; `scored` marks the tokens that are learned (never the first one, which
    nothing predicts). `source` is what an encoder-decoder reads. `num_cut` counts the tokens left out to fit the model.
    """

    tokens: tuple[int, ...]
    token_types: tuple[int, ...]
    scored: tuple[bool, ...]
    source: tuple[int, ...] = ()
    num_cut: int = 0
    vectors: tuple[tuple[float, ...], ...] = ()
    """One a token, where the model reads numbers in place of tokens."""


@dataclass(frozen=True, slots=True)
class EncodedWords:
    """A sentence given word by word: its tokens, and the position of each word's first one; -1 where the word was cut off."""

    encoded: Encoded
    firsts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EncodedContext:
    """A question and a window of its context: token `first + i` is the characters `spans[i]` (begin, end) of the whole context."""

    encoded: Encoded
    first: int
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class WordWindow:
    """A part of a text as an encoder reads it, special tokens included; `words` numbers the word of each token, -1 for special ones."""

    tokens: tuple[int, ...]
    token_types: tuple[int, ...]
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """One token sequence. `parent` is the index, in its row, of the segment that it continues, or -1."""

    tokens: tuple[int, ...]
    token_types: tuple[int, ...] = ()
    parent: int = -1
    vectors: tuple[tuple[float, ...], ...] = ()
    """One a token, which a model of numbers reads in its place."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What is scored in a row: `labels[i]` is the token that `positions[i]` should predict, worth `weights[i]`, part of answer `answers[i]`.

    Positions count over the row's segments laid end to end.
    """

    positions: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    answers: tuple[int, ...] = ()
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """One number a target under each name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded example; packing never splits it.

    `answers` names the segments that are read or scored as a whole (by index); `values` holds one number an answer under each name.
    """

    segments: tuple[Segment, ...]
    origin: Origin
    targets: Targets = Targets()
    answers: tuple[int, ...] = (0,)
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    source: Segment | None = None
    words: tuple[int, ...] = ()
    """Where tokens are masked: for each token of the row the number of its word, -1 for special tokens."""

    @property
    def num_tokens(self) -> int:
        """Tokens of all segments, and of the source where there is one."""
        return sum(len(s.tokens) for s in self.segments) + (len(self.source.tokens) if self.source else 0)


def continued(
    shared: tuple[int, ...],
    wholes: Sequence[tuple[Sequence[int], Sequence[bool]]],
    origin: Origin,
    *,
    weights: Sequence[float] | None = None,
    values: Mapping[str, tuple[float, ...]] | None = None,
    source: Segment | None = None,
) -> Row:
    """A row of several sequences that begin alike: what they share stands in it once, and the last token of each, which nothing follows, does not.

    Args:
        shared: at least one token, none of which is scored.
        wholes: of each sequence its tokens, those that are shared too, and which of them are scored, each predicted from what stands before it.
        weights: of the targets of each sequence; None: 1.
        values: of each sequence.
    """
    segments, ends = [Segment(shared)], list[int]()
    positions, labels, target_weights, owners = list[int](), list[int](), list[float](), list[int]()
    start = len(shared)
    for number, (tokens, scored) in enumerate(wholes):
        rest = tuple(tokens[len(shared) : -1])
        for place in (place for place, is_scored in enumerate(scored) if is_scored):
            before = place - 1
            positions.append(before if before < len(shared) else start + before - len(shared))
            labels.append(tokens[place])
            target_weights.append(1.0 if weights is None else weights[number])
            owners.append(number)
        if rest:
            segments.append(Segment(rest, parent=0))
            start += len(rest)
        ends.append(len(segments) - 1 if rest else 0)
    targets = Targets(tuple(positions), tuple(labels), tuple(target_weights), tuple(owners))
    return Row(tuple(segments), origin, targets, tuple(ends), values or {}, source)
