"""What the objectives of language models share."""

from itertools import compress

from tunesmith.core.types import Encoded, Origin, Row, Segment, Targets

__all__ = ["scored_row"]


def scored_row(encoded: Encoded, origin: Origin) -> Row | None:
    """A row that scores the marked tokens, each predicted at the position before it; None where none is marked."""
    scored = encoded.scored
    if scored and scored[0]:  # nothing predicts the first
        scored = (False, *scored[1:])
    labels = tuple(compress(encoded.tokens, scored))
    if not labels:
        return None
    positions = tuple(compress(range(-1, len(scored)), scored))
    targets = Targets(positions, labels, (1.0,) * len(labels), (0,) * len(labels))
    source = Segment(encoded.source) if encoded.source else None
    return Row((Segment(encoded.tokens, encoded.token_types),), origin, targets, source=source)
