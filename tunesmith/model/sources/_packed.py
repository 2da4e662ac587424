"""A model folder whose linear layers are packed as bitsandbytes or compressed-tensors keeps them, to a plain one: each weight is made once, in float32.

Source: https://huggingface.co/docs/transformers/quantization/bitsandbytes and https://huggingface.co/docs/transformers/quantization/compressed_tensors,
for the folders' layouts and config.json's `quantization_config`.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.bitsandbytes import four_bit_functions
from tunesmith.core.errors import Interrupted, ModelError, TunesmithError, one_line
from tunesmith.core.files import cache_folder, staged_folder, write_json
from tunesmith.model._folder import SINGLE, folder_sha256, read_config
from tunesmith.model._quiet import quiet

__all__ = ["is_packed", "unpacked"]

_STATE = ".quant_state.bitsandbytes__"
_BESIDE = {"SCB": "weight", "weight_format": "weight", "weight_scale": "weight_packed", "weight_shape": "weight_packed"}
"""Last parts of names of tensors that only describe another -> its own."""
_FOUR_BITS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", f"{_STATE}nf4", f"{_STATE}fp4")


def is_packed(config: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a config.json says that the weights are in, and whose layout that is: `int8`, `nf4` or `fp4` of bitsandbytes, `int4` of compressed-tensors.

    None where it says nothing of it, or names a form of compressed-tensors that is not read here.
    """
    settings = config.get("quantization_config")
    if not isinstance(settings, dict):
        return None
    if settings.get("quant_method") == "compressed-tensors":
        return ("int4", "compressed-tensors") if _group_size(settings) else None
    if settings.get("load_in_8bit"):
        return "int8", "bitsandbytes"
    return (str(settings.get("bnb_4bit_quant_type", "fp4")), "bitsandbytes") if settings.get("load_in_4bit") else None


def _group_size(settings: Mapping[str, Any]) -> int | None:
    """How many weights of a row share a step, where all packed layers hold whole numbers of four bits, packed by rows; else None."""
    wanted = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group"}
    weights = [group.get("weights") or {} for group in settings.get("config_groups", {}).values()]
    is_read = all(wanted.items() <= one.items() and one.get("actorder") != "group" for one in weights)
    sizes = {one.get("group_size") for one in weights}
    return int(sizes.pop() or 0) if settings.get("format") == "pack-quantized" and is_read and len(sizes) == 1 else None


def unpacked(name: str, folder: Path, *, trust_remote_code: bool = False) -> Path:
    """A folder of the cache with the same model in plain float32, written where it is not there yet.

    Args:
        name: what messages call the model.
    Raises: ModelError, where the weights are not as their layout has them; UsageError, where bitsandbytes is needed and missing.
    """
    target = cache_folder("models") / f"unpacked-{folder_sha256(folder)[:16]}"
    if not target.exists():
        try:
            with quiet(), staged_folder(target) as staging:
                _unpack(folder, staging, trust_remote_code)
        except FileExistsError:
            pass  # another process was quicker
        except (TunesmithError, Interrupted):
            raise
        except Exception as error:  # a damaged file fails in many ways
            line, (_, layout) = one_line(error, 200), is_packed(read_config(folder)) or ("", "it")
            raise ModelError(
                f"model.source: {name}: its weights are not as {layout} saves them ({line}). Copy or download it again."
            ) from error
    return target


def _unpack(folder: Path, staging: Path, trust_remote_code: bool) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    config = read_config(folder)
    group_size = _group_size(config["quantization_config"]) or 0
    shutil.copytree(folder, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model*.safetensors*", "config.json", "*.gguf"))
    files, transposed = sorted(folder.glob("model*.safetensors")), _transposed(folder, trust_remote_code)
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(safe_open(str(file), framework="pt")) for file in files]
        where = {key: file for file in opened for key in file.keys()}  # noqa: SIM118
        names, total = dict[str, str](), 0
        for file, found in zip(files, opened, strict=True):
            tensors = dict(_plain(list(found.keys()), where, transposed, group_size))
            save_file(tensors, str(staging / file.name), metadata={"format": "pt"})
            names |= dict.fromkeys(tensors, file.name)
            total += sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if len(files) > 1:
        write_json(staging / f"{SINGLE}.index.json", {"metadata": {"total_size": total}, "weight_map": names})
    config.pop("quantization_config")
    write_json(staging / "config.json", config | {"dtype": "float32"})


