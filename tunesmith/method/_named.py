"""Names in a method's options, held against the modules that there are."""

import contextlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.constants import EMBEDDING_LAYER_NAMES
from torch import nn
from transformers.pytorch_utils import Conv1D

from tunesmith.core.errors import MethodError

__all__ = [
    "ALL_LINEAR",
    "check_names",
    "check_patterns",
    "check_ranks",
    "instead",
    "is_named",
    "linear_layers_below_head",
    "modules_named",
    "refuse_without_linear",
    "tied_to_save",
]

ALL_LINEAR = "all-linear"


def check_names(trunk: nn.Module, option: str, wanted: Sequence[str] | str) -> None:
    """Raises: MethodError, where one of the names is that of no module, or a regular expression fits none, naming those that there are.

    Args:
        option: what the recipe calls it.
        wanted: names or ends of names, of modules to save any end as peft takes it; a text alone is a regular expression over full names, or
            `all-linear`.
    """
    names = [name for name, _ in trunk.named_modules() if name]
    if isinstance(wanted, str):
        try:
            missing = [] if wanted == ALL_LINEAR or any(re.fullmatch(wanted, name) for name in names) else [repr(wanted)]
        except re.error as error:
            raise MethodError(f"method.{option}: {wanted!r} is no regular expression: {error}.") from None
    else:
        ends = "" if option == "modules_to_save" else "."
        missing = [one for one in wanted if not any(name == one or name.endswith(ends + one) for name in names)]
    if missing:
        linear = {path for path, module in trunk.named_modules() if isinstance(module, nn.Linear | Conv1D)}
        found = f"Its linear modules: {_leaves(linear)}" if linear else f"Its modules: {_leaves(names)}"
        if option != "target_modules":
            found = f"Its modules: {_leaves(name for name in names if any(True for _ in trunk.get_submodule(name).parameters()))}"
        cure = f" {instead(trunk, '')}" if not _linear_below_head(trunk) else ""
        raise MethodError(f"method.{option}: {', '.join(missing)} matches nothing in this model. {found}.{cure}")


def instead(trunk: nn.Module, usual: str) -> str:
    """What to do where a method does not fit: `usual`, but for a model without linear layers below its vocabulary head, such as a recurrent one."""
    return (
        usual
        if _linear_below_head(trunk)
        else "Its layers hold no linear ones (recurrent cells): use full, layers, bitfit, prompt or head."
    )


def refuse_without_linear(trunk: nn.Module, method: str) -> None:
    """Raises: MethodError, where the model has no linear layer below its vocabulary head that the method could change."""
    if not _linear_below_head(trunk):
        raise MethodError(
            f"method: {method} changes linear layers, and this model ({type(trunk).__name__}) is of none. {instead(trunk, '')}"
        )


def _linear_below_head(trunk: nn.Module) -> bool:
    return bool(linear_layers_below_head(trunk))


def linear_layers_below_head(trunk: Any) -> dict[str, int]:
    """The layers that `all-linear` stands for, by their full names, and of each the smaller side of its matrix."""
    head = trunk.get_output_embeddings() if hasattr(trunk, "get_output_embeddings") else None
    layers = {path: module for path, module in trunk.named_modules() if isinstance(module, nn.Linear | Conv1D) and module is not head}
    return {path: min(_sides(layer)) for path, layer in layers.items()}


def _sides(layer: nn.Linear | Conv1D) -> tuple[int, int]:
    return (layer.out_features, layer.in_features) if isinstance(layer, nn.Linear) else (int(layer.nx), int(layer.nf))


def is_named(path: str, patterns: Iterable[str]) -> bool:
    """Whether peft takes one of the patterns for a name of that layer; what is no regular expression names none."""
    for pattern in patterns:
        with contextlib.suppress(re.error):
            if re.match(rf"(.*\.)?({pattern})$", path):
                return True
    return False


def modules_named(trunk: nn.Module, wanted: Sequence[str]) -> list[str]:
    """Full names of the modules that peft finds by names or ends of names."""
    return [name for name, _ in trunk.named_modules() if any(name == one or name.endswith(f".{one}") for one in wanted)]


def tied_to_save(trunk: Any, wanted: Sequence[str]) -> bool:
    """Whether one of the modules to save is the embedding, or the vocabulary head, of a model that has one matrix for both: it stays one.

    Raises: MethodError, where peft does not know the module by that name and would part the two.
    """
    head = trunk.get_output_embeddings() if hasattr(trunk, "get_output_embeddings") else None
    if head is None or head.weight is not trunk.get_input_embeddings().weight:
        return False
    embedding = trunk.get_input_embeddings()
    found = [(one, name) for name, module in trunk.named_modules() if module in (head, embedding) for one in wanted if name.endswith(one)]
    if found and not any(one.rpartition(".")[2] in EMBEDDING_LAYER_NAMES for one, _ in found):
        raise MethodError(
            f"method.modules_to_save: {found[0][0]} is the vocabulary head's matrix too. Name {' or '.join(EMBEDDING_LAYER_NAMES)}: they are trained as one."
        )
    return bool(found)


def check_patterns(trunk: nn.Module, option: str, patterns: Iterable[str]) -> None:
    """Raises: MethodError, where a pattern is that of no layer which has an adapter; call it when they are in `trunk`."""
    adapted = [path for path, module in trunk.named_modules() if isinstance(module, BaseTunerLayer)]
    for pattern in patterns:
        try:
            is_found = any(re.match(rf"(.*\.)?({pattern})$", path) for path in adapted)
        except re.error as error:
            raise MethodError(f"method.{option}: {pattern!r} is no regular expression: {error}.") from None
        if not is_found:
            raise MethodError(f"method.{option}: {pattern} matches no layer with an adapter. Those are: {_leaves(adapted)}.")


def check_ranks(trunk: nn.Module) -> None:
    """Raises: MethodError, where a LoRA layer in `trunk` has a rank above its own size: a change of that size has no more directions."""
    for path, module in trunk.named_modules():
        if not isinstance(module, LoraLayer):
            continue
        most = min(int(module.in_features or 0), int(module.out_features or 0))
        for rank in module.r.values():
            if rank > most:
                raise MethodError(
                    f"method.r: {rank} is above the size of {path}, {module.out_features} x {module.in_features}. "
                    f"Choose at most {most}, or another rank for it: method.rank_pattern."
                )


def _leaves(paths: Iterable[str]) -> str:
    return ", ".join(sorted({leaf for path in paths if not (leaf := path.rpartition(".")[2]).isdigit()}))
