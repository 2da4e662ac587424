"""Where the layers of a model are."""

from torch import nn

__all__ = ["parameters_by_depth", "repeated_layers"]


def repeated_layers(trunk: nn.Module) -> list[nn.Module]:
    """The layers of a model: the list of modules of one class that holds the most parameters; empty where there is none."""
    lists = [list(module) for module in trunk.modules() if isinstance(module, nn.ModuleList)]
    alike = [layers for layers in lists if len(layers) > 1 and len({type(layer) for layer in layers}) == 1]
    return max(alike, key=lambda layers: sum(p.numel() for layer in layers for p in layer.parameters()), default=[])


def parameters_by_depth(trunk: nn.Module) -> list[list[nn.Parameter]]:
    """All parameters, each once, from the output to the input: of the last layer and what lies above it, of each layer below, and of what lies below them all.

    Of an encoder-decoder the encoder's layers lie below the decoder's. Tied weights belong to the place that reads the input. Empty where the model has no list of like layers.
    """
    config = getattr(trunk, "config", None)
    halves = [trunk.get_encoder(), trunk.get_decoder()] if getattr(config, "is_encoder_decoder", False) else [trunk]  # type: ignore[operator]
    layers = [layer for half in halves for layer in repeated_layers(half)]
    if not layers:
        return []
    depth_of = {id(p): depth for depth, layer in enumerate(reversed(layers)) for p in layer.parameters()}
    depth, groups = len(layers), list[list[nn.Parameter]]([] for _ in range(len(layers) + 1))
    for p in trunk.parameters():  # in the order in which a model names them: embeddings, layers, what reads the last one
        if id(p) in depth_of:
            depth = depth_of[id(p)]
            groups[depth].append(p)
        else:
            groups[0 if depth == 0 else len(layers)].append(p)
    return [group for group in groups if group]
