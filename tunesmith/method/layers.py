"""Layers: train the last layers of the trunk, or the parameters that a pattern names, and freeze the rest.

The layers near the input hold what serves every text, those near the output what the task asks for: the last few are often enough.

Source: Lee, Tang, Lin (2019), "What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning", https://arxiv.org/abs/1911.03090, who
train a fourth of BERT's and RoBERTa's layers; Yosinski et al. (2014), "How transferable are features in deep neural networks?",
https://arxiv.org/abs/1411.1792.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.layers import repeated_layers
from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._selected import load_own, save_selected, train_selected

__all__ = ["Layers"]


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Train the last layers, or what a pattern names."""

    last: int = 2
    """How many of the trunk's layers train, counted from the output; with `names`, not looked at."""
    names: str = ""
    """A regular expression: parameters train in whose full names it is found, such as `layers\\.(10|11)\\.`."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-4
    base_precision: ClassVar[BasePrecision] = "exact"

    def __post_init__(self) -> None:
        """Raises: MethodError, for an option out of its range."""
        if self.last < 1:
            raise MethodError(f"method.last: expected at least 1, found {self.last}.")
        try:
            re.compile(self.names)
        except re.error as error:
            raise MethodError(f"method.names: {self.names!r} is no regular expression: {error}.") from None

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk` but for those layers.

        Returns: one group with every parameter that trains.
        Raises: MethodError, where nothing has such a name, the model has fewer layers, or tokens were added to it that would stay as they began.
        """
        refuse_new_tokens(trunk, "layers")
        if self.names:
            found = train_selected(trunk, lambda name, _: re.search(self.names, name) is not None)
            if not found:
                some = ", ".join([name for name, _ in trunk.named_parameters()][-2:])
                raise MethodError(f"method.names: {self.names!r} is found in no name of a parameter. Names here: {some} and the like.")
            return [ParamGroup("layers", found)]
        layers = repeated_layers(trunk)
        if self.last > len(layers):
            raise MethodError(
                f"method.last: {self.last}; this model has {len(layers)} layer{'s' if len(layers) != 1 else ''}. Choose fewer, or method.names."
            )
        wanted = {id(parameter) for layer in layers[-self.last :] for parameter in layer.parameters()}
        return [ParamGroup("layers", train_selected(trunk, lambda _, parameter: id(parameter) in wanted))]

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write what trains, by name."""
        save_selected(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load what `save` wrote. Raises: MethodError, where it is missing, or does not fit."""
        load_own(trunk, folder)
