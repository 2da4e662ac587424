"""The project's own networks, as transformers' models: each file of the folder makes transformers know its classes when it is imported."""

import importlib
import pkgutil

__all__ = ["register"]


def register() -> None:
    """Let transformers' Auto classes know every network of this folder."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
