"""What the objectives of language models share."""

from tunesmith.core.types import Encoded, Origin, Row, Segment, Targets

__all__ = ["scored_row"]


def scored_row(encoded: Encoded, origin: Origin) -> Row | None:
    """A row that scores the marked tokens, each predicted at the position before it; None where none is marked."""
    scored = [place for place, is_scored in enumerate(encoded.scored) if is_scored and place > 0]
    if not scored:
        return None
    targets = Targets(
        positions=tuple(place - 1 for place in scored),
        labels=tuple(encoded.tokens[place] for place in scored),
        weights=(1.0,) * len(scored),
        answers=(0,) * len(scored),
    )
    source = Segment(encoded.source) if encoded.source else None
    return Row((Segment(encoded.tokens, encoded.token_types),), origin, targets, source=source)
