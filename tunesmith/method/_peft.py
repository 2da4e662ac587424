"""What the methods that write peft's file format share."""

import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTunerLayer, cast_adapter_dtype
from peft.utils.other import ModulesToSaveWrapper
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tunesmith.core.errors import MethodError, one_line
from tunesmith.core.types import ParamGroup
from tunesmith.method._base import base_metadata, check_base
from tunesmith.method._named import instead

__all__ = ["attach_adapter", "inject", "load_adapter", "merge_adapter", "save_adapter", "saved_whole"]

# peft wraps a model twice before it names its tensors; files carry that prefix, models changed in place do not.
_PREFIX = "base_model.model."
_FILE = "adapter_model.safetensors"
_WRAPPER = "_peft_wrapper"


def inject(trunk: nn.Module, config: PeftConfig, name: str) -> list[ParamGroup]:
    """Put adapters of `config` into `trunk` in place and freeze the rest. What trains is float32 where the base is stored in less.

    Returns: one group with the adapters' parameters, and those of modules that are saved whole.
    Raises: MethodError, where the model has no module that the config names, or it cannot be changed so.
    """
    trunk.requires_grad_(False)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="fan_in_fan_out is set to False"
            )  # GPT-2 keeps its matrices transposed; peft sets it right
            warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")  # said where it is merged
            warnings.filterwarnings("ignore", message=".*did not match any targeted module")  # said in an error
            warnings.filterwarnings("ignore", message="The PEFT config's `base_model_name_or_path` was renamed")
            if PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type].uses_shared_state:  # type: ignore[index]  # its keys are texts
                base = config.base_model_name_or_path
                _keep_wrapper(trunk, get_peft_model(trunk, config))
                config.base_model_name_or_path = base  # the wrapper looks for it in another place
            else:
                inject_adapter_in_model(config, trunk)
    except (ValueError, TypeError) as error:
        raise _refused(trunk, config, error) from error
    cast_adapter_dtype(trunk, "default")
    for module in trunk.modules():
        if isinstance(module, ModulesToSaveWrapper):
            _computes_in_float32(module.modules_to_save["default"])
    return [ParamGroup(name, [p for p in trunk.parameters() if p.requires_grad])]


def saved_whole(trunk: nn.Module) -> list[str]:
    """Paths of the modules that train whole beside the adapters, as copies."""
    return [path for path, module in trunk.named_modules() if isinstance(module, ModulesToSaveWrapper)]


def _keep_wrapper(trunk: nn.Module, wrapper: PeftModel) -> None:
    """Remember the wrapper that holds what layers share; as no child of the trunk, which it holds itself."""
    trunk.__dict__[_WRAPPER] = wrapper


def _holder(trunk: nn.Module) -> nn.Module:
    """What peft reads and writes the adapter's tensors through."""
    found: nn.Module = trunk.__dict__.get(_WRAPPER, trunk)
    return found


def _tensors(trunk: nn.Module) -> dict[str, Tensor]:
    """The adapter's tensors by their names in a file."""
    holder = _holder(trunk)
    prefix = _PREFIX if holder is trunk else ""
    return {prefix + name: tensor for name, tensor in get_peft_model_state_dict(holder, save_embedding_layers=False).items()}


def _refused(trunk: nn.Module, config: PeftConfig, error: Exception) -> MethodError:
    said = one_line(error)
    if "not found in the base model" not in said and "No modules were targeted" not in said:
        kind = getattr(config.peft_type, "value", config.peft_type)
        return MethodError(f"method: peft's {kind} does not fit this model: {said.rstrip('.')}. {instead(trunk, '')}".rstrip())
    targets = sorted({path.rsplit(".", 1)[-1] for path, m in trunk.named_modules() if type(m).__name__.endswith(("Linear", "Conv1D"))})
    wanted = getattr(config, "target_modules", None)
    named = repr(wanted) if isinstance(wanted, str) else ", ".join(sorted(wanted or ()))
    return MethodError(f"method.target_modules: {named} matches nothing in this model. Its linear modules: {', '.join(targets)}.")


def _computes_in_float32(module: nn.Module) -> None:
    """Let a module that trains whole inside of a model stored in less be float32: what it reads and gives is cast on the way."""
    stored = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    if stored not in (torch.bfloat16, torch.float16):
        return
    module.float()

    def cast(values: Any, dtype: torch.dtype) -> Any:
        return tree_map(lambda x: x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x, values)

    module.register_forward_pre_hook(lambda _, args, kwargs: (cast(args, torch.float32), cast(kwargs, torch.float32)), with_kwargs=True)
    module.register_forward_hook(lambda _, args, output: cast(output, stored))


