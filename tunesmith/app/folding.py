"""What an earlier run trained becomes part of the model that the next one begins with."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from tunesmith.app.vocabulary import add_trained_tokens
from tunesmith.core.errors import MethodError
from tunesmith.core.files import hash_of
from tunesmith.method._peft import attach_adapter, merge_adapter
from tunesmith.method._selected import load_selected
from tunesmith.method._virtual import unfoldable
from tunesmith.model._folder import weights_sha256
from tunesmith.model.load import LoadedModel
from tunesmith.model.source import SourceInfo

__all__ = ["base_sha256", "before_last", "fold_in", "with_adapters"]


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


def before_last(source: SourceInfo, load: Callable[[SourceInfo], LoadedModel]) -> Callable[[Sequence[str]], dict[str, Tensor]]:
    """What gives parameters, by name, as they were before the source's last adapter was folded in: the model is loaded once more for them.

    Args:
        load: the model of a source, without its adapters. Random weights are drawn by the source's own seed.
    """
    kept: dict[str, Tensor] = {}

    def parameters(names: Sequence[str]) -> dict[str, Tensor]:
        if not kept.keys() >= set(names):
            earlier = with_adapters(load(replace(source, adapters=source.adapters[:-1]))).trunk
            own = dict(earlier.named_parameters(remove_duplicate=False))  # what was tied may be two by now
            kept.update({name: own[name].detach() for name in names if name in own})
        return {name: kept[name] for name in names if name in kept}

    return parameters


def fold_in(model: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the tokens, parameters and adapter that a run saved in `folder`. Raises: RunError, MethodError, where they do not fit."""
    _refuse_unfoldable(folder)
    model = add_trained_tokens(model, folder)
    load_selected(model.trunk, folder)
    if (folder / "adapter_config.json").is_file():
        attach_adapter(model.trunk, folder)
        merge_adapter(model.trunk)
    return model


def base_sha256(source: SourceInfo, adapters: Sequence[Path]) -> str:
    """Hash of a model's weights with these adapters folded in; of random ones, of what they are drawn by."""
    sha = weights_sha256(source.folder, adapters)
    return sha if source.drawn_by is None else hash_of(sha, source.drawn_by)


def _refuse_unfoldable(folder: Path) -> None:
    """Raises: MethodError, where what was trained is no change of the model's weights."""
    kind = unfoldable(folder)
    if kind:
        raise MethodError(
            f"{folder}: holds {kind}, which no weight of a model can take up: nothing can be trained on top, or merged. Start from the base, or tune with lora."
        )


def _tell_base(model: LoadedModel, adapters: tuple[Path, ...]) -> None:
    model.trunk.base_sha256 = base_sha256(model.source, adapters)  # type: ignore[assignment]
    model.trunk.folded_adapters = tuple(adapters)  # type: ignore[assignment]
    model.trunk.token_ids_of = _reader(model.tokenizer)  # type: ignore[assignment]


def _reader(tokenizer: Any) -> Callable[[str], list[int]]:
    """What gives the tokens of a text. A function, which copies of the trunk share with it."""

    def ids_of(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[no-any-return]

    return ids_of
