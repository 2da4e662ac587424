"""What the objectives of language models share."""

from itertools import compress

from tunesmith.core.types import Encoded, Origin, Row, Segment, Targets

__all__ = ["scored_row"]


def scored_row(encoded: Encoded, origin: Origin) -> Row | None:
    """A row that scores the marked tokens, each predicted at the position before it; None where none is marked."""
    scored = encoded.scored[1:]  # nothing predicts the first
    labels = tuple(compress(encoded.tokens[1:], scored))
    if not labels:
        return None
    positions = tuple(compress(range(len(scored)), scored))
    targets = Targets(positions, labels, weights=(1.0,) * len(labels), answers=(0,) * len(labels))
    source = Segment(encoded.source) if encoded.source else None
    return Row((Segment(encoded.tokens, encoded.token_types),), origin, targets, source=source)
