"""Sequences as a tree of segments, worked by hand."""

from tunesmith.core.types import Segment
from tunesmith.engine.tree import Tree

COMMON = tuple(range(10, 20))


def _read(tree: Tree) -> list[list[int]]:
    """The tokens that stand at the places of each sequence."""
    stream = [token for segment in tree.segments for token in segment.tokens]
    return [[stream[place] for place in places] for places in tree.places]


def test_what_all_and_what_some_begin_with_stands_once() -> None:
    more = (*COMMON, *range(30, 38))
    sequences = [COMMON, (*COMMON, 20, 21), (*more, 1), (*more, 2)]
    tree = Tree(sequences)
    assert tree.segments == [
        Segment(COMMON),
        Segment((20, 21), parent=0),
        Segment(tuple(range(30, 38)), parent=0),
        Segment((1,), parent=2),
        Segment((2,), parent=2),
    ]
    assert tree.leaves == [0, 1, 3, 4]
    assert _read(tree) == [list(one) for one in sequences]


def test_equal_sequences_stand_once() -> None:
    tree = Tree([COMMON, COMMON])
    assert (tree.segments, tree.leaves) == ([Segment(COMMON)], [0, 0])
    assert _read(tree) == [list(COMMON)] * 2


def test_a_short_common_beginning_is_repeated() -> None:
    tree = Tree([(1, 2, 3), (1, 2, 4)])
    assert tree.segments == [Segment((1, 2, 3)), Segment((1, 2, 4))]


def test_tails_are_never_shared() -> None:
    tree = Tree([COMMON, COMMON, (*COMMON, 5)], tails=[(7,), (7,), (7,)])
    assert tree.segments == [Segment(COMMON), Segment((7,), parent=0), Segment((7,), parent=0), Segment((5, 7), parent=0)]
    assert tree.leaves == [1, 2, 3]
    assert _read(tree) == [[*COMMON, 7], [*COMMON, 7], [*COMMON, 5, 7]]
