"""What stands in an `.h5` file of Keras, read as data: nothing of it is run, and no Keras is needed.

Source: https://github.com/keras-team/keras/blob/master/keras/src/legacy/saving/legacy_h5_format.py for where layers and weights lie in the file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tunesmith.core.errors import ModelError, one_line
from tunesmith.model._keras import OWN_GROUP, Array, Unfit, shapes, spec_of
from tunesmith.model.networks._layers import ACTIVATIONS
from tunesmith.model.networks.layered import WITH_WEIGHTS, keeps_sequence, length_after

__all__ = ["Network", "read_network"]


@dataclass(frozen=True, slots=True)
class Network:
    """The layers of a file, the last of which names classes."""

    layers: list[dict[str, Any]]
    """As `LayeredConfig.layers`, without the last one."""
    arrays: list[list[Array]]
    """Keras's arrays of each of them."""
    head: dict[str, Any]
    head_arrays: list[Array]
    said_by: str
    """The activation that the last layer ends with."""
    num_columns: int
    """Numbers of a row; 0: it reads tokens."""
    input_length: int | None
    version: str
    facts: Mapping[str, Any]
    """What tunesmith wrote beside it."""
    tokenizer: str | None


def read_network(path: Path) -> Network:
    """Raises: ModelError, in one line, for a file that is no whole network of layers that are known."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return _network(file, path)
    except Unfit as error:
        raise ModelError(f"model.source: {path}: {error}.") from None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"model.source: {path}: its contents cannot be read ({type(error).__name__}: {one_line(error, 120)}). Save it again."
        ) from None
    except (OSError, RuntimeError) as error:  # HDF5's own, of a file that is cut short or no HDF5 at all
        head = path.open("rb").read(4)
        what = 'is of Keras\'s newer format, a .keras file. In Keras write the older one: model.save("network.h5")' if head == b"PK\x03\x04" else (
            f"is no whole HDF5 file ({one_line(error, 120)}). Copy it again"
        )  # fmt: skip
        raise ModelError(f"model.source: {path}: {what}.") from None


def _network(file: h5py.File, path: Path) -> Network:
    config = _json_attribute(file, "model_config")
    if config is None or "model_weights" not in file:
        raise Unfit("holds no whole network, perhaps weights alone: model_config or model_weights is missing. In Keras: model.save(...)")
    weights = _group(file, "model_weights")
    version = _text(weights.attrs.get("keras_version", file.attrs.get("keras_version", "")))
    described, shape = _described(config)
    found, read = list[dict[str, Any]](), list[list[Array]]()
    num_columns, input_length, width = _reads(described, shape)
    length = input_length
    for kind, name, settings in described:
        with _naming(name):
            if kind == "Embedding" and found:
                raise Unfit("Embedding stands behind another layer, and one that reads the tokens themselves is read")
            spec = spec_of(kind, settings, ACTIVATIONS, is_keras_2=version.startswith("2"))
            if kind == "Normalization":
                spec |= _standardization(weights, name, settings, width)
            arrays = _arrays(weights, name, spec, width) if kind in WITH_WEIGHTS else []
            found.append(spec)
            read.append(arrays)
            _check_padding(spec, length)
            width = _width_after(spec, width, length)
            length = _length_after(spec, length)
    said_by = str(found.pop()["activation"]) if found and found[-1]["class"] == "Activation" else ""
    read = read[: len(found)]
    if not found or found[-1]["class"] != "Dense":
        raise Unfit("its last layer with weights is no Dense layer that names classes")
    if said_by and found[-1]["activation"] != "linear":
        raise Unfit("its last Dense layer is followed by two activations")
    if not any(spec["class"] in WITH_WEIGHTS for spec in found[:-1]):
        raise Unfit(
            "has one layer with weights, and below the one that names classes there is nothing to tune. Bring one with a hidden layer"
        )
    head, head_arrays = found.pop(), read.pop()
    own = _within(file, OWN_GROUP)
    facts = json.loads(_own_text(own, "facts") or "{}") if isinstance(own, h5py.Group) else {}
    if not isinstance(facts, Mapping):
        raise Unfit("what tunesmith wrote beside it is damaged")
    tokenizer = _own_text(own, "tokenizer") if isinstance(own, h5py.Group) else None
    return Network(found, read, head, head_arrays, said_by or str(head["activation"]), num_columns, input_length, version, facts, tokenizer)


class _naming:
    """Within the block what does not fit is told with the layer's name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if isinstance(error, Unfit):
            raise Unfit(f'its layer "{self.name}": {error}') from None


