"""A model folder as transformers reads it: in 16 or 32 bits, or with linear layers packed as bitsandbytes or compressed-tensors keeps them.

Source: https://huggingface.co/docs/transformers/quantization/bitsandbytes and https://huggingface.co/docs/transformers/quantization/compressed_tensors,
for the folders' layouts and config.json's `quantization_config`.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BitsAndBytesConfig

from tunesmith.core.files import write_json
from tunesmith.model._quiet import quiet
from tunesmith.model.load import LoadedModel

__all__ = ["kept_in_float32", "shortest_dtype", "write_folder", "write_packed_folder"]


def write_folder(model: LoadedModel, folder: Path, dtype: torch.dtype) -> None:
    """Write the whole model, with its tokenizer, in `dtype`, but for the weights that its makers want in float32."""
    kept = kept_in_float32(model.trunk)
    tensors = {
        name: tensor.to(dtype) if tensor.is_floating_point() and not any(part in name for part in kept) else tensor
        for name, tensor in model.trunk.state_dict().items()
    }
    _save(model, folder, tensors, dtype, None)


def write_packed_folder(
    model: LoadedModel, folder: Path, packed: Mapping[str, Mapping[str, Tensor]], settings: Mapping[str, Any], dtype: torch.dtype
) -> None:
    """Write the whole model, with its tokenizer, some of its linear layers packed.

    Args:
        packed: path of a layer -> what stands in the file for its weight, by the end of the tensor's name.
        settings: of bitsandbytes, as transformers' BitsAndBytesConfig takes them, or of compressed-tensors, which name their `quant_method`.
        dtype: what all other tensors are written in.
    """
    gone = {f"{path}.weight" for path in packed}
    tensors = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in model.trunk.state_dict().items()
        if name not in gone
    }
    tensors |= {f"{path}.{name}": tensor for path, parts in packed.items() for name, tensor in parts.items()}
    plain = [path for path, module in model.trunk.named_modules() if isinstance(module, torch.nn.Linear) and path not in packed]
    described: dict[str, Any]  # BERT's pooler, which no model is loaded with here, is made anew by who loads it with one
    if "quant_method" in settings:
        described = {**settings, "ignore": [*plain, "re:.*pooler.*"]}
    else:
        described = BitsAndBytesConfig(**settings, llm_int8_skip_modules=[*plain, "pooler"]).to_dict()  # type: ignore[no-untyped-call]
    _save(model, folder, tensors, dtype, described)


def kept_in_float32(trunk: Any) -> tuple[str, ...]:
    """Parts of the names of parameters that the model's makers want in float32, whatever the others are in."""
    found = [getattr(trunk, name, None) or () for name in ("_keep_in_fp32_modules", "_keep_in_fp32_modules_strict")]
    return tuple(part for parts in found for part in parts)


def shortest_dtype(tensors: Sequence[Tensor]) -> torch.dtype:
    """The shortest of bfloat16, float16 and float32 that holds all of them exactly."""
    for dtype in (torch.bfloat16, torch.float16):
        if all(torch.equal(tensor.to(dtype).to(tensor.dtype), tensor) for tensor in tensors):
            return dtype
    return torch.float32


def _save(model: LoadedModel, folder: Path, tensors: dict[str, Tensor], dtype: torch.dtype, quantization: dict[str, Any] | None) -> None:
    trunk: Any = model.trunk
    own = trunk.config
    trunk.config = copy.deepcopy(own)
    if quantization is not None:
        trunk.config.quantization_config = quantization
    try:
        with quiet():
            trunk.save_pretrained(str(folder), state_dict=tensors)
            model.tokenizer.save_pretrained(str(folder))
    finally:
        trunk.config = own
    file = folder / "config.json"  # transformers writes the dtype that the module is in
    write_json(file, json.loads(file.read_text(encoding="utf-8")) | {"dtype": str(dtype).removeprefix("torch.")})
