"""Every way to train: each method as it is, and with options that make another of it."""

from typing import Any

from tunesmith.core import registry

__all__ = ["WAYS"]

WAYS: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in registry.names("method") if name != "direct"},  # which takes no steps: tests/app/test_direct.py
    "gradual": {"name": "full", "layer_decay": 0.4, "unfreeze_every": 0.25},
    "rslora": {"name": "lora", "use_rslora": True, "lora_alpha": 8.0},  # alpha / sqrt(r) is as large as alpha / r of lora itself
    "dora": {"name": "lora", "use_dora": True},
    "qlora": {"name": "qlora"},
    "houlsby": {"name": "adapter", "placement": "houlsby"},
    "parallel": {"name": "adapter", "placement": "parallel"},
    "projected": {"name": "prefix", "prefix_projection": True},
    "lstm": {"name": "p_tuning", "encoder_reparameterization_type": "LSTM"},
}
"""Way -> `method` of a recipe."""
