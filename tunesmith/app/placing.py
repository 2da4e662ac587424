"""Where a model is computed, in which numbers, and on which paths."""

import contextlib
import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunesmith.app.machine import choose_precision
from tunesmith.core.errors import MethodError, ModelError
from tunesmith.core.types import Method, ParamGroup
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.in_turn import read_in_turn
from tunesmith.engine.kernels.quantized import compute_in, linear_layers, quantize_weights
from tunesmith.engine.probe import probe
from tunesmith.method._peft import saved_whole
from tunesmith.model.load import LoadedModel, store_weights
from tunesmith.recipe import Recipe

if TYPE_CHECKING:
    from tunesmith.app.task import Task

__all__ = [
    "changes_nothing",
    "check_precision",
    "leaves_frozen",
    "place",
    "place_once",
    "placed",
    "precision_reason",
    "require_training",
    "trained_in_place",
    "tried",
]


def check_precision(recipe: Recipe, method: Method, device: torch.device) -> None:
    """Raises: MethodError, where the base cannot be kept in the numbers that the method asks for."""
    if method.base_precision == "exact":
        return
    if recipe.model.quantization:
        raise MethodError(
            f"method.base_precision: {method.base_precision} rounds weights that model.quantization keeps in {recipe.model.quantization}. Drop one of them."
        )
    if device.type != "cpu":
        raise MethodError(f"method.base_precision: {method.base_precision} runs on the CPU only, found {device.type}. Use exact.")
    if choose_precision(recipe.engine.precision, device) is not None:
        raise MethodError(
            f"method.base_precision: {method.base_precision} goes with engine.precision: fp32, found {recipe.engine.precision}."
        )
    if recipe.engine.exact_reference:
        raise MethodError(
            f"method.base_precision: {method.base_precision} is not exact, as engine.exact_reference asks for. Drop one of them."
        )


def leaves_frozen(method: Method, trunk: nn.Module, recipe: Recipe) -> bool:
    """Whether none of the trunk's own weights would train. Raises: MethodError, where one would that is to be quantized, itself or as a copy."""
    copied, own = _without_weights(trunk)
    method.apply(copied)
    trained = _trained(own)
    form = recipe.model.quantization
    layers = linear_layers(trunk) if form else {}
    if any(id(layer.weight) in trained for layer in layers.values()):
        raise MethodError(
            f"method: {recipe.method.name} trains the weights that model.quantization keeps in {form}. Use lora, or leave model.quantization out."
        )
    whole = next((path for path in layers for saved in saved_whole(copied) if f"{path}.".startswith(f"{saved}.")), None)
    if whole is not None:
        raise MethodError(
            f"method.modules_to_save: trains {whole} whole, which model.quantization keeps in {form}. "
            "Name it in method.target_modules, or leave model.quantization out."
        )
    return not trained


def trained_in_place(method: Method, trunk: nn.Module) -> set[int]:
    """The ids of the trunk's own tensors that the method would train.

    It is applied to a copy without weights: what does not fit the model is said before the model is asked anything.
    """
    copied, own = _without_weights(trunk)
    method.apply(copied)
    return _trained(own)


def _trained(own: Mapping[int, Any]) -> set[int]:
    return {number for number, p in own.items() if isinstance(p, nn.Parameter) and p.requires_grad}


def changes_nothing(method: Method, trunk: nn.Module) -> bool:
    """Whether the method leaves the trunk as it is, so that what trains is a head alone."""
    return not tried(method, trunk)[1]


def require_training(task: "Task") -> None:
    """Raises: MethodError, where the task takes steps and nothing would train: neither of the trunk nor a head."""
    if task.takes_steps and not task.objective.heads(task.encoder) and changes_nothing(task.method, task.model.trunk):
        raise MethodError(
            f"method: {task.recipe.method.name} trains only a new head, and the objective {task.objective_name} has none. Use lora or full."
        )


def tried(method: Method, trunk: nn.Module) -> tuple[nn.Module, list[ParamGroup]]:
    """What the method makes of a trunk, on a copy without weights, and what would train there."""
    copied, _ = _without_weights(trunk)
    return copied, method.apply(copied)


