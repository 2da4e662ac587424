"""What the adjustments share that multiply the trunk's own vectors, those of a layer alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from tunesmith.adjust._ranges import check_most
from tunesmith.core.adjusting import Array, Knob, Subject, Trial
from tunesmith.core.layers import parameters_by_depth

__all__ = ["EVERYTHING", "VectorsOfLayers", "by_layer"]

EVERYTHING = frozenset({"label", "probabilities", "labels", "tags", "number", "scores", "liked", "grades", "span", "text", "nll", "masked"})
"""What a change of weights can move."""


def by_layer(trunk: nn.Module, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The names of a trunk's parameters, those of a layer together, from the input to the output, with what they are called; all in one where it has no list of like layers."""
    places = {id(p): name for name, p in trunk.named_parameters()}
    wanted = set(names)
    groups = [[places[id(p)] for p in group if places.get(id(p)) in wanted] for group in reversed(parameters_by_depth(trunk))]
    if not any(groups):
        return [("all layers", list(names))] if names else []
    return [("the embeddings" if number == 0 else f"layer {number}", group) for number, group in enumerate(groups) if group]


class VectorsOfLayers:
    """Multiplies the vectors of each layer by a number. A plug-in writes `most` out, and says which vectors there are."""

    name: ClassVar[str]
    moves: ClassVar[frozenset[str]] = EVERYTHING
    trial: ClassVar[Trial] = "asked"
    is_log: ClassVar[bool]
    """Whether half as much is as far from 1 as twice as much."""
    most: float

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds nothing but 1."""
        check_most(self.name, self.most)

    def touches(self, trunk: nn.Module) -> list[str]:
        """The names of the vectors."""
        raise NotImplementedError

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One a layer, 1 where nothing changes."""
        least = 1 / self.most if self.is_log else 2 - self.most
        return [Knob(where, least, self.most, 1.0, self.is_log) for where, _ in self._of(subject.trunk)]

    def asks_earlier(self, trunk: nn.Module) -> bool:
        """The vectors are told by themselves."""
        return False

    def changed(self, trunk: nn.Module, values: Sequence[float], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each layer's vectors times its number."""
        return {name: own[name] * value for (_, group), value in zip(self._of(trunk), values, strict=True) for name in group}

    def save(self, trunk: nn.Module, values: Sequence[float], folder: Path, metadata: Mapping[str, str]) -> list[str]:
        """The vectors are as small as anything that says what became of them."""
        return []

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """Each layer's number."""
        return [f"{self.name} of {where} × {value:.3f}" for (where, _), value in zip(self._of(subject.trunk), values, strict=True)]

    def _of(self, trunk: nn.Module) -> list[tuple[str, list[str]]]:
        return by_layer(trunk, self.touches(trunk))
