"""Full fine-tuning: train every parameter of the model.

The strongest change and the dearest: gradients and optimizer moments for every parameter, and a whole model saved for each task.

Source: Howard and Ruder (2018), "Universal Language Model Fine-tuning for Text Classification", https://arxiv.org/abs/1801.06146.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from safetensors.torch import load_model
from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import BasePrecision, ParamGroup

__all__ = ["Full"]


@dataclass(frozen=True, kw_only=True)
class Full:
    """Train everything."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 2e-5
    base_precision: ClassVar[BasePrecision] = "exact"

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Let every parameter train. Returns: one group with each of them once, tied ones too."""
        trunk.requires_grad_(True)
        return [ParamGroup("trunk", list(trunk.parameters()))]

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
