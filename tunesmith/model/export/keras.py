"""An `.h5` file that Keras loads: a layered network, with its head as the last layer.

Beside what Keras reads stand, in a group of their own, the names of classes and columns, and the tokenizer: tunesmith takes them from there again.
Source: https://github.com/keras-team/keras/blob/master/keras/src/legacy/saving/legacy_h5_format.py for the layout.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from tunesmith.core.errors import ModelError
from tunesmith.core.files import staged_file
from tunesmith.model._keras import OWN_GROUP, Array, Unfit, keras_weights, written_config
from tunesmith.model.heads import Head
from tunesmith.model.networks.layered import WITH_WEIGHTS, LayeredModel

__all__ = ["check_writable", "write_h5"]

_VERSION = "3.0.0"
"""Of Keras, whose conventions the file follows."""
_SAYS = {"label": "softmax", "labels": "sigmoid", "number": "linear"}
"""Head -> the activation that makes of its outputs what it says."""


def check_writable(trunk: nn.Module, name: str, poolings: Mapping[str, str]) -> None:
    """Raises: ModelError, where a model is no network of Keras's layers, or does not end in one of them. `poolings`: of its heads, by their names."""
    if not isinstance(trunk, LayeredModel):
        raise ModelError(
            f"{name}: an .h5 file holds networks of layers that were read from one, or made by model.architecture: dense, and this is a {type(trunk).__name__}. "
            "`tunesmith merge` writes it as transformers reads it."
        )
    if len(poolings) != 1 or next(iter(poolings)) not in _SAYS:
        raise ModelError(
            f"{name}: a Keras network ends in one layer, and this model has {', '.join(poolings) or 'no head'}. Tune a classifier."
        )
    if "concat" in poolings.values():
        raise ModelError(
            f"{name}: an .h5 file has no layer that puts the last, the largest and the mean state side by side. Leave out objective.pooling."
        )
    try:
        for spec in trunk.config.layers:
            written_config(spec, spec["class"].lower())
    except Unfit as error:
        raise ModelError(f"{name}: {error}.") from None


def write_h5(trunk: nn.Module, heads: Mapping[str, nn.Module], labels: Sequence[str], tokenizer: Any, file: Path) -> None:
    """Write a network, whose adapters are folded in.

    Args:
        heads: one, which names classes or a number.
        labels: the names of its outputs.
        tokenizer: of transformers; None, or one of a network that reads numbers, is left out.
    Raises: ModelError, where Keras has no layer for something.
    """
    check_writable(trunk, file.name, {name: str(head.pooling) for name, head in heads.items()})
    assert isinstance(trunk, LayeredModel)
    (head,) = heads.values()
    assert isinstance(head, Head)
    layers = [*_trunk_layers(trunk), *_head_layers(head)]
    config = _model_config(trunk, layers)
    facts = {"labels": list(labels), "columns": trunk.config.columns, **_text_facts(trunk)}
    with staged_file(file) as staged, h5py.File(staged, "w") as out:
        out.attrs["model_config"] = json.dumps(config)
        out.attrs["keras_version"], out.attrs["backend"] = _VERSION, "torch"
        _write_weights(out.create_group("model_weights"), layers)
        own = out.create_group(OWN_GROUP)
        own.create_dataset("facts", data=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8))
        if tokenizer is not None and not trunk.config.num_columns:
            own.create_dataset("tokenizer", data=np.frombuffer(tokenizer.backend_tokenizer.to_str().encode(), dtype=np.uint8))


_Layer = tuple[str, dict[str, Any], list[Array]]
"""Name, settings as Keras has them, arrays."""


def _trunk_layers(trunk: LayeredModel) -> list[_Layer]:
    state, names, number = trunk.state_dict(), Counter[str](), 0
    found = list[_Layer]()
    for spec in trunk.config.layers:
        name = _name(spec["class"], names)
        arrays = list[Array]()
        if spec["class"] in WITH_WEIGHTS:
            prefix = "embedding." if spec["class"] == "Embedding" else f"layers.{number}."
            number += spec["class"] != "Embedding"
            arrays = keras_weights(spec, {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)})
        found.append((name, written_config(spec, name), arrays))
    return found


def _head_layers(head: Head) -> list[_Layer]:
    """The head's layers as Dense ones, the last with the data's unit folded into it."""
    found = list[_Layer]()
    for number, layer in enumerate(head.layers):
        assert isinstance(layer, nn.Linear)
        is_last = number == len(head.layers) - 1
        weight, bias = layer.weight.detach().cpu().double(), layer.bias.detach().cpu().double()
        if is_last:
            scale, shift = (torch.tensor(unit, dtype=torch.float64) for unit in (head.scale, head.shift))
            weight, bias = weight * scale.reshape(-1, 1), bias * scale + shift
        spec = {"class": "Dense", "units": len(weight), "activation": _SAYS[head.name] if is_last else head.activation, "use_bias": True}
        name = "head" if is_last else f"head_{number}"
        found.append((name, written_config(spec, name), keras_weights(spec, {"linear.weight": weight, "linear.bias": bias})))
    return found


def _name(kind: str, names: Counter[str]) -> str:
    base = kind.lower()
    names[base] += 1
    return base if names[base] == 1 else f"{base}_{names[base] - 1}"


def _model_config(trunk: LayeredModel, layers: Sequence[_Layer]) -> dict[str, Any]:
    config = trunk.config
    shape = [None, config.num_columns or config.input_length]
    entry = {
        "class_name": "InputLayer",
        "config": {"batch_input_shape": shape, "dtype": "float32" if config.num_columns else "int32", "sparse": False, "name": "input"},
    }
    return {"class_name": "Sequential", "config": {"name": "network", "trainable": True, "layers": [entry, *(one for _, one, _ in layers)]}}


def _text_facts(trunk: LayeredModel) -> dict[str, Any]:
    config = trunk.config
    return {} if config.num_columns else {"padding_side": config.padding_side, "drops_padding": config.drops_padding}


def _write_weights(group: h5py.Group, layers: Sequence[_Layer]) -> None:
    group.attrs["layer_names"] = [name.encode() for name, _, _ in layers]
    group.attrs["keras_version"], group.attrs["backend"] = _VERSION, "torch"
    for name, _, arrays in layers:
        inner = group.create_group(name)
        names = [f"{name}/weight_{number}" for number in range(len(arrays))]
        inner.attrs["weight_names"] = [one.encode() for one in names]
        for one, array in zip(names, arrays, strict=True):
            inner.create_dataset(one, data=array)
