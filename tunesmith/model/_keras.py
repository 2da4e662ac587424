"""A Keras network as layers, settings and arrays: what reading and writing its `.h5` file share.

Source: https://keras.io/api/layers/ for what the layers mean and how their weights lie.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["CLASSES", "OWN_GROUP", "Array", "Unfit", "keras_weights", "layer_state", "shapes", "spec_of", "written_config"]

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]
OWN_GROUP = "tunesmith"
"""The group of a file in which tunesmith keeps what Keras has no place for: `facts` (labels, columns) and `tokenizer`, JSON as bytes."""

_DROPOUT = {"dropout": 0.0, "recurrent_dropout": 0.0}
_RECURRENT = {"units": None, "activation": "tanh", "use_bias": True, "return_sequences": False, "go_backwards": False, **_DROPOUT}
CLASSES: dict[str, dict[str, Any]] = {
    "Embedding": {"input_dim": None, "output_dim": None, "mask_zero": False},
    "Dense": {"units": None, "activation": "linear", "use_bias": True},
    "Conv1D": {
        "filters": None, "kernel_size": None, "strides": 1, "padding": "valid", "dilation_rate": 1, "groups": 1, "activation": "linear",
        "use_bias": True,
    },
    "SimpleRNN": _RECURRENT,
    "LSTM": {**_RECURRENT, "recurrent_activation": "sigmoid"},
    "GRU": {**_RECURRENT, "recurrent_activation": "sigmoid", "reset_after": False},
    "Bidirectional": {"merge_mode": "concat"},
    "LayerNormalization": {"epsilon": 1e-3, "center": True, "scale": True},
    "Normalization": {},
    "Dropout": {"rate": None},
    "Activation": {"activation": None},
    "Flatten": {},
    "GlobalAveragePooling1D": {},
    "GlobalMaxPooling1D": {},
}  # fmt: skip
"""Class -> what is read of its settings, with Keras's defaults; None: it must be there."""
_ONLY: dict[str, tuple[Any, ...]] = {
    "stateful": (False,), "return_state": (False,), "time_major": (False,), "data_format": ("channels_last", None), "keepdims": (False,),
    "invert": (False,), "rms_scaling": (False,), "batch_size": (None,), "noise_shape": (None,),
}  # fmt: skip
"""Settings that are taken with these values alone."""
_SAME_NAME = {"swish": "silu", "keras>hard_sigmoid": "hard_sigmoid", None: "linear"}
_WHOLE = ("units", "filters", "input_dim", "output_dim", "kernel_size", "strides", "dilation_rate", "groups")
_FLAGS = ("use_bias", "mask_zero", "return_sequences", "go_backwards", "reset_after", "center", "scale")
_INNER = ("SimpleRNN", "LSTM", "GRU")


class Unfit(Exception):
    """What stands in the way of taking a layer, for people."""


def spec_of(kind: str, config: Mapping[str, Any], activations: Mapping[str, Any], *, is_keras_2: bool) -> dict[str, Any]:
    """A layer's settings as `LayeredConfig.layers` has them.

    Args:
        activations: those that are known, by name.
        is_keras_2: whether hard_sigmoid is that of Keras 2.
    Raises: Unfit.
    """
    if kind not in CLASSES:
        what = "runs code that stands in the file, which is never done" if kind == "Lambda" else "is no layer that is read here"
        raise Unfit(f"{kind} {what}. Read are: {', '.join(CLASSES)}")
    for key, taken in _ONLY.items():
        if key in config and config[key] not in taken:
            raise Unfit(f"{key} is {config[key]!r}, and only {taken[0]!r} is read")
    spec: dict[str, Any] = {"class": kind}
    for key, default in CLASSES[kind].items():
        value = config.get(key, default)
        if value is None and default is None and key != "activation":
            raise Unfit(f"{key} is missing")
        spec[key] = _checked(key, value, activations, is_keras_2)
    if kind in ("LayerNormalization", "Normalization"):
        _check_axis(config.get("axis", -1))
    if kind == "Bidirectional":
        spec["layer"] = _inner(config, activations, is_keras_2)
        if spec["merge_mode"] not in ("concat", "sum", "mul", "ave"):
            raise Unfit(f"merge_mode is {spec['merge_mode']!r}, and concat, sum, mul and ave are read")
    if kind == "Conv1D" and spec["padding"] not in ("valid", "same", "causal"):
        raise Unfit(f"padding is {spec['padding']!r}, and valid, same and causal are read")
    if kind in _INNER and spec["go_backwards"] and spec["return_sequences"]:
        raise Unfit("go_backwards with return_sequences is read inside Bidirectional alone")
    return spec


def _checked(key: str, value: Any, activations: Mapping[str, Any], is_keras_2: bool) -> Any:
    if key in ("activation", "recurrent_activation"):
        if not isinstance(value, str | None):
            raise Unfit(f"{key} is code of its own, or has settings of its own, and only activations by name are read")
        name = _SAME_NAME.get(value, value)
        name = "hard_sigmoid_fifth" if name == "hard_sigmoid" and is_keras_2 else name
        if name not in activations:
            raise Unfit(f"{key} is {value!r}. Read are: {', '.join(name for name in activations if name != 'hard_sigmoid_fifth')}")
        return name
    if key in _WHOLE:
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Unfit(f"{key} is {value!r}, expected a whole number of at least 1")
    if key in ("rate", "dropout", "recurrent_dropout") and not (isinstance(value, int | float) and 0 <= value < 1):
        raise Unfit(f"{key} is {value!r}, expected a share from 0 to below 1")
    if key in _FLAGS and not isinstance(value, bool):
        raise Unfit(f"{key} is {value!r}, expected true or false")
    if key == "epsilon" and (
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= float(np.finfo(np.float32).max)
    ):
        raise Unfit(f"epsilon is {value!r}, expected a number above 0")
    return value


