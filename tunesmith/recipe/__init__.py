"""The YAML file that a person writes, checked and resolved, and back."""

from tunesmith.recipe.loading import dump, from_mapping, load, parse, shipped_recipes
from tunesmith.recipe.models import (
    Chunk,
    DataSpec,
    DomainSpec,
    EngineSpec,
    EvaluateSpec,
    Limit,
    MixBy,
    MixEntry,
    ModelSpec,
    Recipe,
    Split,
    TrainSpec,
)
from tunesmith.recipe.plugins import PluginSpec

__all__ = [
    "Chunk",
    "DataSpec",
    "DomainSpec",
    "EngineSpec",
    "EvaluateSpec",
    "Limit",
    "MixBy",
    "MixEntry",
    "ModelSpec",
    "PluginSpec",
    "Recipe",
    "Split",
    "TrainSpec",
    "dump",
    "from_mapping",
    "load",
    "parse",
    "shipped_recipes",
]
