"""Lengths in tokens, as the model reads them, and how many rows are longer than its context."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tunesmith.core.errors import ModelError
from tunesmith.core.examples import Judged, conversations
from tunesmith.core.types import Chat, Completion, Encoded, Example, Labelled, Text
from tunesmith.data.checks.finding import Finding, finding
from tunesmith.data.checks.masking import masked
from tunesmith.data.encoder import TextEncoder

__all__ = ["TokenLengths", "TooLong", "measure_lengths", "quantiles"]

TooLong = Literal["cut", "drop", "refuse"]


@dataclass(frozen=True, slots=True)
class TokenLengths:
    """Tokens of a split's rows."""

    context: int
    """The most tokens that a row may have."""
    total: int
    min: int
    p5: int
    median: int
    p95: int
    p99: int
    max: int
    num_over: int
    """Rows longer than the context."""
    num_tokens_over: int
    """Tokens beyond it."""
    num_nothing_left: int
    """Rows of whose answer no token fits, so that nothing of them is learned."""


def quantiles(sizes: Sequence[int]) -> dict[str, int]:
    """min, p5, median, p95, p99 and max of some numbers, each one of them: the least that so many are not above. Zeros where there are none."""
    ordered = sorted(sizes) or [0]
    places = {"min": 0.0, "p5": 0.05, "median": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: ordered[max(math.ceil(share * len(ordered)) - 1, 0)] for name, share in places.items()}


def _longest(example: Example, encoder: TextEncoder) -> Encoded:
    """The row; of several judged answers to one prompt, the longest with its prompt."""
    if not isinstance(example, Judged):
        return encoder.encode(example)
    return max(map(encoder.encode, conversations(example)), key=lambda one: len(one.tokens) + one.num_cut)


def measure_lengths(
    split: str, examples: Sequence[Example], encoder: TextEncoder, too_long: TooLong = "cut"
) -> tuple[TokenLengths, list[Finding]]:
    """Encode every row of a split as training would, and count.

    Args:
        encoder: with the labels, template and length of the recipe.
        too_long: what the recipe does with a row that does not fit; `refuse` makes it an error.
    """
    sizes, over, lost, refused = list[int](), list[tuple[Example, int, int]](), list[tuple[Example, int, int]](), dict[int, str]()
    for example in examples:
        try:
            encoded = _longest(example, encoder)
        except ModelError as error:
            refused[id(example)] = str(error)
            continue
        size = len(encoded.tokens) + len(encoded.source) + encoded.num_cut
        sizes.append(size)
        if encoded.num_cut:
            over.append((example, size, encoded.num_cut))
            if _loses_its_answer(example, encoded, encoder):
                lost.append((example, size, encoded.num_cut))
    facts = TokenLengths(
        encoder.max_length,
        sum(sizes),
        **quantiles(sizes),
        num_over=len(over),
        num_tokens_over=sum(beyond for _, _, beyond in over),
        num_nothing_left=len(lost),
    )
    found = [_too_long(split, over, len(examples), facts, too_long)] if over else []
    if lost:
        many = len(lost) != 1
        text = (
            f"{len(lost):,} row{'s' if many else ''} of {split} lose{'' if many else 's'} the whole answer when cut, and nothing is learned of "
            f"{'them' if many else 'it'}. Raise model.max_length, or shorten the texts."
        )
        found.append(finding("nothing_left", "warning", split, [row for row, _, _ in lost], text, shown=_shown(lost)))
    if refused:
        rows = [example for example in examples if id(example) in refused]
        text = f"the model's chat template refuses {len(rows):,} row{'s' if len(rows) != 1 else ''} of {split}: tuning stops at the first."
        found.append(finding("template", "error", split, rows, text, shown=lambda row: masked(refused[id(row)]), removes=True))
    return facts, found


def _loses_its_answer(example: Example, encoded: Encoded, encoder: TextEncoder) -> bool:
    is_answered = isinstance(example, Chat | Completion) or (encoder.labelled_as == "answer" and isinstance(example, Labelled))
    return is_answered and not any(encoded.scored)


def _too_long(split: str, over: Sequence[tuple[Example, int, int]], total: int, facts: TokenLengths, too_long: TooLong) -> Finding:
    becomes = "each becomes several rows" if isinstance(over[0][0], Text) else _BECOMES[too_long]
    text = (
        f"{len(over):,} of {total:,} rows ({len(over) / total:.1%}) of {split} are longer than the {facts.context:,} tokens of a row, "
        f"by {facts.num_tokens_over:,} tokens in all: {becomes}."
    )
    if isinstance(over[0][0], Text):
        return finding("too_long", "note", split, [row for row, _, _ in over], text, shown=_shown(over))
    severity: Literal["error", "warning"] = "error" if too_long == "refuse" else "warning"
    return finding("too_long", severity, split, [row for row, _, _ in over], text, shown=_shown(over))


def _shown(rows: Sequence[tuple[Example, int, int]]) -> Callable[[Example], str]:
    size_of = {id(row): size for row, size, _ in rows}
    return lambda row: f"{size_of[id(row)]:,} tokens"


_BECOMES = {
    "cut": "their ends are cut off (data.too_long)",
    "drop": "they are left out (data.too_long)",
    "refuse": "tuning refuses them (data.too_long)",
}