def _described(config: Mapping[str, Any]) -> tuple[list[tuple[str, str, Mapping[str, Any]]], Sequence[Any] | None]:
    """Class, name and settings of each layer, in the order in which they act, and the shape of what the first reads. Raises: Unfit."""
    kind, inner = config.get("class_name"), config.get("config")
    layers = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, Mapping) else None
    if kind not in ("Sequential", "Functional", "Model") or not isinstance(layers, list):
        raise Unfit(
            f"is a network of a class of its own ({kind}). Sequential ones are read, and functional ones whose layers follow each other"
        )
    try:
        ordered = layers if kind == "Sequential" else _chain(layers)
        found = [(str(one["class_name"]), str(one["config"].get("name") or one.get("name")), one["config"]) for one in ordered]
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Unfit(f"its model_config cannot be read ({type(error).__name__}: {error})") from None
    shape = inner.get("build_input_shape") if isinstance(inner, Mapping) else None
    for settings in [one[2] for one in found[:2]]:  # an input layer says it, else the first that reads; what comes behind says less
        shape = shape or settings.get("batch_shape") or settings.get("batch_input_shape")
    found = [
        (("Activation", name, {**settings, "activation": "softmax"}) if kind == "Softmax" else (kind, name, settings))
        for kind, name, settings in found
    ]
    return [one for one in found if one[0] != "InputLayer"], shape


