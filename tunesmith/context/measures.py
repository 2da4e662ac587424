"""How well passages were found for questions whose answers stand in known places of the documents.

Tokens are told by where they begin, so that a token which two passages share is one. With R the tokens of a question's references and F those of the first k passages:

recall@k = |R and F| / |R|
IoU@k = |R and F| / |R or F|
nDCG@k = DCG / ideal, DCG = sum over ranks i up to k of gain_i / log2(i + 1)

A passage's gain is the share of R that it holds and none before it does, so that the same words found twice count once. The ideal is the DCG of the passages taken
greedily, each time the one with the largest gain; where the ranking's own is higher, that.

Source: Smith, Troynikov (2024), "Evaluating Chunking Strategies for Retrieval", https://research.trychroma.com/evaluating-chunking (recall, IoU); Jaervelin, Kekaelaeinen (2002),
"Cumulated gain-based evaluation of IR techniques", https://doi.org/10.1145/582415.582418; gains of what is new: Clarke et al. (2008), https://doi.org/10.1145/1390334.1390446.
"""

import math
from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet

__all__ = ["iou", "ndcg", "recall"]

Tokens = AbstractSet[Hashable]


def recall(references: Tokens, found: Sequence[Tokens], k: int) -> float:
    """Of the references' tokens the share that the first k passages hold. Raises: ValueError, for references without tokens."""
    return len(_needed(references) & _union(found[:k])) / len(references)


def iou(references: Tokens, found: Sequence[Tokens], k: int) -> float:
    """What the first k passages and the references share, of all that either holds."""
    held = _union(found[:k])
    return len(_needed(references) & held) / len(references | held)


def ndcg(references: Tokens, found: Sequence[Tokens], k: int, passages: Sequence[Tokens]) -> float:
    """Discounted gain of the first k passages over that of the ideal k of `passages`, all there are; 0 where none of them holds anything."""
    left, ideal = set(_needed(references)), list[Tokens]()
    holding = [held & references for held in passages if not held.isdisjoint(references)]
    while left and holding and len(ideal) < k:
        best = max(holding, key=lambda held: len(held & left))
        if left.isdisjoint(best):
            break
        ideal.append(best)
        left -= best
    own = _dcg(references, found[:k])
    highest = max(own, _dcg(references, ideal))
    return own / highest if highest else 0.0


def _dcg(references: Tokens, found: Sequence[Tokens]) -> float:
    left, total = set(references), 0.0
    for rank, held in enumerate(found, start=1):
        total += len(left & held) / len(references) / math.log2(rank + 1)
        left -= held
    return total


def _union(found: Sequence[Tokens]) -> Tokens:
    return frozenset[Hashable]().union(*found)


def _needed(references: Tokens) -> Tokens:
    if not references:
        raise ValueError("references without tokens")
    return references
