"""Masked language modelling: fill in tokens of raw text that are hidden from an encoder, which reads what stands before and after.

loss = - sum over masked tokens t of log p(x_t | x without the masked ones).

Of the chosen tokens 80 % become the mask token, 10 % a random token, 10 % stay: the model cannot tell which are to be judged. They are drawn anew
each time that a row is trained on; for validation and test they are drawn once, from a seed that is a hash of the tokens.

Source: Devlin et al. (2019), "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", https://arxiv.org/abs/1810.04805,
section 3.1 and appendix A.1; whole words: the authors' release of May 2019, https://github.com/google-research/bert.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tunesmith.core.errors import ObjectiveError
from tunesmith.core.types import Encoder, Example, Row, Segment, Targets, Text
from tunesmith.objective._language_model import LanguageModelLoss

__all__ = ["MaskedLM"]

_MASKED, _RANDOM = 0.8, 0.1


@dataclass(frozen=True, kw_only=True)
class MaskedLM(LanguageModelLoss):
    """Learn to fill in masked tokens of raw text, with an encoder's own vocabulary head."""

    mask_share: float = 0.15
    """Share of the tokens that are to be filled in."""
    whole_words: bool = False
    """Choose words with all their tokens, not tokens."""

    accepts: ClassVar[tuple[type, ...]] = (Text,)
    fills: ClassVar[frozenset[str]] = frozenset({"masked"})
    headline: ClassVar[str] = "masked_perplexity"
    need: ClassVar[str] = "mlm"

    def __post_init__(self) -> None:
        """Raises: ObjectiveError, for a share out of its range."""
        if not 0 < self.mask_share < 1:
            raise ObjectiveError(f"objective.mask_share: expected more than 0 and less than 1, found {self.mask_share}.")

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row for every window of the model's length, masked by a seed that is a hash of its tokens.

        Raises: ObjectiveError, where the tokenizer has no mask token.
        """
        assert isinstance(example, Text)
        mask = encoder.mask_token_id
        if mask is None:
            raise ObjectiveError(
                f"objective: masked_lm: the tokenizer of {encoder.facts.name} has no mask token. Use an encoder that was pretrained with one (BERT and its relatives)."
            )
        known = {"mask_token": (float(mask),), "vocab_size": (float(encoder.facts.vocab_size),)}
        rows = []
        for window in encoder.word_windows(example):
            if max(window.words, default=-1) >= 0:
                row = Row((Segment(window.tokens, window.token_types),), example.origin, values=known, words=window.words)
                seed = int.from_bytes(hashlib.sha256(repr(window.tokens).encode()).digest()[:8], "big")
                rows.append(self._masked(row, window.tokens, np.random.default_rng(seed)))
        return rows

    def draw(self, row: Row, rng: np.random.Generator) -> Row:
        """The row with other tokens masked."""
        tokens = list(row.segments[0].tokens)
        for position, label in zip(row.targets.positions, row.targets.labels, strict=True):
            tokens[position] = label
        return self._masked(row, tokens, rng)

    def _masked(self, row: Row, tokens: Sequence[int], rng: np.random.Generator) -> Row:
        """`row` with `tokens` of which some are hidden."""
        chosen = self._chosen(row.words, rng)
        hidden, fates = list(tokens), rng.random(len(chosen))
        for position, fate in zip(chosen, fates, strict=True):
            if fate < _MASKED:
                hidden[position] = int(row.values["mask_token"][0])
            elif fate < _MASKED + _RANDOM:
                hidden[position] = int(rng.integers(int(row.values["vocab_size"][0])))
        count = len(chosen)
        targets = Targets(tuple(chosen), tuple(tokens[position] for position in chosen), (1.0,) * count, (0,) * count)
        return replace(row, segments=(replace(row.segments[0], tokens=tuple(hidden)),), targets=targets)

    def _chosen(self, words: Sequence[int], rng: np.random.Generator) -> list[int]:
        """Positions to fill in: at least one, and as near below the share as whole units come."""
        places = [position for position, word in enumerate(words) if word >= 0]
        units = dict[int, list[int]]()
        for position in places:
            units.setdefault(words[position] if self.whole_words else position, []).append(position)
        most, found = max(1, round(self.mask_share * len(places))), list[int]()
        groups = list(units.values())
        for index in rng.permutation(len(groups)):
            if not found or len(found) + len(groups[index]) <= most:
                found += groups[index]
            if len(found) >= most:
                break
        return sorted(found)
