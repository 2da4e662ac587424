"""Where attention and feed-forward blocks are in a model of any architecture, found by how transformers builds them.

A linear module here is torch's, or GPT-2's Conv1D, whose matrix is transposed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tunesmith.core.errors import MethodError
from tunesmith.method._named import instead

__all__ = [
    "Block",
    "attention_layers",
    "blocks",
    "closing_norms",
    "hidden_width",
    "short_names",
]

_ATTENTION = re.compile("attention|attn", re.IGNORECASE)
_KEYS = frozenset({"k", "key", "k_proj", "k_lin", "key_proj", "wk"})
_VALUES = frozenset({"v", "value", "v_proj", "v_lin", "value_proj", "wv"})
_TOGETHER = frozenset({"c_attn", "query_key_value", "Wqkv", "qkv_proj", "qkv", "qkv_lin", "att_proj"})


@dataclass(frozen=True, slots=True)
class Block:
    """One layer of a model: full names of what is in it."""

    layer: str
    keys_values: tuple[str, ...]
    """The linear modules that make keys and values; queries too, where one module makes all three."""
    attention_outs: tuple[str, ...]
    """The linear modules whose output is that of an attention block."""
    feed_forward_ins: tuple[str, ...]
    """Those that read what the feed-forward block reads."""
    feed_forward_out: str


def _is_matrix(module: nn.Module) -> bool:
    """Whether it is a linear module."""
    return isinstance(module, nn.Linear | Conv1D)


def _width_in(module: Any) -> int:
    """Numbers that a linear module reads."""
    return int(module.nx if isinstance(module, Conv1D) else module.in_features)


def _width_out(module: Any) -> int:
    """Numbers that a linear module makes."""
    return int(module.nf if isinstance(module, Conv1D) else module.out_features)


def hidden_width(trunk: Any) -> int:
    """Numbers of a hidden state."""
    return int(trunk.config.get_text_config().hidden_size)


def blocks(trunk: nn.Module, method: str) -> list[Block]:
    """The layers of a model, those of an encoder-decoder's halves both. Raises: MethodError, where they are built in no known way."""
    found = [_block(trunk, name, width) for name, width in _layers(trunk)]
    if not found or None in found:
        raise MethodError(
            f"method: {method} finds no attention and feed-forward blocks of linear layers in this model ({type(trunk).__name__}). "
            f"{instead(trunk, 'Use lora or bitfit.')}"
        )
    return [block for block in found if block is not None]


def attention_layers(trunk: nn.Module, num_layers: int) -> list[nn.Module]:
    """The module of each layer that attends, the lowest first. Raises: MethodError, where there are not as many as layers."""
    found = [module for module in trunk.modules() if _ATTENTION.search(type(module).__name__) and any(map(_is_matrix, module.children()))]
    found = [module for module in found if any(name in _KEYS | _TOGETHER for name, _ in module.named_children())]
    if len(found) != num_layers:
        raise MethodError(
            f"method: prefix finds {len(found)} attention layers that make keys in a model of {num_layers} layers ({type(trunk).__name__}). "
            f"{instead(trunk, 'Use prompt or lora.')}"
        )
    return found


def _layers(trunk: nn.Module) -> Iterator[tuple[str, int]]:
    """Full names of the layers, and the width of what passes between them: members of outermost lists, or groups, of modules with attention in them."""
    width = hidden_width(trunk)
    inside = list[str]()
    for name, module in trunk.named_modules():
        if isinstance(module, nn.ModuleList) and not any(name.startswith(f"{outer}.") for outer in inside):
            members = [(f"{name}.{index}", member) for index, member in enumerate(module) if _attentions(f"{name}.{index}", member)]
            if members and len(members) == len(module):
                inside.append(name)
                yield from ((member_name, width) for member_name, _ in members)


def _attentions(prefix: str, layer: nn.Module) -> list[str]:
    """The outermost attention modules of a layer."""
    found = list[str]()
    for name, module in layer.named_modules(prefix=prefix):
        own = name.rpartition(".")[2]
        is_attention = name != prefix and (_ATTENTION.search(own) or _ATTENTION.search(type(module).__name__))
        if is_attention and any(map(_is_matrix, module.modules())) and not any(name.startswith(f"{outer}.") for outer in found):
            found.append(name)
    return found


def _block(trunk: nn.Module, layer: str, width: int) -> Block | None:
    attentions = _attentions(layer, trunk.get_submodule(layer))
    matrices = [(name, module) for name, module in trunk.get_submodule(layer).named_modules(prefix=layer) if _is_matrix(module)]
    in_attention = {a: [(n, m) for n, m in matrices if n == a or n.startswith(f"{a}.")] for a in attentions}
    outs = [[name for name, module in members if _width_out(module) == width] for members in in_attention.values()]
    taken = {name for members in in_attention.values() for name, _ in members}
    others = [(name, module) for name, module in matrices if name not in taken]
    ins = [name for name, module in others if _width_in(module) == width]
    ends = [name for name, module in others if _width_out(module) == width]
    if not all(outs) or not ins or not ends:
        return None
    wanted = _KEYS | _VALUES | _TOGETHER
    keys_values = [name for name in taken if name.rpartition(".")[2] in wanted]
    return Block(
        layer,
        tuple(sorted(keys_values)),
        tuple(names[-1] for names in outs),
        tuple(n for n in ins if n != ends[-1]) or tuple(ins),
        ends[-1],
    )


def closing_norms(trunk: Any, found: Sequence[Block]) -> dict[str, str]:
    """Layers that end with a norm, whose output is theirs (BERT's), and the norm; found by running the model. Others end with a sum."""
    if next(trunk.parameters()).is_meta:
        return {}
    ends, norms, closing = dict[str, Tensor](), list[tuple[str, Tensor]](), dict[str, str]()
    handles = []
    for block in found:
        layer = trunk.get_submodule(block.layer)
        handles.append(layer.register_forward_hook(lambda _, __, output, name=block.layer: ends.__setitem__(name, _first(output))))
        for name, module in layer.named_modules(prefix=block.layer):
            if "norm" in type(module).__name__.lower():
                handles.append(module.register_forward_hook(lambda _, __, output, name=name: norms.append((name, output))))
    was_training = trunk.training
    try:
        ids = torch.ones(1, 2, dtype=torch.long, device=next(trunk.parameters()).device)
        decoded = {"decoder_input_ids": ids} if trunk.config.is_encoder_decoder else {}
        with torch.no_grad():
            trunk.eval()(input_ids=ids, **decoded)
    finally:
        trunk.train(was_training)
        for handle in handles:
            handle.remove()
    for layer_name, output in ends.items():
        last = [name for name, made in norms if made is output and name.startswith(f"{layer_name}.")]
        if last:
            closing[layer_name] = last[0]
    return closing


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output  # type: ignore[no-any-return]


def short_names(trunk: nn.Module, names: Sequence[str]) -> list[str]:
    """The shortest endings of full names by which peft finds these linear modules and no other; full names where there are none.

    peft compares a name whole, or as what follows a dot.
    """
    wanted = set(names)
    matrices = [name for name, module in trunk.named_modules() if _is_matrix(module)]
    for depth in (1, 2):
        endings = {".".join(name.split(".")[-depth:]) for name in wanted}
        if {name for name in matrices if any(name == ending or name.endswith(f".{ending}") for ending in endings)} == wanted:
            return sorted(endings)
    return sorted(wanted)