def _without_weights(trunk: nn.Module) -> tuple[nn.Module, dict[int, Any]]:
    """A copy whose tensors hold nothing, and these by the ids of the trunk's own."""
    own: dict[int, Any] = {id(p): nn.Parameter(torch.empty_like(p, device="meta")) for p in trunk.parameters()}
    own |= {id(buffer): torch.empty_like(buffer, device="meta") for buffer in trunk.buffers()}
    return copy.deepcopy(trunk, dict(own)), own  # the copying adds what it meets


def _quantize(model: LoadedModel, form: str) -> None:
    """Keep the linear layers' weights in a form. Raises: ModelError, where there is no such layer."""
    if not quantize_weights(model.trunk, form):
        raise ModelError(f"model.quantization: {model.facts.name} has no linear layer whose weight could be kept in {form}. Leave it out.")


def place(model: LoadedModel, recipe: Recipe, device: torch.device, *, is_frozen: bool) -> tuple[Paths, torch.dtype | None]:
    """Bring a model to the device in the recipe's precision, its linear layers quantized where the recipe says so: else stored in bf16 where nothing of its own trains, else in float32.

    Returns: how it can be run, and the dtype that autocast is to compute in, None where it computes in what the weights are stored in.
    """
    precision = choose_precision(recipe.engine.precision, device, reads_numbers=bool(model.facts.num_columns))
    (paths,) = place_once(model, [recipe], device, precision if is_frozen else None)
    return paths, None if is_frozen else precision


def precision_reason(model: LoadedModel, recipe: Recipe, device: torch.device) -> str | None:
    """Why a model is computed in other numbers than the recipe's; None where it is not."""
    if choose_precision(recipe.engine.precision, device) is None or not model.facts.num_columns:
        return None
    return "it reads rows of numbers, which bfloat16 would round"


def place_once(model: LoadedModel, recipes: Sequence[Recipe], device: torch.device, stored_in: torch.dtype | None) -> list[Paths]:
    """Bring a model to the device for runs that keep it in the same numbers.

    Args:
        recipes: theirs, of one `model.quantization`.
        stored_in: what weights that are not quantized are to be in; None: as they are.
    Returns: for each recipe how the model can be run: tried before, in float32, which tells a capped logit from a rounded one, and there.
    """
    form = recipes[0].model.quantization
    if form:
        _quantize(model, form)
    tried = _paths(recipes, model)
    if stored_in is not None:
        store_weights(model.trunk, stored_in)
        compute_in(model.trunk, stored_in)
    model.trunk.to(device)
    if stored_in is None and device.type == "cpu":
        return tried
    return [
        replace(paths, attention=there.attention, attention_reason=there.attention_reason) if there.attention == "padded" else paths
        for paths, there in zip(tried, _paths(recipes, model), strict=True)
    ]


def placed(model: LoadedModel, recipe: Recipe, device: torch.device, *, is_frozen: bool) -> PackedForward:
    """The model, brought to the device as `place` does, as it is asked: without heads, our layers in place of its own where that is exact."""
    paths, autocast = place(model, recipe, device, is_frozen=is_frozen)
    forward = PackedForward(model.trunk, {}, model.facts, paths, autocast)
    if not recipe.engine.exact_reference:
        forward.use_fused_layers()
    return forward


def _paths(recipes: Sequence[Recipe], model: LoadedModel) -> list[Paths]:
    """How each recipe's model is run: as the probe finds, or the plain way. Raises: ModelError, where a recipe asks for what is not exact."""
    ways = [None if recipe.engine.exact_reference else recipe.model.attention for recipe in recipes]
    why = "asked for by engine.exact_reference"
    found: dict[Any, Paths] = {None: Paths("padded", why, "model" if model.facts.has_lm_head else "none", why)}
    is_rounded = all(recipe.method.options.get("base_precision") == "int8" for recipe in recipes)
    with read_in_turn(model.trunk) if is_rounded else contextlib.nullcontext():
        for way in dict.fromkeys(ways):
            if way is not None:
                found[way] = probe(model.trunk, model.facts, way)
    return [found[way] for way in ways]