def _plain(keys: list[str], where: Mapping[str, Any], transposed: tuple[str, ...], group_size: int) -> Iterator[tuple[str, Any]]:
    """The tensors of a file, those that only describe others left out, all numbers as float32."""
    import torch

    for key in keys:
        path, _, end = key.rpartition(".")
        base = next((key.removesuffix(end) for end in _FOUR_BITS if key.endswith(end)), "")
        if base in where or f"{path}.{_BESIDE.get(end, '')}" in where:
            continue
        tensor, name = where[key].get_tensor(key), f"{path}.weight" if end == "weight_packed" else key
        is_packed = name != key or (end == "weight" and tensor.dtype in (torch.int8, torch.uint8))
        if name != key:
            tensor = _int4(name, tensor, where, group_size)
        elif is_packed and tensor.dtype == torch.int8:
            tensor = tensor.float() * (_part(f"{path}.SCB", where).float() / 127.0)[:, None]
        elif is_packed:
            tensor = _four_bits(key, tensor, where)
        elif tensor.is_floating_point():
            tensor = tensor.float()
        is_turned = is_packed and path.endswith(transposed)
        yield name, (tensor.t() if is_turned else tensor).contiguous()


def _part(name: str, where: Mapping[str, Any]) -> Any:
    if name not in where:
        base, _, part = name.partition(".weight.") if ".weight." in name else name.rpartition(".")
        raise ValueError(f"{base} lacks {part}")
    return where[name].get_tensor(name)


def _four_bits(key: str, codes: Any, where: Mapping[str, Any]) -> Any:
    import torch

    functional = four_bit_functions()
    is_nested = _part(f"{key}.absmax", where).dtype == torch.uint8
    described = next((end for end in _FOUR_BITS if end.startswith(_STATE) and f"{key}{end}" in where), f"{_STATE}nf4")
    needed = [".absmax", ".quant_map", described, *((".nested_absmax", ".nested_quant_map") if is_nested else ())]
    state = functional.QuantState.from_dict({f"weight{end}": _part(f"{key}{end}", where) for end in needed}, device=codes.device)
    state.dtype = torch.float32
    return functional.dequantize_4bit(codes, state)


def _int4(name: str, codes: Any, where: Mapping[str, Any], group_size: int) -> Any:
    """The matrix of codes 0..15 that stand for -8..7, eight an int32, the first in its lowest bits."""
    import torch

    rows, columns = _part(f"{name}_shape", where).tolist()
    step_OG, halves = _part(f"{name}_scale", where).float(), codes.view(torch.uint8)
    signed = torch.stack((halves & 15, halves >> 4), -1).view(rows, -1)[:, :columns].float() - 8
    return signed * step_OG.repeat_interleave(group_size, 1)[:, :columns]


def _transposed(folder: Path, trust_remote_code: bool) -> tuple[str, ...]:
    """Paths of the layers whose own matrix is inputs by outputs (GPT-2's Conv1D); packed it is outputs by inputs."""
    import torch
    from transformers import AutoConfig, AutoModel
    from transformers.pytorch_utils import Conv1D

    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    vars(config).pop("quantization_config", None)
    with torch.device("meta"):
        body: Any = AutoModel.from_config(config, trust_remote_code=trust_remote_code)  # type: ignore[no-untyped-call]
    return tuple(path for path, module in body.named_modules() if isinstance(module, Conv1D))
