"""The YAML file that a person writes, checked and resolved, and back."""

from tunesmith.recipe.chain import PREFIX, Chain, is_chain, load_chain, named_stages, require_no_stages
from tunesmith.recipe.loading import dump, from_mapping, load, parse, read_mapping, shipped_chains, shipped_recipes
from tunesmith.recipe.measured import RetentionSpec
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
from tunesmith.recipe.sources import Source, source_name

__all__ = [
    "PREFIX",
    "Chain",
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
    "RetentionSpec",
    "Source",
    "Split",
    "TrainSpec",
    "dump",
    "from_mapping",
    "is_chain",
    "load",
    "load_chain",
    "named_stages",
    "parse",
    "read_mapping",
    "require_no_stages",
    "shipped_chains",
    "shipped_recipes",
    "source_name",
]
