"""Where a model is computed, in which numbers, and on which paths."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tunesmith.app.machine import choose_precision
from tunesmith.core.errors import MethodError
from tunesmith.core.types import Method
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.probe import probe
from tunesmith.model.load import LoadedModel, store_weights
from tunesmith.recipe import Recipe

__all__ = ["check_precision", "leaves_frozen", "place", "placed"]


def check_precision(recipe: Recipe, method: Method, device: torch.device) -> None:
    """Raises: MethodError, where the base cannot be kept in the numbers that the method asks for."""
    if method.base_precision == "exact":
        return
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


def leaves_frozen(method: Method, trunk: nn.Module) -> bool:
    """Whether none of the trunk's own weights would train.

    The method is applied to a copy without weights: what does not fit the model is said before the model is asked anything.
    """
    without_weights: dict[int, Any] = {id(p): nn.Parameter(torch.empty_like(p, device="meta")) for p in trunk.parameters()}
    without_weights |= {id(buffer): torch.empty_like(buffer, device="meta") for buffer in trunk.buffers()}
    method.apply(copy.deepcopy(trunk, without_weights))
    return not any(isinstance(p, nn.Parameter) and p.requires_grad for p in without_weights.values())


def place(model: LoadedModel, recipe: Recipe, device: torch.device, *, is_frozen: bool) -> tuple[Paths, torch.dtype | None]:
    """Bring a model to the device in the recipe's precision: stored in bf16 where nothing of its own trains, else in float32.

    Returns: how it can be run, tried before, in float32, which tells a capped logit from a rounded one, and there; and the dtype that
    autocast is to compute in, None where it computes in what the weights are stored in.
    """
    paths, precision = _paths(recipe, model), choose_precision(recipe.engine.precision, device)
    if precision is not None and is_frozen:
        store_weights(model.trunk, precision)
    model.trunk.to(device)
    if precision is not None or device.type != "cpu":
        there = _paths(recipe, model)
        if there.attention == "padded":
            paths = replace(paths, attention=there.attention, attention_reason=there.attention_reason)
    return paths, None if is_frozen else precision


def placed(model: LoadedModel, recipe: Recipe, device: torch.device, *, is_frozen: bool) -> PackedForward:
    """The model, brought to the device as `place` does, as it is asked: without heads, our layers in place of its own where that is exact."""
    paths, autocast = place(model, recipe, device, is_frozen=is_frozen)
    forward = PackedForward(model.trunk, {}, model.facts, paths, autocast)
    if not recipe.engine.exact_reference:
        forward.use_fused_layers()
    return forward


def _paths(recipe: Recipe, model: LoadedModel) -> Paths:
    """How the recipe's model is run: as the probe finds, or the plain way. Raises: ModelError, where the recipe asks for what is not exact."""
    if recipe.engine.exact_reference:
        why = "asked for by engine.exact_reference"
        return Paths("padded", why, "model" if model.facts.has_lm_head else "none", why)
    return probe(model.trunk, model.facts, recipe.model.attention)
