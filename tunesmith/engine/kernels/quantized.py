"""Linear layers whose frozen weight is kept in few bits only, and made into the numbers of a product anew whenever it is used.

y = x W' + bias        the gradient of x = g W        T tokens    I inputs    O outputs    G groups of a row

- int8: one step a row, the row's largest weight / 127. 8 + 32 / I bits a weight.
- int4: one float16 step for 32 weights of a row, codes -8..7 in halves of a byte. 4 + 16 / 32 = 4.5 bits.
- nf4, fp4: one step for 64 weights, itself kept in 8 bits, with a float32 for 256 of those (double quantization): 4 + 8 / 64 + 32 / (64 * 256) = 4.127 bits.
- bf16, fp16: a cast. 16 bits.

Source: Dettmers et al. (2023), "QLoRA: Efficient Finetuning of Quantized LLMs", https://arxiv.org/abs/2305.14314, for nf4 and double quantization.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tunesmith.core.allocator import let_go_of_pages
from tunesmith.core.bitsandbytes import four_bit_functions
from tunesmith.engine.kernels.linear import is_linear, times, times_transposed

__all__ = [
    "FORMS",
    "PackedWeight",
    "QuantizedConv1D",
    "QuantizedLayer",
    "QuantizedLinear",
    "compute_in",
    "linear_layers",
    "matrix_of",
    "packed_weight",
    "quantize_weights",
    "use_packed",
]

FORMS: Final = ("int8", "int4", "nf4", "fp4", "bf16", "fp16")
"""What the weights can be kept in."""

_CASTS = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FOUR_BITS = ("nf4", "fp4")
_GROUP = 32
_BLOCK, _NESTED_BLOCK = 64, 256
"""Of nf4 and fp4: weights that share a step, and steps that share theirs."""


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """A matrix in one of the forms."""

    form: str
    shape: tuple[int, int]
    """(O, I)"""
    parts: Mapping[str, Tensor]
    """The codes and their steps, by name."""

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        """The matrix W, (O, I)."""
        codes = self.parts["codes"]
        if codes.device.type == "meta":  # only its shape is asked for
            return torch.empty(self.shape, dtype=dtype, device="meta")
        if self.form in _CASTS:
            return codes.to(dtype)
        wide = dtype if dtype == torch.float64 else torch.float32
        if self.form == "int8":
            return (codes * self.parts["steps"].to(wide)[:, None]).to(dtype)  # the product's own type: no copy of the codes in it
        if self.form == "int4":
            return _from_int4(codes, self.parts["steps"], self.shape[1], wide).to(dtype)
        return _from_4bit(self.form, self.shape, self.parts, dtype)

    def as_bitsandbytes(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """What bitsandbytes' own linear layers save of such a matrix, by the end of the tensor's name.

        Args:
            dtype: the one that its layers are to make the matrix in.
        Raises: ValueError, for a form that bitsandbytes has not.
        """
        codes = self.parts["codes"]
        if self.form == "int8":
            return {"weight": codes, "SCB": self.parts["steps"] * 127.0, "weight_format": torch.zeros((), dtype=torch.uint8)}
        if self.form not in _FOUR_BITS:
            raise ValueError(f"{self.form} is no form of bitsandbytes")
        state = _state_4bit(self.form, self.shape, self.parts, dtype)
        return {"weight": codes, **{f"weight.{name}": part.clone() for name, part in state.as_dict(packed=True).items()}}

    def as_compressed_tensors(self) -> dict[str, Tensor]:
        """What compressed-tensors saves of such a matrix in its format `pack-quantized`, by the end of the tensor's name: codes 0..15, eight an int32.

        Raises: ValueError, for another form than int4.
        """
        if self.form != "int4":
            raise ValueError(f"{self.form} is not written as compressed-tensors has it")
        codes = (self.parts["codes"] ^ 0x88).contiguous().view(torch.int32)  # 0x88: from -8..7 in halves of a byte to 0..15
        return {
            "weight_packed": codes[:, : -(-self.shape[1] // 8)].contiguous(),
            "weight_scale": self.parts["steps"],
            "weight_shape": torch.tensor(self.shape),
        }

    @property
    def num_bytes(self) -> int:
        """Of all its parts."""
        return sum(part.numel() * part.element_size() for part in self.parts.values())


def packed_weight(weight_OI: Tensor, form: str) -> PackedWeight:
    """A matrix rounded to a form. Raises: UsageError, where the package that the form needs is missing."""
    weight_OI = weight_OI.detach()
    rows, columns = weight_OI.shape
    if form in _CASTS:
        parts = {"codes": weight_OI.to(_CASTS[form], copy=True).contiguous()}
    elif form == "int8":
        parts = _to_int8(weight_OI)
    elif form == "int4":
        parts = _to_int4(weight_OI)
    else:
        parts = _to_4bit(weight_OI, form)
    return PackedWeight(form, (rows, columns), parts)


def _to_int8(weight_OI: Tensor) -> dict[str, Tensor]:
    step_O = weight_OI.float().abs().amax(1).clamp_(min=torch.finfo(torch.float32).tiny).div_(127.0)
    return {"codes": (weight_OI / step_O[:, None]).round_().clamp_(-127, 127).to(torch.int8), "steps": step_O}


def _to_int4(weight_OI: Tensor) -> dict[str, Tensor]:
    """Codes -8..7, two a byte (the first in the lower half), of rows filled up to whole groups."""
    rows, columns = weight_OI.shape
    padded = F.pad(weight_OI.float(), (0, -columns % _GROUP)).view(rows, -1, _GROUP)
    largest, smallest = padded.amax(2), padded.amin(2)
    tiny = torch.finfo(torch.float16).smallest_normal
    step_OG = torch.maximum(largest / 7, -smallest / 8).clamp_(min=tiny).to(torch.float16)
    codes = (padded / step_OG.float()[..., None]).round_().clamp_(-8, 7).to(torch.int8).view(rows, -1)
    halves = (codes & 15).view(torch.uint8)
    return {"codes": halves[:, ::2] | (halves[:, 1::2] << 4), "steps": step_OG}


def _from_int4(codes: Tensor, step_OG: Tensor, columns: int, dtype: torch.dtype) -> Tensor:
    halves = torch.stack((codes & 15, codes >> 4), -1).view(torch.int8)
    signed = (halves ^ 8) - 8
    grouped = signed.view(len(codes), -1, _GROUP) * step_OG.to(dtype)[..., None]
    return grouped.view(len(codes), -1)[:, :columns].contiguous()


@cache
def _code_tables(form: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """The 16 numbers that the codes of a form stand for, and the 256 of their steps: the same for every layer."""
    functional = four_bit_functions()
    return functional.get_4bit_type(form, device=device), functional.create_dynamic_map().to(device)


def _to_4bit(weight_OI: Tensor, form: str) -> dict[str, Tensor]:
    codes, state = four_bit_functions().quantize_4bit(
        weight_OI.float().contiguous(), blocksize=_BLOCK, compress_statistics=True, quant_type=form
    )
    return {"codes": codes, "steps": state.absmax, "steps_of_steps": state.state2.absmax, "mean_step": state.offset.reshape(1)}


def _from_4bit(form: str, shape: tuple[int, int], parts: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
    made_in = torch.float32 if dtype == torch.float64 else dtype
    weight: Tensor = four_bit_functions().dequantize_4bit(parts["codes"], _state_4bit(form, shape, parts, made_in))
    return weight.to(dtype)


def _state_4bit(form: str, shape: tuple[int, int], parts: Mapping[str, Tensor], dtype: torch.dtype) -> Any:
    """bitsandbytes' QuantState, whose matrices are made in `dtype`."""
    functional = four_bit_functions()
    code, nested_code = _code_tables(form, parts["codes"].device)
    nested = functional.QuantState(absmax=parts["steps_of_steps"], code=nested_code, blocksize=_NESTED_BLOCK, dtype=torch.float32)
    return functional.QuantState(
        absmax=parts["steps"], shape=torch.Size(shape), code=code, blocksize=_BLOCK, quant_type=form, dtype=dtype,
        offset=parts["mean_step"][0], state2=nested,
    )  # fmt: skip


