"""Keys and names in a recipe that stand for several settings at once.

`method: qlora` is LoRA on a base whose weights are kept in nf4. `data.folder` is the option `folder` of every source that has one. Options of `model.architecture` stand beside it.

Source: Dettmers et al. (2023), "QLoRA: Efficient Finetuning of Quantized LLMs", https://arxiv.org/abs/2305.14314.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.core.errors import UsageError
from tunesmith.core.registry import describe, named_by, names

__all__ = ["METHOD_OVERLAYS", "stand_in", "stand_in_architecture", "true_method"]

METHOD_OVERLAYS = {"qlora": "lora"}
"""Name in a recipe -> the method that it is."""


def true_method(name: Any) -> Any:
    """The method that a name in a recipe is."""
    return METHOD_OVERLAYS.get(name, name) if isinstance(name, str) else name


def stand_in(values: dict[str, Any]) -> None:
    """Put what a name or a key stands for in its place."""
    _stand_in_qlora(values)
    _stand_in_folder(values)
    stand_in_architecture(values)


def _stand_in_qlora(values: dict[str, Any]) -> None:
    """`method: qlora`: lora, and nf4 where no `model.quantization` is set."""
    method = values.get("method")
    name = method.get("name") if isinstance(method, Mapping) else method
    if name != "qlora":
        return
    values["method"] = {**method, "name": "lora"} if isinstance(method, Mapping) else "lora"
    model = values.get("model")
    if isinstance(model, str):
        values["model"] = {"source": model, "quantization": "nf4"}
    elif isinstance(model, Mapping) and model.get("quantization") in (None, "none"):
        values["model"] = {**model, "quantization": "nf4"}


def _stand_in_folder(values: dict[str, Any]) -> None:
    """`data.folder`: the folder of every source that has such an option. Where no source has it, it stays, to be refused."""
    data = values.get("data")
    if not isinstance(data, dict) or data.get("folder") is None:
        return
    folder, sources = data["folder"], list(_with_folder(values))
    for source in sources:
        source["folder"] = folder
    if sources:
        data["folder"] = None


def stand_in_architecture(values: dict[str, Any]) -> None:
    """`model: {architecture: NAME, ...}`: the options that stand beside the name are the architecture's, and it is the source."""
    model = values.get("model")
    given = model.get("architecture") if isinstance(model, Mapping) else None
    if not isinstance(model, Mapping) or given is None:
        return
    own = dict(given) if isinstance(given, Mapping) else {"name": given}
    own |= {"name": own["name"].replace("-", "_")} if isinstance(own.get("name"), str) else {}
    known = names("architecture")
    # one of an unknown name is refused where the recipe is checked, and what stands beside it may be an option of the one that was meant
    options = {
        option.name for name in ([own["name"]] if own.get("name") in known else known) for option in describe("architecture", name).options
    }
    beside = {key: value for key, value in model.items() if key in options}
    is_ours = str(model.get("source") or "new:").startswith("new:")  # none, or of the architecture that was named before
    rest = {key: value for key, value in model.items() if key not in options and not (is_ours and key == "source")}
    values["model"] = {"source": f"new:{own.get('name')}", **rest, "architecture": {**own, **beside}}


def _with_folder(value: Any) -> Iterator[dict[str, Any]]:
    """Every source in `value` that has a folder among its options."""
    if isinstance(value, dict) and _has_folder(value):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _with_folder(item)


def _has_folder(source: Mapping[str, Any]) -> bool:
    try:
        options = describe("data_source", named_by("data_source", source)).options
    except UsageError:
        return False
    return any(option.name == "folder" for option in options)
