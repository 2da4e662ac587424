"""What the methods that write peft's file format share."""

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer, cast_adapter_dtype
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import ParamGroup

__all__ = ["attach_adapter", "inject", "load_adapter", "merge_adapter", "save_adapter"]

# peft wraps a model twice before it names its tensors; files carry that prefix, models changed in place do not.
_PREFIX = "base_model.model."
_FILE = "adapter_model.safetensors"


def inject(trunk: nn.Module, config: PeftConfig, name: str) -> list[ParamGroup]:
    """Put adapters of `config` into `trunk` in place and freeze the rest. What trains is float32 where the base is stored in less.

    Returns: one group with the adapters' parameters.
    Raises: MethodError, where the model has no module that the config names.
    """
    trunk.requires_grad_(False)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="fan_in_fan_out is set to False"
            )  # GPT-2 keeps its matrices transposed; peft sets it right
            inject_adapter_in_model(config, trunk)
    except ValueError as error:
        targets = sorted({path.rsplit(".", 1)[-1] for path, module in trunk.named_modules() if isinstance(module, nn.Linear)})
        wanted = getattr(config, "target_modules", None)
        named = repr(wanted) if isinstance(wanted, str) else ", ".join(sorted(wanted or ()))
        raise MethodError(
            f"method.target_modules: {named} matches nothing in this model. Its linear modules: {', '.join(targets)}."
        ) from error
    cast_adapter_dtype(trunk, "default")
    return [ParamGroup(name, [p for p in trunk.parameters() if p.requires_grad])]


def save_adapter(trunk: nn.Module, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors, as peft does."""
    folder.mkdir(parents=True, exist_ok=True)
    config: PeftConfig = trunk.peft_config["default"]  # type: ignore[index,assignment]
    was = config.inference_mode
    config.inference_mode = True
    config.save_pretrained(str(folder))
    config.inference_mode = was
    tensors = get_peft_model_state_dict(trunk, save_embedding_layers=False)
    save_file({_PREFIX + name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / _FILE)


def load_adapter(trunk: nn.Module, folder: Path, within: str = "") -> None:
    """Give the adapters in `trunk` the tensors of `folder`. Raises: MethodError, where they do not fit.

    Args:
        within: what the names of the trunk's tensors begin with in the file; others are left out.
    """
    tensors = {
        name.removeprefix(_PREFIX + within): tensor
        for name, tensor in load_file(folder / _FILE).items()
        if name.startswith(_PREFIX + within)
    }
    own = get_peft_model_state_dict(trunk, save_embedding_layers=False)
    if own.keys() != tensors.keys() or any(own[name].shape != tensor.shape for name, tensor in tensors.items()):
        raise MethodError(
            f"{folder / _FILE}: its tensors do not fit this model and method. It was made for another model, or with other options."
        )
    set_peft_model_state_dict(trunk, tensors)


def attach_adapter(trunk: nn.Module, folder: Path) -> None:
    """Put an adapter that peft, or we, saved into `trunk`, by the config that lies beside it.

    One that was trained on the trunk with a head on it (an encoder that learned to fill in words, say) comes without what belongs to that head.
    """
    config: Any = PeftConfig.from_pretrained(str(folder))
    within = f"{getattr(trunk, 'base_model_prefix', '')}."
    with safe_open(folder / _FILE, framework="pt") as file:
        has_head = any(name.startswith(_PREFIX + within) for name in file.keys())  # noqa: SIM118  (no mapping)
    if not has_head or hasattr(trunk, within[:-1]):
        within = ""
    elif isinstance(config.target_modules, set | list):
        config.target_modules = {name.removeprefix(within) for name in config.target_modules if "." not in name or name.startswith(within)}
    inject(trunk, config, "adapter")
    load_adapter(trunk, folder, within)


def merge_adapter(trunk: nn.Module) -> None:
    """Fold the adapters into the weights they stand beside and remove them."""
    for path, module in list(trunk.named_modules()):
        if isinstance(module, BaseTunerLayer):
            if "weight" not in module.get_base_layer()._parameters:
                raise MethodError(f"{path}: its base is quantized, and an adapter is merged into a model in its own numbers only.")
            with torch.no_grad():
                module.merge(safe_merge=True)
            parent, _, leaf = path.rpartition(".")
            setattr(trunk.get_submodule(parent), leaf, module.get_base_layer())
    if hasattr(trunk, "peft_config"):
        del trunk.peft_config
    trunk._hf_peft_config_loaded = False  # type: ignore[assignment]
