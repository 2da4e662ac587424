"""What the objectives of judged answers share: a conversation stands in a row once, and each answer to it continues it.

A answers    N scored positions
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.encoded import continued
from tunesmith.core.errors import DataError
from tunesmith.core.examples import Judged, conversations
from tunesmith.core.types import Encoded, Encoder, Origin, Preference, Prompt, Rated, Row, Segment

__all__ = ["answered_row", "encoded_answers", "in_order", "log_ratios", "of_preference", "pairs_of_texts"]


def of_preference(example: Preference, encoder: Encoder, *, weights: Sequence[float] | None = None) -> list[Row]:
    """One row, the chosen answer first; none where cutting left nothing to score of one of them, or both the same. `weights`: as of `answered_row`."""
    shared, wholes = encoded_answers(example, encoder)
    row = answered_row(shared, wholes, example.origin, weights=weights)
    return [row] if row else []


def encoded_answers(example: Judged, encoder: Encoder) -> tuple[tuple[int, ...], list[Encoded]]:
    """The conversation with each of its answers, cut on the right to the model's length, and what all of them begin with, as far as nothing of that is learned.

    Returns: the tokens that they share, and each whole; `scored` marks those of the answer, the end of its turn among them.
    Raises: DataError, where an encoder-decoder would read different sources.
    """
    origin, wholes = example.origin, [encoder.encode(one) for one in conversations(example)]
    if len({one.source for one in wholes}) > 1:
        raise DataError(
            f"{origin.file}:{origin.row}: an answer of several messages, of which an encoder-decoder writes the last alone. Use a causal model, or answers of one message."
        )
    begun = encoder.prompt(Prompt(example.prompt, origin))
    columns = zip(begun, *(one.tokens for one in wholes), strict=False)
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    return begun[:shared], [replace(one, scored=_behind(one.scored, shared)) for one in wholes]


def pairs_of_texts(example: Judged, encoder: Encoder) -> tuple[Segment, ...]:
    """For an encoder: the conversation as one text, its turns parted by empty lines, and each answer as a second one."""
    asked, *ways = ("\n\n".join(turn.content for turn in turns) for turns in (example.prompt, *example.ways))
    found = [encoder.encode(Rated(asked, None, example.origin, way)) for way in ways]
    return tuple(Segment(one.tokens, one.token_types) for one in found)


def _behind(scored: Sequence[bool], shared: int) -> tuple[bool, ...]:
    return (*((False,) * min(shared, len(scored))), *scored[shared:])


def answered_row(
    shared: tuple[int, ...],
    wholes: Sequence[Encoded],
    origin: Origin,
    *,
    weights: Sequence[float] | None = None,
    values: Mapping[str, tuple[float, ...]] | None = None,
) -> Row | None:
    """A row that scores the answers, each predicted from what stands before it; None where one of them has nothing left to score, or two are the same.

    Args:
        shared: what all begin with; it stands in the row once, and the last token of an answer, which nothing follows, does not.
        weights: of the targets of each answer; None: 1.
    """
    if not shared or not all(any(one.scored) for one in wholes) or len({one.tokens for one in wholes}) < len(wholes):
        return None
    source = Segment(wholes[0].source) if wholes[0].source else None
    return continued(shared, [(one.tokens, one.scored) for one in wholes], origin, weights=weights, values=values, source=source)


def log_ratios(logprobs_N: Tensor, batch: Batch) -> Tensor:
    """log pi(y | x) - log pi_ref(y | x) of each answer, nats, (A,): zeros where no reference is stored, as the model is its own."""
    policy_A = batch.by_answer(logprobs_N)
    return policy_A - (batch.per_answer["reference"] if "reference" in batch.per_answer else policy_A.detach())


def in_order(margins: Tensor) -> Tensor:
    """1 where the better answer is above the other by its margin, a half where they are equal; without a gradient, of the same shape."""
    return (margins > 0).float() + 0.5 * (margins == 0).float()