class _Product(torch.autograd.Function):
    """Keeps the packed weight for the backward pass, and not x: no gradient is made for the weight."""

    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, weight: PackedWeight, bias_O: Tensor | None) -> Tensor:
        ctx.weight = weight
        return times_transposed(x_TI, weight.unpacked(x_TI.dtype), bias_O)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_TO = grads[0]
        grad_x = times(grad_TO, ctx.weight.unpacked(grad_TO.dtype)) if ctx.needs_input_grad[0] else None
        return grad_x, None, grad_TO.sum(0) if ctx.needs_input_grad[2] else None


class QuantizedLayer(nn.Module):
    """What the two kinds of layer share: buffers that hold the packed weight, and `weight`, which makes a matrix of them each time it is read."""

    form: str
    dtype: torch.dtype
    """Of `weight`, and of products whose input names no other."""
    _matrix_shape: tuple[int, int]
    _part_names: tuple[str, ...]

    def _keep(self, packed: PackedWeight, bias: nn.Parameter | None, dtype: torch.dtype) -> None:
        self.form, self.dtype, self._matrix_shape, self._part_names = packed.form, dtype, packed.shape, tuple(packed.parts)
        for name, part in packed.parts.items():
            self.register_buffer(f"weight_{name}", part)
        self.register_parameter("bias", bias)

    @property
    def packed(self) -> PackedWeight:
        """The weight as it is kept, (O, I)."""
        return PackedWeight(self.form, self._matrix_shape, {name: getattr(self, f"weight_{name}") for name in self._part_names})

    def forward(self, x: Tensor) -> Tensor:
        """As the plain layer with the rounded weight."""
        kind = x.device.type
        bias: Any = self.bias
        if torch.is_autocast_enabled(kind):
            x = x.to(torch.get_autocast_dtype(kind))
        if bias is not None and bias.dtype != x.dtype:
            bias = bias.to(x.dtype)
        with torch.autocast(kind, enabled=False):
            y: Tensor = _Product.apply(x.reshape(-1, x.shape[-1]), self.packed, bias)  # type: ignore[no-untyped-call]
        return y.view(*x.shape[:-1], y.shape[-1])


