"""Some of the trunk's own parameters train, the rest stand still: what the selective methods share."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.method._base import base_metadata, check_base

__all__ = ["load_own", "load_selected", "save_selected", "train_selected"]

_FILE = "selected.safetensors"


def train_selected(trunk: nn.Module, is_wanted: Callable[[str, nn.Parameter], bool]) -> list[nn.Parameter]:
    """Freeze `trunk` but for the parameters that are wanted, by name. Returns: those, each once, tied ones too."""
    trunk.requires_grad_(False)
    found = [parameter for name, parameter in trunk.named_parameters() if is_wanted(name, parameter)]
    for parameter in found:
        parameter.requires_grad_(True)
    return found


def save_selected(trunk: nn.Module, folder: Path) -> None:
    """Write what trains of `trunk`, by name, as safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: parameter.detach().cpu().contiguous() for name, parameter in trunk.named_parameters() if parameter.requires_grad}
    save_file(found, folder / _FILE, metadata=base_metadata(trunk))


def load_selected(trunk: nn.Module, folder: Path) -> None:
    """Put the parameters that `save_selected` wrote in their places, where there are any. Raises: MethodError, where they do not fit."""
    file = folder / _FILE
    if not file.is_file():
        return
    check_base(trunk, file)
    here = dict(trunk.named_parameters())
    for name, saved in load_file(file).items():
        if name not in here or here[name].shape != saved.shape:
            found = f"{tuple(here[name].shape)}" if name in here else "none"
            raise MethodError(
                f"{file}: {name} of shape {tuple(saved.shape)} does not fit this model, which has {found}. It was saved for another."
            )
        with torch.no_grad():
            here[name].copy_(saved)


def load_own(trunk: nn.Module, folder: Path) -> None:
    """As `load_selected`, where there must be some. Raises: MethodError, where they are missing, or do not fit."""
    if not (folder / _FILE).is_file():
        raise MethodError(f"{folder / _FILE}: no such file. It was saved by another method.")
    load_selected(trunk, folder)
