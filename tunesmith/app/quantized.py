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
from tunesmith.core.files import staged_folder
from tunesmith.engine.kernels.quantized import PackedWeight, linear_layers, matrix_of, packed_weight, use_packed
from tunesmith.model.export.folder import kept_in_float32, shortest_dtype, write_folder, write_packed_folder
from tunesmith.model.load import LoadedModel, load
from tunesmith.recipe import Recipe

__all__ = ["FORMS", "Written", "check_form", "check_output", "read_again", "written"]

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
}
FORMS: Final = (*_PACKED, *_CASTS)
"""What `--to` takes."""


def check_form(form: str, model: LoadedModel | None = None, *, has_heads: bool = False) -> None:
    """Raises: UsageError, for a form that nothing is written in; ModelError, where the model cannot be written so."""
    if form == "int4":
        raise UsageError("--to int4: no folder is written in int4. Set model.quantization: int4 in a recipe, or take nf4 or gguf:q4_0.")
    if form not in FORMS:
        raise UsageError(f"--to {form}: no such form.{did_you_mean(form, FORMS)}")
    if model is not None and form in _PACKED and not _layers(model):
        raise ModelError(f"{model.source.name}: has no linear layer whose weight could be kept in {form}.")


def check_output(output: Path | None, name: str, form: str) -> Path:
    """Where to write. Raises: UsageError, where something is there already."""
    place = output or Path(f"{Path(name).name.removesuffix('.gguf')}-{form}")
    if place.exists():
        raise UsageError(f"{place}: exists. Name another with --output.")
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
    with staged_folder(place) as staging:
        beside(staging)
        layers = _layers(model)
        packed = {path: packed_weight(matrix_of(layer), form) for path, layer in layers.items()}
        if form in _CASTS:
            write_folder(model, staging, _CASTS[form])
        else:
            gone = {f"{path}.weight" for path in packed}
            dtype = shortest_dtype({name: p.detach() for name, p in model.trunk.named_parameters() if name not in gone})
            parts = {path: weight.as_bitsandbytes(dtype) for path, weight in packed.items()}
            write_packed_folder(model, staging, parts, _PACKED[form], dtype)
        yield Written(staging, packed)


def _layers(model: LoadedModel) -> dict[str, torch.nn.Module]:
    """The linear layers that are quantized in a file: those whose makers want float32 are not, as transformers has it too."""
    kept = kept_in_float32(model.trunk)
    return {path: layer for path, layer in linear_layers(model.trunk).items() if not any(part in path for part in kept)}


def read_again(written: Written, recipe: Recipe | None) -> LoadedModel:
    """The model of the files that were written, read as any other, its layers with the packed weights as they stand there.

    Args:
        recipe: whose model it takes the place of.
    Raises: RunError, where it has other weights than were written.
    """
    if recipe is None:
        model = load(str(written.path))
    else:
        spec = recipe.model.model_copy(update={"source": str(written.path), "revision": None})
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
