"""Texts of an evaluation set that stand in the training data, whole or in parts: overlap of runs of words.

Runs of 13 words are compared, as in Brown et al. (2020), "Language Models are Few-Shot Learners", appendix C (https://arxiv.org/abs/2005.14165):
shorter runs are idioms, longer ones miss what was quoted in part. An evaluation text of fewer words is one run; of fewer than eight it is compared
with whole texts, since every letter holds "thank you very much".
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.core.language import words
from tunesmith.core.types import Example
from tunesmith.data.checks.finding import MOST_EXAMPLES, Finding, Splits, excerpt, key_of, place
from tunesmith.data.checks.texts import asked, full_text

__all__ = ["LONGEST_RUN", "SHORTEST_RUN", "Leak", "find_leakage", "leaks"]

LONGEST_RUN = 13
SHORTEST_RUN = 8
_WHOLE = 0.5


@dataclass(frozen=True, slots=True)
class Leak:
    """An evaluation text, and the first training row that holds a run of its words."""

    evaluated: Example
    learned: Example
    share: float
    """Of the evaluation text's words, those in runs that stand in any training row: above 0, up to 1."""


def leaks(learned: Sequence[Example], evaluated: Sequence[Example]) -> tuple[list[Leak], dict[int, list[Example]]]:
    """The evaluation texts of which training rows hold a run of words, and for each (by its index) the rows that do.

    The training rows are gone through once; what is kept in memory is the runs of the evaluation texts.
    """
    runs: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    sizes = set[int]()
    lengths = list[int]()
    for index, example in enumerate(evaluated):
        found = words(asked(example))
        lengths.append(len(found))
        size = min(LONGEST_RUN, len(found))
        if size:
            sizes.add(size)
        for start in range(max(len(found) - size + 1, 0) if size else 0):
            runs[" ".join(found[start : start + size])].append((index, start, size))
    hit: dict[int, set[int]] = defaultdict(set)
    rows: dict[int, list[Example]] = defaultdict(list)
    for example in learned:
        for run in _runs(example, sizes):
            for index, start, size in runs.get(run, ()):
                hit[index].update(range(start, start + size))
                if not rows[index] or rows[index][-1] is not example:
                    rows[index].append(example)
    return [Leak(evaluated[index], rows[index][0], len(hit[index]) / lengths[index]) for index in sorted(hit)], rows


def _runs(example: Example, sizes: set[int]) -> set[str]:
    """The runs of a training row that evaluation texts may have: of its whole text and, where it is short itself, what it asks as a whole."""
    found, whole = words(full_text(example)), words(asked(example))
    made = {" ".join(found[start : start + size]) for size in sizes if size >= SHORTEST_RUN for start in range(len(found) - size + 1)}
    return made | ({" ".join(whole)} if len(whole) < SHORTEST_RUN else set())


def find_leakage(splits: Splits, against: Mapping[str, Sequence[Example]]) -> list[Finding]:
    """For each set that is measured and never learned: an error where half of the words of one of its texts stand in training, else a warning.

    A text of fewer than `SHORTEST_RUN` words never makes it an error: anybody writes "nice one".

    Args:
        splits: the first is what is learned.
        against: evaluation sets by their names.
    """
    if not splits:
        return []
    split, learned = next(iter(splits.items()))
    found = list[Finding]()
    for name, evaluated in against.items():
        leaked, rows = leaks(learned, evaluated)
        if not leaked:
            continue
        whole = sum(leak.share >= _WHOLE for leak in leaked)
        many = len(leaked) != 1
        text = (
            f"{len(leaked):,} of the {len(evaluated):,} texts of {name} share a run of {LONGEST_RUN} words (shorter ones: all of them) with {split}, "
            f"{whole:,} of them half of their words or more. Scores on {'them' if many else 'it'} are not to be trusted; "
            f"a cleaned copy (--fix) leaves the rows out of {split}."
        )
        is_error = any(leak.share >= _WHOLE and len(words(asked(leak.evaluated))) >= SHORTEST_RUN for leak in leaked)
        first = sorted(leaked, key=lambda leak: -leak.share)[:MOST_EXAMPLES]
        examples = tuple(
            place(split, leak.learned, f"{leak.share:.0%} of {excerpt(asked(leak.evaluated))}", leak.evaluated) for leak in first
        )
        removed = frozenset(key_of(row) for every in rows.values() for row in every)
        found.append(Finding("leakage", "error" if is_error else "warning", f"{split}/{name}", len(leaked), text, examples, removed))
    return found
