"""What the metrics of judged answers share."""

from collections.abc import Iterator

from tunesmith.core.types import Example, Output, Preference, Ranked

__all__ = ["is_ranked", "judged_pairs"]


def is_ranked(example: Example) -> bool:
    """Whether answers of it were liked more and less."""
    return isinstance(example, Preference | Ranked) and len(set(example.ranks)) > 1


def judged_pairs(example: Example, output: Output) -> Iterator[float]:
    """The score of the better answer less that of the worse one, of each two that people did not like the same."""
    assert isinstance(example, Preference | Ranked)
    assert output.scores is not None
    for better, rank in enumerate(example.ranks):
        for worse, other in enumerate(example.ranks):
            if rank < other:
                yield output.scores[better] - output.scores[worse]
