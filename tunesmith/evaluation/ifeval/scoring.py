"""Strict and loose scores of responses, by prompts and by instructions.

n prompts
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tunesmith.core.statistics import Interval, PairedIntervals, bootstrap, compare_proportions, paired_bootstrap, wilson
from tunesmith.evaluation.ifeval.instructions import check

__all__ = ["Followed", "accuracies", "compare", "followed", "followed_by_instruction"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Strictness = Literal["strict", "loose"]
_STRICTNESSES: tuple[Strictness, ...] = ("strict", "loose")


@dataclass(frozen=True, slots=True)
class Followed:
    """Which instructions of one prompt a response follows, in the order of `instruction_ids`."""

    instruction_ids: tuple[str, ...]
    strict: tuple[bool, ...]
    loose: tuple[bool, ...]
    """Whether some variant of the response follows it; true wherever `strict` is."""


def followed(instruction_ids: Sequence[str], kwargs: Sequence[Mapping[str, Any]], response: str) -> Followed:
    """Hold a response against every instruction of its prompt; the arguments as in a published row: `instruction_id_list`, `kwargs`.

    Raises: ValueError, as `check`, and where there are not as many ids as arguments.
    """
    asked = list(zip(instruction_ids, kwargs, strict=True))
    variants = list(_variants(response))
    return Followed(
        tuple(instruction_ids),
        strict=tuple(check(instruction_id, given, response) for instruction_id, given in asked),
        loose=tuple(any(check(instruction_id, given, variant) for variant in variants) for instruction_id, given in asked),
    )


def _variants(response: str) -> Iterator[str]:
    """The response as it is, without its first line, its last line, or both (an introduction, an outro), and each of these without asterisks.

    Source: Zhou et al. (2023), https://arxiv.org/abs/2311.07911.
    """
    lines = response.split("\n")
    for shown in (lines, lines[1:], lines[:-1], lines[1:-1]):
        text = "\n".join(shown)
        yield text
        yield text.replace("*", "")


def accuracies(outcomes: Sequence[Followed], *, seed: int) -> dict[str, Interval]:
    """`prompt_strict` and `prompt_loose`, the share of prompts of which every instruction is followed, by Wilson's interval; `instruction_strict` and
    `instruction_loose`, the share of instructions, by the bootstrap over prompts, as instructions of one prompt are not independent.

    Raises: ValueError, where there are no outcomes.
    """
    found = dict[str, Interval]()
    for strictness in _STRICTNESSES:
        stats_nk = _stats(outcomes, strictness)
        found[f"prompt_{strictness}"] = wilson(int(stats_nk[:, 0].sum()), len(stats_nk))
        found[f"instruction_{strictness}"] = bootstrap(stats_nk, _share, seed=seed)
    return found


def compare(base: Sequence[Followed], tuned: Sequence[Followed], *, seed: int) -> dict[str, PairedIntervals]:
    """The accuracies of two models on the same prompts, and their differences: McNemar's test by prompts, the paired bootstrap by instructions.

    Raises: ValueError, where there are no outcomes, or of different prompts.
    """
    if [one.instruction_ids for one in base] != [one.instruction_ids for one in tuned]:
        raise ValueError("outcomes of different prompts")
    found = dict[str, PairedIntervals]()
    for strictness in _STRICTNESSES:
        before_nk, after_nk = _stats(base, strictness), _stats(tuned, strictness)
        found[f"prompt_{strictness}"] = compare_proportions(before_nk[:, 0], after_nk[:, 0])
        found[f"instruction_{strictness}"] = paired_bootstrap(before_nk, after_nk, _share, seed=seed)
    return found


def followed_by_instruction(outcomes: Sequence[Followed]) -> dict[str, dict[str, int]]:
    """Instruction id -> how often it was asked for and followed: `{strict, loose, total}`, by id."""
    found = dict[str, dict[str, int]]()
    for one in outcomes:
        for instruction_id, strict, loose in zip(one.instruction_ids, one.strict, one.loose, strict=True):
            counts = found.setdefault(instruction_id, {"strict": 0, "loose": 0, "total": 0})
            counts["strict"] += strict
            counts["loose"] += loose
            counts["total"] += 1
    return dict(sorted(found.items()))


def _stats(outcomes: Sequence[Followed], strictness: Strictness) -> Array:
    """Per prompt whether all instructions were followed, how many were, and how many there are, shape (prompts, 3)."""
    if not outcomes:
        raise ValueError("no outcomes")
    rows = [one.strict if strictness == "strict" else one.loose for one in outcomes]
    return np.array([(all(row), sum(row), len(row)) for row in rows], dtype=np.float64)


def _share(stats_nk: Array) -> float:
    return float(stats_nk[:, 1].sum() / stats_nk[:, 2].sum())