def _check_axis(axis: Any) -> None:
    """The last axis is -1; of one vector a row 1, of one a word 2. What is no last axis does not fit the weights."""
    found = axis if isinstance(axis, list) else [axis]
    if len(found) != 1 or found[0] not in (-1, 1, 2):
        raise Unfit(f"axis is {axis!r}, and only the last one is read")


def _inner(config: Mapping[str, Any], activations: Mapping[str, Any], is_keras_2: bool) -> dict[str, Any]:
    """The recurrent layer inside a Bidirectional."""
    found = [config.get("layer"), config.get("backward_layer") or config.get("layer")]
    specs = list[dict[str, Any]]()
    for one in found:
        if not isinstance(one, Mapping) or one.get("class_name") not in _INNER or not isinstance(one.get("config"), Mapping):
            name = one.get("class_name") if isinstance(one, Mapping) else one
            raise Unfit(f"around {name!r}; it is read around {', '.join(_INNER)}")
        settings: Mapping[str, Any] = one["config"]
        if not specs and settings.get("go_backwards"):
            raise Unfit("its forward layer reads backwards")
        inner = {**settings, "go_backwards": False}
        specs.append(spec_of(one["class_name"], inner, activations, is_keras_2=is_keras_2))
    if specs[0] != specs[1]:
        raise Unfit("its backward layer is another than its forward layer")
    return specs[0]


def shapes(spec: Mapping[str, Any], width: int) -> dict[str, Shape]:
    """Keras's name -> shape of each array of a layer that reads `width` numbers, in the order in which they are saved."""
    kind = spec["class"]
    if kind == "Embedding":
        return {"embeddings": (spec["input_dim"], spec["output_dim"])}
    if kind == "Dense":
        return _with_bias(spec, {"kernel": (width, spec["units"])}, (spec["units"],))
    if kind == "Conv1D":
        return _with_bias(spec, {"kernel": (spec["kernel_size"], width // spec["groups"], spec["filters"])}, (spec["filters"],))
    if kind == "LayerNormalization":
        return {name: (width,) for name, is_there in (("gamma", spec["scale"]), ("beta", spec["center"])) if is_there}
    if kind == "Bidirectional":
        inner = shapes(spec["layer"], width)
        return {f"{way}/{name}": shape for way in ("forward", "backward") for name, shape in inner.items()}
    if kind in _INNER:
        units, gates = spec["units"], {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[kind] * spec["units"]
        bias = (2, gates) if spec.get("reset_after") else (gates,)
        return _with_bias(spec, {"kernel": (width, gates), "recurrent_kernel": (units, gates)}, bias)
    return {}


def _with_bias(spec: Mapping[str, Any], found: dict[str, Shape], bias: Shape) -> dict[str, Shape]:
    return {**found, "bias": bias} if spec["use_bias"] else found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a Keras array lies in a `Layer`, and how it is turned; turning is undone by turning again."""

    name: str
    turned: Callable[[Tensor], Tensor]


def _places(spec: Mapping[str, Any]) -> list[_Place]:
    """Of each array of `shapes`, in that order."""
    kind, inner = spec["class"], spec.get("layer")
    if kind == "Bidirectional":
        assert inner is not None
        return [_Place(f"{way}.{name}", _TURNED[name]) for way in ("forwards", "backwards") for name in shapes(inner, 1)]
    if kind in _INNER:
        return [_Place(f"forwards.{name}", _TURNED[name]) for name in shapes(spec, 1)]
    part = {"Dense": "linear", "Conv1D": "conv", "LayerNormalization": "norm", "Embedding": ""}[kind]
    turned = (lambda x: x.permute(2, 1, 0)) if kind == "Conv1D" else (lambda x: x.T) if kind == "Dense" else (lambda x: x)
    names = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "embeddings": "weight"}
    return [
        _Place(f"{part}.{names[name]}".lstrip("."), turned if name == "kernel" else lambda x: x)
        for name in shapes(spec, spec.get("groups", 1))
    ]


_TURNED: dict[str, Callable[[Tensor], Tensor]] = {"kernel": lambda x: x.T, "recurrent_kernel": lambda x: x.T, "bias": lambda x: x}


def layer_state(spec: Mapping[str, Any], arrays: Sequence[Array]) -> dict[str, Tensor]:
    """A layer's tensors, by their names in `Layer` (of an embedding in torch's), from Keras's arrays."""
    return {
        place.name: place.turned(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))).contiguous()
        for place, array in zip(_places(spec), arrays, strict=True)
    }


def keras_weights(spec: Mapping[str, Any], state: Mapping[str, Tensor]) -> list[Array]:
    """What `layer_state` was made of."""
    return [place.turned(state[place.name].detach().cpu().float()).contiguous().numpy() for place in _places(spec)]


def written_config(spec: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A layer as Keras's `model_config` has it. Raises: Unfit, where Keras has no such activation."""
    kind = spec["class"]
    settings = {key: spec[key] for key in CLASSES[kind]}
    if "hard_sigmoid_fifth" in settings.values() or "hard_sigmoid_fifth" in spec.get("layer", {}).values():
        raise Unfit(f"{name}: its hard_sigmoid is that of Keras 2, which Keras no longer has")
    if kind == "Normalization":
        settings = {"axis": [-1], "mean": spec["mean"], "variance": spec["variance"]}
    elif kind == "LayerNormalization":
        settings["axis"] = [-1]
    elif kind == "Bidirectional":
        inner = written_config(spec["layer"], f"forward_{name}")
        settings["layer"] = {"module": "keras.layers", "registered_name": None, **inner}
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **settings}}
