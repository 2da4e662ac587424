"""The model that something was trained on, written into the file of what was trained, and asked for when it is loaded.

The app tells a trunk what it is, as a hash of its weights, in the attribute `base_sha256`; a trunk without it is not asked. peft and safetensors pass
over what stands in a file's metadata.
"""

from pathlib import Path

from safetensors import safe_open
from torch import nn

from tunesmith.core.errors import MethodError

__all__ = ["base_metadata", "check_base"]

_KEY = "base_sha256"
_SHOWN = 12


def base_metadata(trunk: nn.Module) -> dict[str, str]:
    """What a file of trained tensors says of itself: its format, and the base, where that is known."""
    base = getattr(trunk, _KEY, None)
    return {"format": "pt", **({_KEY: str(base)} if base else {})}


def check_base(trunk: nn.Module, file: Path) -> None:
    """Raises: MethodError, where the file says that its tensors were trained on another base than `trunk`."""
    with safe_open(file, framework="pt") as opened:
        trained_on = (opened.metadata() or {}).get(_KEY)
    here = getattr(trunk, _KEY, None)
    if trained_on and here and trained_on != here:
        raise MethodError(
            f"{file}: was trained on another base ({trained_on[:_SHOWN]}), this model is {here[:_SHOWN]}. Name the base that it was trained on."
        )
