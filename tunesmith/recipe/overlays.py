"""Names in a recipe that stand for several settings at once.

`method: qlora` is LoRA on a base whose weights are kept in nf4.

Source: Dettmers et al. (2023), "QLoRA: Efficient Finetuning of Quantized LLMs", https://arxiv.org/abs/2305.14314.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["METHOD_OVERLAYS", "stand_in", "true_method"]

METHOD_OVERLAYS = {"qlora": "lora"}
"""Name in a recipe -> the method that it is."""


def true_method(name: Any) -> Any:
    """The method that a name in a recipe is."""
    return METHOD_OVERLAYS.get(name, name) if isinstance(name, str) else name


def stand_in(values: dict[str, Any]) -> None:
    """Put what `method: qlora` stands for in its place: lora, and nf4 where no `model.quantization` is set."""
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
