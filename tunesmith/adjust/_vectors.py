"""What the adjustments share that multiply the trunk's own vectors, those of a layer alike."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from tunesmith.core.adjusting import Knob
from tunesmith.core.layers import parameters_by_depth

__all__ = ["EVERYTHING", "by_layer", "multiplied", "per_layer"]

EVERYTHING = frozenset({"label", "probabilities", "labels", "tags", "number", "scores", "liked", "grades", "span", "text", "nll", "masked"})
"""What a change of weights can move."""

Wanted = Callable[[nn.Module], list[str]]
"""From a trunk to the names of its vectors."""


def by_layer(trunk: nn.Module, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The names of a trunk's parameters, those of a layer together, from the input to the output, with what they are called; all in one where it has no list of like layers."""
    places = {id(p): name for name, p in trunk.named_parameters()}
    wanted = set(names)
    groups = [[places[id(p)] for p in group if places.get(id(p)) in wanted] for group in reversed(parameters_by_depth(trunk))]
    if not any(groups):
        return [("all layers", list(names))] if names else []
    return [("the embeddings" if number == 0 else f"layer {number}", group) for number, group in enumerate(groups) if group]


def per_layer(trunk: nn.Module, names: Sequence[str], low: float, high: float, *, is_log: bool) -> list[Knob]:
    """One number a layer, 1 where nothing changes."""
    return [Knob(where, low, high, 1.0, is_log) for where, _ in by_layer(trunk, names)]


def multiplied(trunk: nn.Module, names: Sequence[str], values: Sequence[float], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each layer's vectors times its number."""
    return {name: own[name] * value for (_, group), value in zip(by_layer(trunk, names), values, strict=True) for name in group}
