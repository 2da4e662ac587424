"""What an earlier run trained becomes part of the model that the next one begins with."""

from pathlib import Path

from tunesmith.app.vocabulary import add_trained_tokens
from tunesmith.method._peft import attach_adapter, merge_adapter
from tunesmith.method._selected import load_selected
from tunesmith.model.load import LoadedModel

__all__ = ["fold_in"]


def fold_in(model: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the tokens, parameters and adapter that a run saved in `folder`. Raises: RunError, MethodError, where they do not fit."""
    model = add_trained_tokens(model, folder)
    load_selected(model.trunk, folder)
    if (folder / "adapter_config.json").is_file():
        attach_adapter(model.trunk, folder)
        merge_adapter(model.trunk)
    return model
