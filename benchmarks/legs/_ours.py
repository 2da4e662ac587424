"""How legs of tunesmith's that learn from answers begin."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.legs import _begun  # noqa: F401
from tunesmith.core.types import ParamGroup
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.in_turn import read_in_turn
from tunesmith.engine.probe import probe
from tunesmith.method.lora import LoRA
from tunesmith.model.load import LoadedModel

__all__ = ["adapted"]


def adapted(model: LoadedModel, start: Path, *, is_rounded: bool = False) -> tuple[PackedForward, LoRA, Sequence[ParamGroup]]:
    """The model with the adapter of `start`, which peft saved, ready to be trained, and what trains.

    Args:
        is_rounded: whether its base is kept in int8; its exact weights are then never in memory all at once.
    """
    with read_in_turn(model.trunk) if is_rounded else contextlib.nullcontext():
        forward = PackedForward(model.trunk, {}, model.facts, probe(model.trunk, model.facts))
    saved = json.loads((start / "adapter_config.json").read_text(encoding="utf-8"))
    method = LoRA(r=saved["r"], lora_alpha=saved["lora_alpha"])
    groups = method.apply(model.trunk)
    method.load(model.trunk, start)
    forward.use_fused_layers()
    if is_rounded:
        forward.use_int8_base()
    return forward, method, groups
