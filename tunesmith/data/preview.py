"""Rows as the model reads them, in pieces that are learned or not."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from tunesmith.core.types import Row
from tunesmith.data.encoder import TextEncoder

__all__ = ["pieces", "preview"]


def pieces(row: Row, encoder: TextEncoder, *, predicts_next: bool = True) -> list[tuple[str, bool]]:
    """The text of a row, special tokens shown, in runs of (text, whether it is learned); an encoder-decoder's source comes first.

    Args:
        predicts_next: whether a target is the token after its position, as a language model's is, or the position itself, which a head reads.
    """
    runs = [
        (scored, [token for token, _ in run]) for scored, run in groupby(_tokens(row, predicts_next=predicts_next), key=lambda one: one[1])
    ]
    found = [(encoder.spell(run), scored) for scored, run in runs]
    return [(encoder.spell(row.source.tokens), False), *found] if row.source else found


def _tokens(row: Row, *, predicts_next: bool) -> list[tuple[int, bool]]:
    """(token, whether it is learned)"""
    learned = {position + predicts_next for position in row.targets.positions}
    tokens = [token for segment in row.segments for token in segment.tokens]
    return [(token, place in learned) for place, token in enumerate(tokens)]


def preview(rows: Sequence[Row], encoder: TextEncoder, *, predicts_next: bool = True) -> list[dict[str, Any]]:
    """For each row its `origin` (FILE:row), `num_tokens`, `pieces`, and `tokens` of (number, text, whether it is learned)."""
    return [
        {
            "origin": f"{row.origin.file}:{row.origin.row}",
            "num_tokens": row.num_tokens,
            "pieces": pieces(row, encoder, predicts_next=predicts_next),
            "tokens": [(token, encoder.spell([token]), learned) for token, learned in _tokens(row, predicts_next=predicts_next)],
        }
        for row in rows
    ]
