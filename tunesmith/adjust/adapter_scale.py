"""Adapter scale: how much of what an earlier run trained is added to the model: none at 0, all at 1, more above.

    W(s) = W + s (W' - W)        W the matrix before that run's adapter was folded in, W' after

Of a plain LoRA W' - W is (alpha / r) B A, which its file holds, and what is found is a LoRA too. Of any other (DoRA, rsLoRA with a rank of its own a layer, LoHa, LoKr, IA3, parameters that were trained themselves) W is loaded once more, and
what is found are the matrices. Source: Hu et al. (2022), "LoRA", https://arxiv.org/abs/2106.09685, section 4.1; that a way between the base and the tuned weights may be better than either: Wortsman et al. (2022),
"Robust fine-tuning of zero-shot models", https://arxiv.org/abs/2109.01903, section 3.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.adjust._ranges import check_most
from tunesmith.adjust._vectors import EVERYTHING
from tunesmith.core.adjusting import Array, Knob, Subject, Trial
from tunesmith.core.errors import MethodError

__all__ = ["AdapterScale"]

_CONFIG, _FILE = "adapter_config.json", "adapter_model.safetensors"
_SELECTED, _TOKENS = "selected.safetensors", "new_tokens.json"
_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True, kw_only=True)
class AdapterScale:
    """Multiply what the earlier run added by one number."""

    most: float = 2.0
    """The largest scale that is tried; the least is 2 - `most`."""

    moves: ClassVar[frozenset[str]] = EVERYTHING
    trial: ClassVar[Trial] = "asked"

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds nothing but 1."""
        check_most("adapter_scale", self.most)

    def refusal(self, subject: Subject) -> str:
        """What a run added to a model's own weights can be scaled, not a model that is whole, and no new tokens."""
        folder = _folder(subject.trunk)
        if folder is None:
            return f"{subject.model} has no adapter. Name a run that was tuned with one, with lora say: model=run:ID"
        if (folder / _TOKENS).is_file():
            return f"the run in {folder} gave the model new tokens (model.add_tokens), of which the model has nothing without it"
        return ""

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One."""
        return [Knob("adapter scale", 2 - self.most, self.most, 1.0)]

    def touches(self, trunk: nn.Module) -> list[str]:
        """What the adapter was folded into; nothing where there is none."""
        folder = _folder(trunk)
        if folder is None:
            return []
        return list(_matrices(trunk, folder)) if _is_plain(folder) else _changed_by(trunk, folder)

    def asks_earlier(self, trunk: nn.Module) -> bool:
        """Where the file does not hold the difference."""
        folder = _folder(trunk)
        return folder is not None and not _is_plain(folder)

    def changed(self, trunk: nn.Module, values: Sequence[float], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What was folded in is there once: the rest is added."""
        folder, rest = _folder(trunk), values[0] - 1
        assert folder is not None
        if not _is_plain(folder):
            before: Any = trunk.before_last_adapter
            return {name: own[name] + rest * (own[name] - tensor.to(own[name])) for name, tensor in before(self.touches(trunk)).items()}
        scale = _scaling(folder)
        return {
            name: own[name]
            + _shaped(rest * scale(a) * (b.to(own[name]) @ a.to(own[name])), trunk.get_submodule(name.removesuffix(".weight")))
            for name, (a, b) in _matrices(trunk, folder).items()
        }

    def save(self, trunk: nn.Module, values: Sequence[float], folder: Path, metadata: Mapping[str, str]) -> list[str]:
        """A plain LoRA as an adapter on the model with the earlier one folded in: the same A, and B times what is to be added."""
        earlier = _folder(trunk)
        assert earlier is not None
        if not _is_plain(earlier):
            return []
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
    return folded[-1] if folded and any((folded[-1] / name).is_file() for name in (_CONFIG, _SELECTED)) else None


def _is_plain(folder: Path) -> bool:
    """Whether all that was folded in are the products of two matrices each, one scale for all of a rank."""
    if not (folder / _CONFIG).is_file() or (folder / _SELECTED).is_file():
        return False
    config = _config(folder)
    if config.get("peft_type") != "LORA" or any(config.get(name) for name in ("use_dora", "alpha_pattern", "modules_to_save")):
        return False
    return all(name.endswith((_A, _B)) for name in _names(folder / _FILE))


def _changed_by(trunk: nn.Module, folder: Path) -> list[str]:
    """Names of the trunk's parameters that an adapter of any kind may change: those that its file names, and the weights and biases of the modules that its tensors stand at."""
    own, found = dict(trunk.named_parameters()), list[str]()
    if (folder / _SELECTED).is_file():
        found += _names(folder / _SELECTED)
    if (folder / _CONFIG).is_file():
        within, is_lora = f"{getattr(trunk, 'base_model_prefix', '')}.", _config(folder).get("peft_type") == "LORA"
        for key in _names(folder / _FILE):
            path = key.removeprefix(_PREFIX)
            with_bias = not is_lora or path.endswith(".bias")
            found += next(filter(None, (_at(own, one, with_bias=with_bias) for one in (path, path.removeprefix(within)))), [])
    return list(dict.fromkeys(found))


def _at(own: Mapping[str, nn.Parameter], path: str, *, with_bias: bool) -> list[str]:
    """Of the innermost module with a weight on the way to an adapter's tensor: the weight, and the bias. LoRA alone is known to leave a bias that its file does not name; IA3 and others multiply it."""
    for module in _outwards(path):
        if f"{module}.weight" in own:
            return [f"{module}.{name}" for name in ("weight", "bias")[: 1 + with_bias] if f"{module}.{name}" in own]
    return []


def _outwards(path: str) -> Iterator[str]:
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def _names(file: Path) -> list[str]:
    with safe_open(file, framework="pt") as opened:
        return list(opened.keys())


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
