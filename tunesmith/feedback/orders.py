"""What several judges together say of pairs, and the order of answers that follows.

A pair is decided by more than half of those who judged it. Where the preferences that come out go round in a circle (A over B, B over C, C over A), none of those in the circle
is taken: what a judge would have to be to agree with them does not exist.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunesmith.feedback.records import PairVerdict, Verdict

__all__ = ["Settled", "Tally", "ordered", "settle"]

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tally:
    """How often each verdict was given of a pair."""

    first: int
    second: int
    tie: int

    @property
    def verdict(self) -> Verdict | None:
        """What more than half of the judges say; None where nothing has so many."""
        judges = self.first + self.second + self.tie
        counts: tuple[tuple[Verdict, int], ...] = (("first", self.first), ("second", self.second), ("tie", self.tie))
        return next((name for name, count in counts if 2 * count > judges), None)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of every pair that was judged."""

    preferred: tuple[Pair, ...]
    """(better, worse), without those in circles."""
    tied: tuple[Pair, ...]
    undecided: tuple[Pair, ...]
    """No verdict has more than half of the judges."""
    in_circles: tuple[Pair, ...]
    """(better, worse) of preferences that contradict each other."""


def settle(verdicts: Iterable[PairVerdict]) -> Settled:
    """Majorities, and what of them goes round in a circle."""
    said: dict[Pair, Counter[Verdict]] = {}
    for one in verdicts:
        said.setdefault((one.first, one.second), Counter())[one.verdict] += 1
    tied, undecided, edges = list[Pair](), list[Pair](), list[Pair]()
    for (first, second), counts in sorted(said.items()):
        match Tally(counts["first"], counts["second"], counts["tie"]).verdict:
            case "first":
                edges.append((first, second))
            case "second":
                edges.append((second, first))
            case "tie":
                tied.append((first, second))
            case None:
                undecided.append((first, second))
    below = _below(edges)
    circles = {(better, worse) for better, worse in edges if better in below[worse]}
    return Settled(tuple(edge for edge in edges if edge not in circles), tuple(tied), tuple(undecided), tuple(sorted(circles)))


def ordered(settled: Settled, answers: Sequence[int]) -> list[list[int]] | None:
    """The answers from the best on, those that are tied together; None where what is settled does not give one order of all of them.

    Ties are carried on: A like B and B like C makes A like C, and where A is preferred to C all the same, there is no order.
    """
    group = {answer: answer for answer in answers}
    for one, other in settled.tied:
        if one in group and other in group:
            kept, merged = group[one], group[other]
            group = {answer: kept if root == merged else root for answer, root in group.items()}
    if any(better in group for better, _ in settled.in_circles):
        return None
    edges = [(group[better], group[worse]) for better, worse in settled.preferred if better in group and worse in group]
    below = _below(edges)
    roots = list(dict.fromkeys(group.values()))
    best_first = sorted(roots, key=lambda root: -len(below.get(root, ())))
    # one order of all: each is above exactly those that come after it
    if any(below.get(root, set()) != set(best_first[place + 1 :]) for place, root in enumerate(best_first)):
        return None
    return [[answer for answer in answers if group[answer] == root] for root in best_first]


def _below(edges: Iterable[Pair]) -> dict[int, set[int]]:
    """Each answer -> all that can be reached from it by going from better to worse; itself too, where it stands in a circle."""
    worse_than: dict[int, set[int]] = {}
    for better, worse in edges:
        worse_than.setdefault(better, set()).add(worse)
        worse_than.setdefault(worse, set())
    found = {}
    for start in worse_than:
        reached, waiting = set[int](), [start]
        while waiting:
            for worse in worse_than[waiting.pop()] - reached:
                reached.add(worse)
                waiting.append(worse)
        found[start] = reached
    return found