def _chain(layers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The layers of a functional network, each of which reads the one before it. Raises: Unfit, where they do otherwise."""
    read_by = dict[str, Mapping[str, Any]]()
    first = [one for one in layers if one["class_name"] == "InputLayer"]
    others = [one for one in layers if one["class_name"] not in ("InputLayer", "NotEqual")]  # Keras 3 writes a mask down as a layer
    for one in others:
        sources = [list(_sources(node)) for node in one["inbound_nodes"]]
        if len(sources) != 1 or len(sources[0]) != 1 or sources[0][0] in read_by:
            raise Unfit("its layers do not follow each other in one line, which alone is read")
        read_by[sources[0][0]] = one
    if len(first) != 1:
        raise Unfit(f"has {len(first)} inputs, and one is read")
    ordered = [first[0]]
    while (name := str(ordered[-1]["config"].get("name") or ordered[-1].get("name"))) in read_by:
        ordered.append(read_by.pop(name))
    if read_by:
        raise Unfit("its layers do not follow each other in one line, which alone is read")
    return ordered


def _sources(node: Any) -> Iterator[str]:
    """Names of the layers that a call reads: of Keras 3 the tensors among its arguments, of Keras 2 lists of a name and two numbers."""
    if isinstance(node, Mapping) and node.get("class_name") == "__keras_tensor__":
        yield str(node["config"]["keras_history"][0])
    elif isinstance(node, Mapping):
        yield from _sources(node.get("args", []))
    elif isinstance(node, list) and node[:1] and isinstance(node[0], str):
        yield node[0]
    elif isinstance(node, list):
        for one in node:
            yield from _sources(one)


def _reads(described: Sequence[tuple[str, str, Mapping[str, Any]]], shape: Sequence[Any] | None) -> tuple[int, int | None, int]:
    """Columns of a row (0: tokens), tokens of every text where they are as many, and the width of what the first layer reads."""
    if described and described[0][0] == "Embedding":
        length = shape[1] if shape is not None and len(shape) > 1 else described[0][2].get("input_length")
        return 0, length if isinstance(length, int) else None, 0
    if shape is None or len(shape) != 2 or not isinstance(shape[1], int) or shape[1] < 1:
        raise Unfit(f"reads inputs of the shape {shape}; tokens through an Embedding are read, and rows of numbers of one length")
    return shape[1], None, shape[1]


def _width_after(spec: Mapping[str, Any], width: int, length: int | None) -> int:
    kind = spec["class"]
    if kind == "Bidirectional":
        return int(spec["layer"]["units"]) * (2 if spec["merge_mode"] == "concat" else 1)
    if kind == "Flatten" and length is not None:
        return width * length
    return int(spec.get("units") or spec.get("filters") or spec.get("output_dim") or width)


def _length_after(spec: Mapping[str, Any], length: int | None) -> int | None:
    """Positions behind a layer, where their number is fixed; None behind one that says a vector a row."""
    if spec["class"] in ("Embedding", "Normalization", "Dropout", "Activation"):
        return length
    return length_after(spec, length) if spec["class"] in WITH_WEIGHTS and keeps_sequence(spec) else None


def _check_padding(spec: Mapping[str, Any], length: int | None) -> None:
    """Raises: Unfit, for a convolution that pads a row on the left as its length says, where rows have lengths of their own."""
    if spec["class"] != "Conv1D" or spec["padding"] != "same" or length is not None:
        return
    width, stride = (spec["kernel_size"] - 1) * spec["dilation_rate"] + 1, spec["strides"]
    if len({max(width - (rest or stride), 0) // 2 for rest in range(stride)}) > 1:
        raise Unfit('pads "same" with strides, so that what it says depends on the length of a text; give the network one length of inputs')


def _standardization(weights: h5py.Group, name: str, settings: Mapping[str, Any], width: int) -> dict[str, list[float]]:
    if settings.get("mean") is not None:
        mean, variance = np.ravel(settings["mean"]), np.ravel(settings.get("variance", []))
    else:
        held = list(_held(weights, name))
        if len(held) < 2:
            raise Unfit("was never adapted to data, so that its mean and variance are missing")
        mean, variance = (np.ravel(_numbers(weights[name], one, None)) for one in held[:2])
    found = {}
    for label, given in (("mean", mean), ("variance", variance)):
        numbers = _finite(label, np.repeat(given, width) if given.size == 1 else given)
        if numbers.shape != (width,):
            raise Unfit(f"its {label} is of {numbers.size} columns, and {width} come in")
        found[label] = numbers.tolist()
    if min(found["variance"]) < 0:
        raise Unfit(f"its variance holds {min(found['variance']):g}, and no variance is below 0")
    return found


def _finite(label: str, given: Array) -> Array:
    """Raises: Unfit, where they are no numbers that float32 holds."""
    try:
        numbers = given.astype(float)
    except (TypeError, ValueError):
        raise Unfit(f"its {label} holds values that are no numbers") from None
    if given.dtype.kind not in "fiu" or not (np.abs(numbers) <= np.finfo(np.float32).max).all():
        raise Unfit(f"its {label} holds values that are no finite numbers")
    return numbers


def _arrays(weights: h5py.Group, name: str, spec: Mapping[str, Any], width: int) -> list[Array]:
    wanted, held = shapes(spec, width), list(_held(weights, name))
    if len(held) != len(wanted):
        raise Unfit(f"has {len(held)} arrays of weights, expected {len(wanted)} ({', '.join(wanted)})")
    group = _group(weights, name)
    return [_numbers(group, one, (label, shape)) for one, (label, shape) in zip(held, wanted.items(), strict=True)]


def _held(weights: h5py.Group, name: str) -> Iterator[str]:
    """Names of a layer's arrays, in their order."""
    if name not in weights:
        raise Unfit("its weights are missing")
    attributes = _group(weights, name).attrs
    if "weight_names" in attributes:
        yield from map(_text, attributes["weight_names"])
    part = 0
    while f"weight_names{part}" in attributes:  # many names are written in parts
        yield from map(_text, attributes[f"weight_names{part}"])
        part += 1


def _numbers(group: h5py.Group, name: str, wanted: tuple[str, tuple[int, ...]] | None) -> Array:
    """An array of numbers in the file itself. Raises: Unfit."""
    place: Any = group
    for part in name.strip("/").split("/"):
        place = _within(place, part) if isinstance(place, h5py.Group) else None
    if not isinstance(place, h5py.Dataset):
        raise Unfit(f"its array {name} is missing")
    if place.dtype.kind not in "fiu":
        raise Unfit(f"{name} holds {place.dtype}, which could be anything, a pickle too: only numbers are read")
    if wanted is not None and place.shape != wanted[1]:
        raise Unfit(f"{wanted[0]} has the shape {place.shape}, expected {wanted[1]}")
    try:
        found = np.asarray(place[()], dtype=np.float32)
    except (OSError, RuntimeError) as error:
        raise Unfit(f"{name} cannot be read ({one_line(error, 100)}). The file is damaged; copy it again") from None
    if not np.isfinite(found).all():
        raise Unfit(f"{name} holds values that are no finite numbers")
    return found


def _within(place: h5py.Group, name: str) -> Any:
    """What lies under a name in the file itself; None where nothing does. Raises: Unfit, where it lies in another file."""
    link = place.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        if isinstance(link, h5py.ExternalLink):
            raise Unfit(f"{name} lies in another file ({link.filename}), which is not opened")
        raise Unfit(f"{name} is a link to another place, which is not followed")
    found = place[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise Unfit(f"{name} lies in another file, which is not opened")
    return found


def _group(place: h5py.Group, name: str) -> h5py.Group:
    found = _within(place, name)
    if not isinstance(found, h5py.Group):
        raise Unfit(f"{name} is no group of weights")
    return found


def _json_attribute(file: h5py.File, name: str) -> Mapping[str, Any] | None:
    if name not in file.attrs:
        return None
    value = file.attrs[name]
    if not isinstance(value, str | bytes):
        raise Unfit(f"its {name} is no text, and nothing else is read")
    try:
        found = json.loads(_text(value))
    except ValueError as error:
        raise Unfit(f"its {name} is no JSON ({error})") from None
    if not isinstance(found, Mapping):
        raise Unfit(f"its {name} describes no network")
    return found


def _own_text(group: h5py.Group, name: str) -> str | None:
    found = _within(group, name)
    if not isinstance(found, h5py.Dataset) or found.dtype != np.uint8:
        return None
    return bytes(found[()]).decode("utf-8", "replace")


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
