"""What a recipe says of the model to start from."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from tunesmith.recipe.messages import shown
from tunesmith.recipe.section import Section

__all__ = ["ModelSpec"]


def _no_quantization(value: Any) -> Any:
    return None if value == "none" else value


class ModelSpec(Section):
    """The model to start from. A plain text is the source."""

    shorthand: ClassVar[str | None] = "source"

    source: str = Field(min_length=1)
    """An alias (`tunesmith models list`), a hub id, a folder, or `run:ID`."""
    revision: str | None = None
    """The hub's commit, tag or branch."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Needs `revision`, so that the code stays what you read."""
    max_length: Annotated[int, Field(ge=2)] | None = None
    """The most tokens of an example; none: as many as the model takes."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """random: the same architecture and tokenizer, with weights as transformers first draws them, by the recipe's seed: what did pretraining give?"""
    attention: Literal["auto", "packed", "padded"] = "auto"
    """How sequences share a batch; auto: packed where a probe finds it exact for this model."""

    quantization: Annotated[Literal["int8", "int4", "nf4", "fp4", "bf16", "fp16"] | None, BeforeValidator(_no_quantization)] = None
    """Keep the weights of the linear layers in fewer bits, frozen, and make them anew for each product; none: in the model's own numbers
    (docs/quantization.md)."""
    add_tokens: Annotated[int, Field(ge=1)] | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    """Give words a token of their own: so many of the training texts, those that save most tokens, or those listed. Their rows train with lora, full and
    new_tokens (docs/new-language.md)."""

    @field_validator("weights")
    @classmethod
    def _of_its_own(cls, value: str, info: Any) -> str:
        source = info.data.get("source", "")
        if value == "random" and source.startswith("run:"):
            raise ValueError(f"random would leave nothing of {source}, which was trained. Name the model that it began with.")
        return value

    @field_validator("quantization")
    @classmethod
    def _worth_keeping(cls, value: str | None, info: Any) -> str | None:
        if value is not None and info.data.get("weights") == "random":
            raise ValueError(
                f"{value} keeps weights frozen in fewer bits, and model.weights: random has none that are worth it. Leave one of them out."
            )
        return value

    @field_validator("add_tokens")
    @classmethod
    def _once(cls, value: int | list[str] | None) -> int | list[str] | None:
        twice = next((text for text in value if value.count(text) > 1), None) if isinstance(value, list) else None
        if twice is not None:
            raise ValueError(f"{shown(twice)} is listed twice. Leave one out.")
        return value

    @field_validator("trust_remote_code")
    @classmethod
    def _pinned(cls, value: bool, info: Any) -> bool:
        if value and info.data.get("revision") is None:
            raise ValueError("needs model.revision, a commit that you have read: code that comes with a model runs on this machine.")
        return value
