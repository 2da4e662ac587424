"""The forms that a whole model is written in, and how each is read again."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from tunesmith.app.task import load_model
from tunesmith.core import registry
from tunesmith.core.errors import ModelError, RunError, UsageError, did_you_mean
from tunesmith.core.events import Event, Stage
from tunesmith.core.files import staged_file, staged_folder
from tunesmith.engine.kernels.quantized import PackedWeight, linear_layers, matrix_of, packed_weight, use_packed
from tunesmith.model.export.folder import kept_in_float32, shortest_dtype, write_folder, write_packed_folder
from tunesmith.model.export.gguf import GGUF_TYPES, check_writable, write_gguf
from tunesmith.model.load import LoadedModel, load
from tunesmith.model.source import Request, resolve
from tunesmith.model.sources._gguf import convert
from tunesmith.recipe import ModelSpec, Recipe

__all__ = ["FORMS", "Written", "check_form", "check_layers", "check_output", "check_source", "read_again", "written"]

_CASTS = {"bf16": torch.bfloat16, "fp16": torch.float16}
_PACKED: dict[str, dict[str, Any]] = {
    "int8": {"load_in_8bit": True},
    **{
        form: {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": form,
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": "float32",
        }
        for form in ("nf4", "fp4")
    },
    "int4": {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32},
            }
        },
    },
}
"""Form -> what config.json says of it, as `write_packed_folder` takes it."""
_GGUF = {f"gguf:{kind}": kind for kind in GGUF_TYPES}
FORMS: Final = (*_PACKED, *_CASTS, *_GGUF)
"""What `--to` takes."""


def check_form(form: str) -> None:
    """Raises: UsageError, for a form that nothing is written in."""
    if form not in FORMS:
        raise UsageError(f"--to {form}: no such form.{did_you_mean(form, FORMS)}")


def check_source(form: str, name: str, spec: ModelSpec, *, has_heads: bool) -> None:
    """Look at a model's files before it is loaded. Raises: ModelError, where it cannot be written in the form."""
    if form not in _GGUF:
        return
    if has_heads:
        raise ModelError(f"{name}: has a head of its own; a GGUF file holds a language model alone. Take another form, such as int8.")
    check_writable(name, resolve(Request(spec.source, spec.revision, spec.trust_remote_code, beside=spec.beside)).folder)


def check_layers(form: str, model: LoadedModel) -> None:
    """Raises: ModelError, where the model has nothing that could be kept in the form, or is no language model for a GGUF file."""
    if form in _GGUF and not model.facts.has_lm_head:
        raise ModelError(f"{model.source.name}: is no language model; a GGUF file holds nothing else here.")
    if form in _PACKED and not _layers(model):
        raise ModelError(f"{model.source.name}: has no linear layer whose weight could be kept in {form}.")


def check_output(output: Path | None, name: str, form: str) -> Path:
    """Where to write. Raises: UsageError, where something is there already, or a name does not end as it has to."""
    stem = Path(name).name.removesuffix(".gguf")
    place = output or Path(f"{stem}-{_GGUF[form]}.gguf" if form in _GGUF else f"{stem}-{form}")
    if place.exists():
        raise UsageError(f"{place}: exists. Name another with --output.")
    if form in _GGUF and place.suffix != ".gguf":
        raise UsageError(f"{place}: expected the name of a file that ends in .gguf.")
    return place


@dataclass(frozen=True, slots=True)
class Written:
    """A model that was written, under a name that it does not keep."""

    path: Path
    """Its folder, or file."""
    packed: Mapping[str, PackedWeight]
    """Path of a layer -> its weight as it stands there; empty for a form that no layer here computes with."""

    @property
    def weights(self) -> list[Path]:
        """The files that hold tensors."""
        return [self.path] if self.path.is_file() else sorted(self.path.glob("*.safetensors"))

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [self.path] if self.path.is_file() else [file for file in self.path.rglob("*") if file.is_file()]


@contextlib.contextmanager
def written(model: LoadedModel, form: str, place: Path, beside: Callable[[Path], None], say: Callable[[Event], None]) -> Iterator[Written]:
    """Write the model; what was written takes its name `place` when the block ends well, and vanishes when it does not.

    Args:
        beside: writes what stands beside the model's own files.
    """
    say(Stage("quantize", form))
    if form in _GGUF:
        with staged_file(place) as file:
            write_gguf(model, file, _GGUF[form])
            yield Written(file, {})
        return
    with staged_folder(place) as staging:
        beside(staging)
        layers = _layers(model)
        packed = {path: packed_weight(matrix_of(layer), form) for path, layer in layers.items()}
        if form in _CASTS:
            write_folder(model, staging, _CASTS[form])
        else:
            gone = {f"{path}.weight" for path in packed}
            plain = [p.detach() for name, p in model.trunk.named_parameters() if name not in gone]
            if form == "int4":  # transformers reads its steps in the dtype of the rest
                parts = {path: weight.as_compressed_tensors() for path, weight in packed.items()}
                dtype = shortest_dtype([*plain, *(part["weight_scale"] for part in parts.values())])
            else:
                dtype = shortest_dtype(plain)
                parts = {path: weight.as_bitsandbytes(dtype) for path, weight in packed.items()}
            write_packed_folder(model, staging, parts, _PACKED[form], dtype)
        yield Written(staging, packed)


def _layers(model: LoadedModel) -> dict[str, torch.nn.Module]:
    """The linear layers that are quantized in a file: those whose makers want float32 are not, as transformers has it too."""
    kept = kept_in_float32(model.trunk)
    return {path: layer for path, layer in linear_layers(model.trunk).items() if not any(part in path for part in kept)}


def read_again(written: Written, recipe: Recipe | None, scratch: Path) -> LoadedModel:
    """The model of the files that were written, read as any other, its layers with the packed weights as they stand there.

    Args:
        recipe: whose model it takes the place of.
        scratch: a folder for what a GGUF file is converted to.
    Raises: RunError, where it has other weights than were written.
    """
    source = str(written.path)
    if written.path.is_file():
        source = str(scratch / "model")
        convert(written.path, Path(source))
    if recipe is None:
        model = load(source)
    else:
        spec = recipe.model.model_copy(update={"source": source, "revision": None})
        asked = recipe.objective
        objective = registry.create("objective", asked.name, **asked.options) if asked else registry.create("objective", "sft")
        model = load_model(recipe.model_copy(update={"model": spec}), objective, lambda event: None)
    for path, weight in written.packed.items():
        if not torch.allclose(
            matrix_of(model.trunk.get_submodule(path)), weight.unpacked(torch.float32), rtol=1e-5, atol=0, equal_nan=True
        ):
            raise RunError(
                f"the model, written and loaded again, has other weights in {path}. This is a bug of tunesmith; please report it."
            )
    use_packed(model.trunk, written.packed)
    return model
