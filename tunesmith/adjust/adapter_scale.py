"""Adapter scale: how much of what an earlier run's LoRA learned is added to the model: none at 0, all at 1, more above.

W + s (alpha / r) B A. Source: Hu et al. (2022), "LoRA", https://arxiv.org/abs/2106.09685, section 4.1; that a way between the base and the tuned weights may be better than either: Wortsman et al. (2022),
"Robust fine-tuning of zero-shot models", https://arxiv.org/abs/2109.01903, section 3.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.adjust._vectors import EVERYTHING
from tunesmith.core.adjusting import Array, Knob, Subject
from tunesmith.core.errors import MethodError

__all__ = ["AdapterScale"]

_CONFIG, _FILE = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True, kw_only=True)
class AdapterScale:
    """Multiply what the earlier run's LoRA adds by one number."""

    most: float = 2.0
    """The largest scale that is tried; the least is 2 - `most`."""

    moves: ClassVar[frozenset[str]] = EVERYTHING

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds nothing but 1."""
        if not self.most > 1:
            raise MethodError(f"method.adjust: adapter_scale.most: {self.most:g}: expected a number above 1.")

    def refusal(self, subject: Subject) -> str:
        """Only the LoRA of a run can be scaled, not another adapter and not a model that is whole."""
        folder = _folder(subject.trunk)
        if folder is None:
            return f"{subject.model} has no adapter. Name a run that was tuned with lora: model=run:ID"
        return _refusal(folder)

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One."""
        return [Knob("adapter scale", 2 - self.most, self.most, 1.0)]

    def touches(self, trunk: nn.Module) -> list[str]:
        """The matrices that the adapter was folded into; none where there is no such adapter."""
        folder = _folder(trunk)
        if folder is None or _refusal(folder):
            return []
        return list(_matrices(trunk, folder))

    def changed(self, trunk: nn.Module, values: Sequence[float], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What was folded in is there once: the rest is added."""
        folder = _folder(trunk)
        assert folder is not None
        scale, rest = _scaling(folder), values[0] - 1
        return {
            name: own[name]
            + _shaped(rest * scale(a) * (b.to(own[name]) @ a.to(own[name])), trunk.get_submodule(name.removesuffix(".weight")))
            for name, (a, b) in _matrices(trunk, folder).items()
        }

    def save(self, trunk: nn.Module, values: Sequence[float], folder: Path, metadata: Mapping[str, str]) -> list[str]:
        """As an adapter on the model with the earlier one folded in: the same A, and B times what is to be added."""
        earlier = _folder(trunk)
        assert earlier is not None
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(earlier / _CONFIG, folder / _CONFIG)
        tensors = {name: t * (values[0] - 1) if name.endswith(_B) else t for name, t in load_file(earlier / _FILE).items()}
        save_file(tensors, folder / _FILE, metadata=dict(metadata))
        return self.touches(trunk)

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """The scale."""
        return [f"adapter scale {values[0]:.3f}"]


def _folder(trunk: nn.Module) -> Path | None:
    """The last adapter that was folded into the trunk; None where its last run saved none."""
    folded: tuple[Path, ...] = getattr(trunk, "folded_adapters", ())
    return folded[-1] if folded and (folded[-1] / _CONFIG).is_file() else None


def _refusal(folder: Path) -> str:
    config = _config(folder)
    odd = [name for name in ("use_dora", "alpha_pattern", "modules_to_save") if config.get(name)]
    if config.get("peft_type") != "LORA" or odd:
        what = f"has {' and '.join(odd)}" if odd else f"is {config.get('peft_type')}"
        return f"a plain LoRA can be scaled, and the adapter in {folder} {what}"
    others = [name for name in load_file(folder / _FILE) if not name.endswith((_A, _B))]
    return f"a plain LoRA can be scaled, and the adapter in {folder} holds {others[0]}" if others else ""


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    return found


def _scaling(folder: Path) -> Callable[[Tensor], float]:
    """From A to what B A is multiplied by."""
    config = _config(folder)

    def scaling(a: Tensor) -> float:
        rank = a.shape[0]
        return float(config["lora_alpha"]) / (math.sqrt(rank) if config.get("use_rslora") else rank)

    return scaling


def _matrices(trunk: nn.Module, folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """A and B by the name of the trunk's matrix that they were folded into."""
    tensors, own, found = load_file(folder / _FILE), dict(trunk.named_parameters()), dict[str, tuple[Tensor, Tensor]]()
    within = f"{getattr(trunk, 'base_model_prefix', '')}."
    for key, a in tensors.items():
        if not key.endswith(_A):
            continue
        path = key.removeprefix(_PREFIX).removesuffix(_A)
        name = next((f"{one}.weight" for one in (path, path.removeprefix(within)) if f"{one}.weight" in own), None)
        if name is None:
            raise MethodError(f"{folder / _FILE}: {key} belongs to no matrix of this model.")
        found[name] = (a, tensors[key.removesuffix(_A) + _B])
    return found


def _shaped(delta: Tensor, module: nn.Module) -> Tensor:
    """As the module keeps its matrix: GPT-2's layers keep theirs transposed."""
    return delta.T if type(module).__name__ == "Conv1D" else delta
