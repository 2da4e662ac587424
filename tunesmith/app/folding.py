"""What an earlier run trained becomes part of the model that the next one begins with."""

from pathlib import Path

from tunesmith.app.vocabulary import add_trained_tokens
from tunesmith.method._peft import attach_adapter, merge_adapter
from tunesmith.method._selected import load_selected
from tunesmith.model._folder import weights_sha256
from tunesmith.model.load import LoadedModel

__all__ = ["fold_in", "with_adapters"]


def with_adapters(model: LoadedModel) -> LoadedModel:
    """The model as its source describes it, the adapters folded in; its trunk knows then what it is, for what is trained on it.

    Raises: RunError, MethodError, where an adapter does not fit, or was trained on another base.
    """
    adapters = model.source.adapters
    for number, folder in enumerate(adapters):
        _tell_base(model, adapters[:number])
        model = fold_in(model, folder)
    _tell_base(model, adapters)
    return model


def fold_in(model: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the tokens, parameters and adapter that a run saved in `folder`. Raises: RunError, MethodError, where they do not fit."""
    model = add_trained_tokens(model, folder)
    load_selected(model.trunk, folder)
    if (folder / "adapter_config.json").is_file():
        attach_adapter(model.trunk, folder)
        merge_adapter(model.trunk)
    return model


def _tell_base(model: LoadedModel, adapters: tuple[Path, ...]) -> None:
    model.trunk.base_sha256 = weights_sha256(model.source.folder, adapters)  # type: ignore[assignment]
