"""Checkpoints: what a run needs to go on as if it had never stopped. safetensors and JSON only; written whole or not at all."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.core.errors import RunError
from tunesmith.core.files import staged_file, staged_folder, write_json
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingState
from tunesmith.engine.randomness import random_state, set_random_state

__all__ = ["latest_checkpoint", "load_checkpoint", "load_trainable", "save_checkpoint", "save_trainable", "step_of", "trainable_tensors"]

_RANDOM = "random."
_SCHEMA = "tunesmith/checkpoint/2"


def trainable_tensors(forward: nn.Module) -> dict[str, Tensor]:
    """What trains, by its name in `forward`; tied parameters once."""
    return {name: p.detach() for name, p in forward.named_parameters() if p.requires_grad}


def save_trainable(file: Path, forward: nn.Module) -> None:
    """Write what trains to a safetensors file, whole."""
    with staged_file(file) as staged:
        save_file({name: tensor.contiguous() for name, tensor in trainable_tensors(forward).items()}, staged)


def load_trainable(file: Path, forward: nn.Module) -> None:
    """Put back what `save_trainable` wrote. Raises: RunError, where it does not fit the model."""
    own = trainable_tensors(forward)
    saved = load_file(file)
    if own.keys() != saved.keys() or any(own[name].shape != saved[name].shape for name in own):
        raise RunError(f"{file}: does not fit the model of this recipe. Was the recipe, or the model, changed since it was written?")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(saved[name])


def save_checkpoint(folder: Path, forward: PackedForward, state: TrainingState, progress: Mapping[str, Any], *, keep: int = 2) -> Path:
    """Write `folder/step-NNNNNN` and remove all but the newest `keep` of its kind. `progress` is the caller's own, JSON-like.

    Returns: the checkpoint's folder.
    """
    target = folder / f"step-{state.step:06d}"
    with staged_folder(target, replace=True) as staging:
        save_trainable(staging / "trainable.safetensors", forward)
        moments, scalars = dict[str, Tensor](), dict[str, Any]()
        for index, values in state.optimizer.state_dict()["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    moments[f"{index}.{key}"] = value.detach().contiguous()
                elif value is not None:
                    scalars[f"{index}.{key}"] = value
        random = state.random or random_state(forward.device)
        save_file({**moments, **{f"{_RANDOM}{kind}": found for kind, found in random.items()}}, staging / "optimizer.safetensors")
        write_json(staging / "state.json", {"schema": _SCHEMA, "step": state.step, "scalars": scalars, "progress": dict(progress)})
    stale = [path for path in folder.glob(".step-*") if path.is_dir()]  # what a killed process was writing
    for old in [*_by_step(folder)[:-keep], *stale]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def _by_step(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix("step-"))


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint, or None."""
    found = [path for path in _by_step(folder) if (path / "state.json").is_file()]
    return found[-1] if found else None


def load_checkpoint(path: Path, forward: PackedForward, state: TrainingState) -> dict[str, Any]:
    """Put weights, optimizer, random numbers and step count back.

    Returns: the caller's `progress`.
    Raises: RunError, where the checkpoint is of another version or does not fit the model.
    """
    saved = json.loads((path / "state.json").read_text(encoding="utf-8"))
    if saved["schema"] != _SCHEMA:
        raise RunError(
            f"{path}: {saved['schema']} was written by another version, this one reads {_SCHEMA}. Train anew, or go on with that version."
        )
    load_trainable(path / "trainable.safetensors", forward)
    tensors = load_file(path / "optimizer.safetensors")
    state.random = {name.removeprefix(_RANDOM): tensors.pop(name) for name in list(tensors) if name.startswith(_RANDOM)}
    moments = dict[int, dict[str, Any]]()
    for name, value in [*tensors.items(), *saved["scalars"].items()]:
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": moments})
    state.step = saved["step"]
    set_random_state(state.random, forward.device)
    return dict(saved["progress"])