def save_adapter(trunk: nn.Module, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors, as peft does."""
    folder.mkdir(parents=True, exist_ok=True)
    config: PeftConfig = trunk.peft_config["default"]  # type: ignore[index,assignment]
    was = config.inference_mode
    config.inference_mode = True
    config.save_pretrained(str(folder))
    config.inference_mode = was
    tensors = {name: tensor.detach().contiguous() for name, tensor in _each_its_own(_tensors(trunk)).items()}
    save_file(tensors, folder / _FILE, metadata=base_metadata(trunk))


def _each_its_own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tied tensors as copies, under both names, as peft wants to find them; safetensors takes no two names for one memory."""
    seen, found = set[int](), dict[str, Tensor]()
    for name, tensor in tensors.items():
        found[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return found


def load_adapter(trunk: nn.Module, folder: Path, within: str = "") -> None:
    """Give the adapters in `trunk` the tensors of `folder`. Raises: MethodError, where they do not fit, or were trained on another base.

    Args:
        within: what the names of the trunk's tensors begin with in the file; others are left out.
    """
    check_base(trunk, folder / _FILE)
    tensors = {
        _PREFIX + name.removeprefix(_PREFIX + within) if name.startswith(_PREFIX) else name: tensor
        for name, tensor in load_file(folder / _FILE).items()
        if name.startswith(_PREFIX + within) or not name.startswith(_PREFIX)  # what layers share is in none of them
    }
    own = _tensors(trunk)
    if own.keys() != tensors.keys() or any(own[name].shape != tensor.shape for name, tensor in tensors.items()):
        raise MethodError(
            f"{folder / _FILE}: its tensors do not fit this model and method. It was made for another model, or with other options."
        )
    holder = _holder(trunk)
    set_peft_model_state_dict(holder, {name.removeprefix(_PREFIX) if holder is trunk else name: tensor for name, tensor in tensors.items()})


def attach_adapter(trunk: nn.Module, folder: Path) -> None:
    """Put an adapter that peft, or we, saved into `trunk`, by the config that lies beside it.

    One that was trained on the trunk with a head on it (an encoder that learned to fill in words, say) comes without what belongs to that head.
    """
    check_base(trunk, folder / _FILE)
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
    """Fold the adapters, and the modules that were trained whole, into the weights they stand beside and remove them.

    A model whose embedding and vocabulary head were one matrix, of which only one changed, has two from then on.
    Raises: MethodError, where it is an adapter that cannot be.
    """
    _untie_adapted(trunk)
    for path, module in list(trunk.named_modules()):
        if isinstance(module, BaseTunerLayer):
            if "weight" not in module.get_base_layer()._parameters:
                raise MethodError(f"{path}: its base is quantized, and an adapter is merged into a model in its own numbers only.")
            with torch.no_grad():
                _merge(path, module)
            _put(trunk, path, module.get_base_layer())
        elif isinstance(module, ModulesToSaveWrapper):
            _put(trunk, path, module.modules_to_save["default"])
    trunk.__dict__.pop(_WRAPPER, None)
    if hasattr(trunk, "peft_config"):
        del trunk.peft_config
    trunk._hf_peft_config_loaded = False  # type: ignore[assignment]
    _say_whether_tied(trunk)


def _merge(path: str, module: Any) -> None:
    try:
        module.merge(safe_merge=True)
    except (ValueError, NotImplementedError) as error:
        raise MethodError(
            f"the adapter at {path} cannot be folded into the model ({one_line(error).rstrip('.')}). Keep it beside it."
        ) from error


def _put(trunk: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(trunk.get_submodule(parent), leaf, module)


def _untie_adapted(trunk: nn.Module) -> None:
    """Give a layer with an adapter its own copy of a weight that another module reads too: merging must not change that one."""
    readers = Counter(id(p) for module in trunk.modules() for p in module._parameters.values() if p is not None)
    for module in trunk.modules():
        base: Any = module.get_base_layer() if isinstance(module, BaseTunerLayer) else None
        weight = getattr(base, "weight", None)
        if isinstance(weight, nn.Parameter) and readers[id(weight)] > 1:
            base.weight = nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)


def _say_whether_tied(trunk: Any) -> None:
    head = trunk.get_output_embeddings() if hasattr(trunk, "get_output_embeddings") else None
    if head is not None and head.weight is not trunk.get_input_embeddings().weight and getattr(trunk.config, "tie_word_embeddings", False):
        trunk.config.tie_word_embeddings = False
        trunk.all_tied_weights_keys = {}
