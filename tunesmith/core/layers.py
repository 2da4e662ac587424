"""Where the layers of a model are."""

from collections.abc import Mapping
from typing import Any

from torch import nn

__all__ = ["parameters_by_depth", "repeated_layers", "vocabulary_head_alone"]

_FINAL_NORMS = ("final_layer_norm", "final_layernorm", "ln_f", "norm", "final_norm")
"""What a norm that reads the last layer is called where it stands beside the layers."""


def repeated_layers(trunk: nn.Module) -> list[nn.Module]:
    """The layers of a model: the list of modules of one class that holds the most parameters; empty where there is none.

    A list of one module counts in a model of one layer alone: ALBERT's single one is used as all of its twelve.
    """
    lists = [list(module) for module in trunk.modules() if isinstance(module, nn.ModuleList)]
    least = 1 if getattr(getattr(trunk, "config", None), "num_hidden_layers", None) == 1 else 2
    alike = [layers for layers in lists if len(layers) >= least and len({type(layer) for layer in layers}) == 1]
    return max(alike, key=lambda layers: (len(layers) > 1, sum(p.numel() for layer in layers for p in layer.parameters())), default=[])


def vocabulary_head_alone(trunk: Any) -> list[nn.Parameter]:
    """Parameters of the vocabulary head that are not the embedding's too; none where there is no such head. A classifier never reads them."""
    head: nn.Module | None = trunk.get_output_embeddings() if hasattr(trunk, "get_output_embeddings") else None
    embedding: nn.Module | None = trunk.get_input_embeddings()
    shared = {id(p) for p in embedding.parameters()} if embedding is not None else set[int]()
    return [p for p in head.parameters() if id(p) not in shared] if head is not None else []


def parameters_by_depth(trunk: nn.Module) -> list[list[nn.Parameter]]:
    """All parameters, each once, from the output to the input: of the last layer and what reads it, of each layer below, and of what all layers read.

    Of an encoder-decoder the encoder's layers lie below the decoder's. Embeddings lie at the input, tied ones and those of relative positions too; a final norm belongs to
    the last layer beside it, and what else is named after the output's layer (a pooler, a vocabulary head) to that one. Empty where the model has no list of like layers.
    """
    config = getattr(trunk, "config", None)
    halves = [trunk.get_encoder(), trunk.get_decoder()] if getattr(config, "is_encoder_decoder", False) else [trunk]  # type: ignore[operator]
    stacks = [layers for half in halves if (layers := repeated_layers(half))]
    layers = [layer for stack in stacks for layer in stack]
    if not layers:
        return []
    depth_of = {id(p): depth for depth, layer in enumerate(reversed(layers)) for p in layer.parameters()}
    tops = {id(stack[0]): depth_of[id(next(stack[-1].parameters()))] for stack in stacks}
    groups = list[list[nn.Parameter]]([] for _ in range(len(layers) + 1))
    before, seen = len(layers), set[int]()
    for name, module in trunk.named_modules():
        top = _top_beside(trunk, name, tops) if name.rpartition(".")[2] in _FINAL_NORMS else None
        for p_name, p in module.named_parameters(recurse=False):
            if id(p) in seen:
                continue
            seen.add(id(p))
            if id(p) in depth_of:
                before = depth_of[id(p)]
            is_read_by_all = isinstance(module, nn.Embedding) or "embedding" in f"{name}.{p_name}".lower()
            other = top if top is not None else 0 if before == 0 and not is_read_by_all else len(layers)
            groups[depth_of.get(id(p), other)].append(p)
    return [group for group in groups if group]


def _top_beside(trunk: nn.Module, name: str, tops: Mapping[int, int]) -> int | None:
    """The depth of the last layer of the list that stands beside a module; None where there is no list."""
    lists = [child for child in trunk.get_submodule(name.rpartition(".")[0]).children() if isinstance(child, nn.ModuleList) and len(child)]
    return next((tops[id(child[0])] for child in lists if id(child[0]) in tops), None)
