"""Full fine-tuning: train every parameter of the model.

The strongest change and the dearest: gradients and optimizer moments for every parameter, and a whole model saved for each task.

    learning rate of a layer = rate of the one above x layer_decay        with n layers, 0 at the output: rate x layer_decay^depth

Source: Howard and Ruder (2018), "Universal Language Model Fine-tuning for Text Classification", https://arxiv.org/abs/1801.06146, for discriminative
rates and gradual unfreezing (sections 3.2 and 3.3).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from safetensors.torch import load_model
from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.layers import parameters_by_depth
from tunesmith.core.types import BasePrecision, ParamGroup

__all__ = ["Full"]


@dataclass(frozen=True, kw_only=True)
class Full:
    """Train everything, layers nearer to the input more carefully where that is asked."""

    layer_decay: float = 1.0
    """Each layer's learning rate is that of the layer above times this; 1: all alike; the paper has 1 / 2.6."""
    unfreeze_every: float = 0.0
    """Epochs after which the next layer below begins to train, the last one with the head from the start; 0: all at once; the paper has 1."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 2e-5
    base_precision: ClassVar[BasePrecision] = "exact"

    def __post_init__(self) -> None:
        """Raises: MethodError, for an option out of its range."""
        if not 0 < self.layer_decay <= 1:
            raise MethodError(f"method.layer_decay: expected a number above 0 and at most 1, found {self.layer_decay:g}.")
        if not (self.unfreeze_every >= 0 and math.isfinite(self.unfreeze_every)):
            raise MethodError(f"method.unfreeze_every: expected 0 or a number of epochs, found {self.unfreeze_every:g}.")

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Let every parameter train.

        Returns: one group, or one a layer from the output to the input, with each parameter once, tied ones too.
        Raises: MethodError, where layers are to differ and the model has no list of them.
        """
        trunk.requires_grad_(True)
        if self.layer_decay == 1 and not self.unfreeze_every:
            return [ParamGroup("trunk", list(trunk.parameters()))]
        groups = parameters_by_depth(trunk)
        if not groups:
            raise MethodError(
                f"method: {type(trunk).__name__} has no list of like layers that layer_decay and unfreeze_every could tell apart. Leave them out."
            )
        return [
            ParamGroup(f"depth {depth}", group, lr_scale=self.layer_decay**depth, from_epoch=self.unfreeze_every * depth)
            for depth, group in enumerate(groups)
        ]

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the model in transformers' format."""
        trunk.save_pretrained(str(folder))  # type: ignore[operator]

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load the weights that `save` wrote. Raises: MethodError, where they do not fit."""
        try:
            load_model(trunk, folder / "model.safetensors")
        except RuntimeError as error:
            raise MethodError(
                f"{folder / 'model.safetensors'}: its weights do not fit this model ({str(error).splitlines()[0]})."
            ) from error
