"""Recipes for tiny models, shared by the tests that run them."""

import os
import signal
from pathlib import Path
from typing import Any

from tunesmith.core.events import Event, Stepped
from tunesmith.recipe import Recipe, from_mapping

__all__ = ["classifier", "stop_at", "writer"]


def classifier(model: Path, data: Path, out: Path, **changes: Any) -> Recipe:
    recipe: dict[str, Any] = {
        "model": str(model),
        "data": {"train": str(data), "columns": {"text": "review", "label": "sentiment"}},
        "method": {"name": "lora", "r": 4},
        "train": {"epochs": 6, "learning_rate": 1e-2, "examples_per_step": 8},
        "output_dir": str(out),
    }
    return _made(recipe, changes)


def writer(model: Path, data: Path, out: Path, **changes: Any) -> Recipe:
    recipe: dict[str, Any] = {
        "model": str(model),
        "data": str(data),
        "method": "full",  # the head of a random model is too small to say anything while it is frozen
        "train": {"epochs": 6, "learning_rate": 1e-2, "examples_per_step": 8},
        "evaluate": {"max_new_tokens": 4, "prompts": ["the cat is good"]},
        "output_dir": str(out),
    }
    return _made(recipe, changes)


def _made(recipe: dict[str, Any], changes: dict[str, Any]) -> Recipe:
    """Nothing is asked beside the task, unless the changes say so."""
    made = {**recipe, **changes}
    return from_mapping({**made, "evaluate": {"retention": "none", **made.get("evaluate", {})}}, name="tiny")


def stop_at(step: int) -> Any:
    def listener(event: Event) -> None:
        if isinstance(event, Stepped) and event.step.index == step:
            os.kill(os.getpid(), signal.SIGINT)

    return listener
