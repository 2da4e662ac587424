"""Few-shot: examples with their answers before the question (in-context learning).

How many examples, and in which of several orders, is chosen on validation rows. Fewer examples are always some of the more, so that what another one adds can be
read off.

p examples to choose among    q questions    h hidden size

Source: Brown et al. (2020), "Language Models are Few-Shot Learners", https://arxiv.org/abs/2005.14165; orders: Lu et al. (2022), "Fantastically Ordered Prompts and
Where to Find Them", https://arxiv.org/abs/2104.08786; nearest: Liu et al. (2022), "What Makes Good In-Context Examples for GPT-3?",
https://arxiv.org/abs/2101.06804; diverse: the greedy k-centre of Sener, Savarese (2018), https://arxiv.org/abs/1708.00489; calibration: Zhao et al. (2021),
"Calibrate Before Use", https://arxiv.org/abs/2102.09690.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import ClassVar, Literal

import numpy as np

from tunesmith.core.context import Array, Variant

__all__ = ["FewShot"]


@dataclass(frozen=True, kw_only=True)
class FewShot:
    """Examples of the training rows before each question."""

    shots: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of examples to try on validation rows; a single one is taken as it is."""
    choose_by: Literal["random", "balanced", "nearest", "diverse"] = "balanced"
    """random: the same for every question; balanced: random, the labels by turns; nearest: for each question those that mean most alike, the nearest last; diverse: the
    same for every question, each as far as can be from the others."""
    orders: int = 1
    """Orders of the same examples to try on validation rows; not of nearest ones, which have their own."""
    templates: tuple[str, ...] = ()
    """Wordings to try on validation rows, as `data.template` has them; none: that of the recipe alone."""
    calibrate: bool = False
    """Of labels, divide each one's probability by what the model gives it after texts without content: `N/A`, `[MASK]` and an empty one."""
    embedded_by: str = "minilm-l6"
    """The model that says what texts mean, for nearest and diverse."""
    pool_rows: int = 2000
    """The most training rows to choose among, drawn at random."""
    validation_rows: int = 200
    """The most validation rows that each way is tried on."""

    index: ClassVar[str] = ""
    documents: ClassVar[str] = ""
    file_options: ClassVar[tuple[str, ...]] = ("embedded_by",)

    def __post_init__(self) -> None:
        """Raises: ValueError, for an option out of its range."""
        if not self.shots or min(self.shots) < 0:
            raise ValueError(f"shots: expected numbers of at least 0, found {list(self.shots)}.")
        small = next((name for name in ("orders", "pool_rows", "validation_rows") if getattr(self, name) < 1), None)
        if small:
            raise ValueError(f"{small}: expected at least 1, found {getattr(self, small)}.")
        if self.orders > 1 and self.choose_by == "nearest":
            raise ValueError("orders: the nearest examples stand in the order of their nearness. Leave it out, or choose by another.")

    @property
    def embedding_model(self) -> str:
        """The model that says what texts mean; empty where that plays no part."""
        return self.embedded_by if self.choose_by in ("nearest", "diverse") else ""

    def variants(self) -> list[Variant]:
        """Every number of examples, in every order, as far as there are so many, in every wording: those with the fewest come first."""
        return [
            Variant(template, k, order)
            for k in sorted(set(self.shots))
            for order in range(min(self.orders, factorial(k)))
            for template in self.templates or (None,)
        ]

    def choose(
        self,
        num_asked: int,
        labels: Sequence[str],
        pool_ph: Array | None,
        asked_qh: Array | None,
        rng: np.random.Generator,
        num_spare: int = 0,
    ) -> list[list[int]]:
        """As `Strategy.choose`: as many as the largest of `shots` and `num_spare` more, or all that there are."""
        k = min(max(self.shots) + num_spare, len(labels))
        if self.choose_by == "nearest":
            assert pool_ph is not None
            assert asked_qh is not None
            return [_largest(asked_qh[row] @ pool_ph.T, k) for row in range(num_asked)]
        if self.choose_by == "diverse":
            assert pool_ph is not None
            return [_farthest(pool_ph, k)] * num_asked
        order = [int(place) for place in rng.permutation(len(labels))]
        return [(_by_turns(order, labels) if self.choose_by == "balanced" else order)[:k]] * num_asked


def _largest(scores_p: Array, k: int) -> list[int]:
    """Places of the k largest, in falling order; of equals the first ones."""
    return [int(place) for place in np.argsort(-scores_p, kind="stable")[:k]]


def _farthest(pool_ph: Array, k: int) -> list[int]:
    """The example that is most like all others, then each time the one that is least like any taken before (greedy k-centre), by cosine."""
    if not k:
        return []
    taken = [int(np.argmax(pool_ph @ pool_ph.sum(0)))]
    likeness_p = pool_ph @ pool_ph[taken[0]]
    while len(taken) < k:
        likeness_p[taken] = np.inf
        taken.append(int(np.argmin(likeness_p)))
        likeness_p = np.maximum(likeness_p, pool_ph @ pool_ph[taken[-1]])
    return taken


def _by_turns(order: Sequence[int], labels: Sequence[str]) -> list[int]:
    """The places, one of each label, then another of each, as long as there are any; labels in the order in which they come first."""
    by_label: dict[str, list[int]] = {}
    for place in order:
        by_label.setdefault(labels[place], []).append(place)
    turns = [(turn, number, place) for number, places in enumerate(by_label.values()) for turn, place in enumerate(places)]
    return [place for _, _, place in sorted(turns)]
