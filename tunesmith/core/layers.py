"""Where the layers of a model are."""

from torch import nn

__all__ = ["repeated_layers"]


def repeated_layers(trunk: nn.Module) -> list[nn.Module]:
    """The layers of a model: the list of modules of one class that holds the most parameters; empty where there is none."""
    lists = [list(module) for module in trunk.modules() if isinstance(module, nn.ModuleList)]
    alike = [layers for layers in lists if len(layers) > 1 and len({type(layer) for layer in layers}) == 1]
    return max(alike, key=lambda layers: sum(p.numel() for layer in layers for p in layer.parameters()), default=[])