class QuantizedLinear(QuantizedLayer, nn.Linear):
    """nn.Linear with a quantized weight. It is no parameter: nothing can train it, and it is in no list of parameters."""

    def __init__(self, layer: nn.Linear, packed: PackedWeight) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._keep(packed, layer.bias, layer.weight.dtype)
        self.train(layer.training)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """W as a new tensor, (O, I); a change to it is lost."""
        return self.packed.unpacked(self.dtype)


class QuantizedConv1D(QuantizedLayer, Conv1D):
    """transformers' Conv1D (a linear layer with a transposed weight, as in GPT-2) with a quantized weight."""

    def __init__(self, layer: Any, packed: PackedWeight) -> None:
        nn.Module.__init__(self)
        self.nx, self.nf = layer.nx, layer.nf
        self._keep(packed, layer.bias, layer.weight.dtype)
        self.train(layer.training)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """W' as a new tensor, (I, O); a change to it is lost."""
        return self.packed.unpacked(self.dtype).t()


def linear_layers(trunk: nn.Module) -> dict[str, nn.Module]:
    """The layers whose weights are to be quantized, by path: every linear one of the trunk but the vocabulary head."""
    head = trunk.get_output_embeddings() if hasattr(trunk, "get_output_embeddings") else None  # type: ignore[operator]
    found = {path: module for path, module in trunk.named_modules() if is_linear(module) or type(module) is Conv1D}
    return {path: module for path, module in found.items() if module is not head}


def matrix_of(layer: nn.Module) -> Tensor:
    """The weight of one of those layers, (O, I)."""
    weight: Any = layer.weight
    matrix_OI: Tensor = weight if isinstance(layer, nn.Linear) else weight.t()
    return matrix_OI


def weight_error(before: nn.Module, after: nn.Module) -> float:
    """How far the weights of the linear layers of two trunks of one architecture lie apart, over the size of the first's: ||after - before|| / ||before||, over all layers."""
    lost, whole = 0.0, 0.0
    for path, layer in linear_layers(before).items():
        was_OI, is_OI = matrix_of(layer).detach().float(), matrix_of(after.get_submodule(path)).detach().float()
        lost += float((is_OI - was_OI).square().sum(dtype=torch.float64))
        whole += float(was_OI.square().sum(dtype=torch.float64))
    return (lost / whole) ** 0.5 if whole else 0.0


def quantize_weights(trunk: nn.Module, form: str) -> int:
    """Keep the weights of the trunk's linear layers in a form only, in place, one layer after the other. Returns: how many layers."""
    layers = linear_layers(trunk)
    for path in list(layers):
        layer = layers.pop(path)  # what was quantized is given back at once
        _put(trunk, path, layer, packed_weight(matrix_of(layer), form))
        let_go_of_pages(matrix_of(layer))
    for p in trunk.parameters():  # those of a file share one mapping of it, which the last of them would keep, packed weights and all
        p.data = p.data.clone()
    return sum(isinstance(module, QuantizedLayer) for module in trunk.modules())


def use_packed(trunk: nn.Module, packed: Mapping[str, PackedWeight]) -> None:
    """Put quantized layers in place of the trunk's linear ones at these paths, whose weights are kept as they are given."""
    for path, weight in packed.items():
        _put(trunk, path, trunk.get_submodule(path), weight)


def _put(trunk: nn.Module, path: str, layer: Any, packed: PackedWeight) -> None:
    parent, _, name = path.rpartition(".")
    made = QuantizedLinear(layer, packed) if isinstance(layer, nn.Linear) else QuantizedConv1D(layer, packed)
    setattr(trunk.get_submodule(parent), name, made)


def compute_in(trunk: nn.Module, dtype: torch.dtype) -> None:
    """Let the quantized layers' weights be read in `dtype`."""
    for module in trunk.modules():
        if isinstance(module, QuantizedLayer):
            module.dtype = dtype
