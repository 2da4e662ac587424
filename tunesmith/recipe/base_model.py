"""What a recipe says of the model to start from."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tunesmith.core.addresses import is_endpoint
from tunesmith.recipe.endpoints import checked_model
from tunesmith.recipe.messages import AT_KEY, shown
from tunesmith.recipe.plugins import PluginSpec, plugin
from tunesmith.recipe.section import Name, Positive, Section
from tunesmith.recipe.vocabulary import VocabularySpec

__all__ = ["ModelSpec"]


_OF_WEIGHTS = ("revision", "trust_remote_code", "weights", "attention", "quantization", "add_tokens")
_OF_TRAINED = ("revision", "trust_remote_code", "weights", "quantization", "add_tokens")
_OF_KERAS = ("labels", "words", "padding_side")
_KERAS = (".h5", ".hdf5", ".keras")
_OF_ENDPOINTS = ("price_per_million_input", "price_per_million_output", "requests_per_minute")


def _no_quantization(value: Any) -> Any:
    return None if value == "none" else value


class ModelSpec(Section):
    """The model to start from. A plain text is the source."""

    shorthand: ClassVar[str | None] = "source"

    source: str = Field(min_length=1)
    """An alias (`tunesmith models list`), a hub id, a folder, `run:ID`, or `openai:NAME@URL`, a model behind an endpoint (docs/endpoints.md)."""
    architecture: Annotated[PluginSpec, plugin("architecture")] | None = None
    """In place of a source, a network that is made anew for the training rows: its name, with its options beside it."""
    vocabulary: VocabularySpec = VocabularySpec()
    """Tokens of a network that is made anew and reads texts; any other has its own."""
    labels: list[Name] | None = None
    """Of a Keras file, which does not name its classes: their names, in the order of its outputs; none: those that tunesmith wrote into it, else 0, 1, ..."""
    words: str | None = None
    """Of a Keras file that reads words by their numbers: the file that lists them, as its tokenizer had them (docs/transfer.md)."""
    padding_side: Literal["left", "right"] | None = None
    """Of a Keras file that reads texts of one length: where shorter ones are filled up; none: as the tokenizer of `words` usually does it."""
    revision: str | None = None
    """The hub's commit, tag or branch."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Needs `revision`, so that the code stays what you read."""
    max_length: Annotated[int, Field(ge=2)] | None = None
    """The most tokens of an example; none: as many as the model takes (of one behind an endpoint that is not known, and nothing is shortened)."""
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

    price_per_million_input: Annotated[float, Field(ge=0)] | None = None
    """US dollars for a million tokens that a model behind an endpoint reads; none: not known."""
    price_per_million_output: Annotated[float, Field(ge=0)] | None = None
    """US dollars for a million tokens that a model behind an endpoint writes; none: not known."""
    requests_per_minute: Positive | None = None
    """The most that an endpoint is sent; none: as fast as it answers, four at a time."""

    @property
    def beside(self) -> dict[str, Any]:
        """What it says of a file that does not say it itself."""
        return {key: value for key in _OF_KERAS if (value := getattr(self, key)) is not None}

    @property
    def is_endpoint(self) -> bool:
        """Whether it is behind an endpoint, so that nothing of it can be trained or looked into."""
        return is_endpoint(self.source)

    @property
    def is_priced(self) -> bool:
        """Whether what it answers has a known price."""
        return self.price_per_million_input is not None and self.price_per_million_output is not None

    @field_validator("source")
    @classmethod
    def _has_an_address(cls, value: str) -> str:
        return checked_model(value)

    @model_validator(mode="after")
    def _is_made_or_brought(self) -> Self:
        if self.architecture is None:
            if self.vocabulary != VocabularySpec():
                text = f"is for a model that is made anew, model.architecture, and {shown(self.source)} has its own. Leave it out."
                raise PydanticCustomError(AT_KEY, "{text}", {"key": "vocabulary", "text": text})
            return self
        if self.source != f"new:{self.architecture.name}":
            raise PydanticCustomError(
                AT_KEY,
                "{text}",
                {"key": "architecture", "text": f"stands beside model.source ({shown(self.source)}). Leave one of them out."},
            )
        key = next((key for key in _OF_TRAINED if getattr(self, key) != type(self).model_fields[key].default), None)
        if key is not None:
            text = "is for a model that was trained before, and model.architecture makes a new one. Leave it out."
            raise PydanticCustomError(AT_KEY, "{text}", {"key": key, "text": text})
        return self

    @model_validator(mode="after")
    def _says_of_a_file(self) -> Self:
        if self.beside and not self.source.lower().endswith(_KERAS) and not self.source.startswith("stage:"):
            key = next(iter(self.beside))
            text = f"is for a file of Keras (.h5), and this is {shown(self.source)}. Leave it out."
            raise PydanticCustomError(AT_KEY, "{text}", {"key": key, "text": text})
        return self

    @model_validator(mode="after")
    def _is_here_or_there(self) -> Self:
        strange, where = (_OF_WEIGHTS, "on this machine") if self.is_endpoint else (_OF_ENDPOINTS, "behind an endpoint, openai:NAME@URL")
        key = next((key for key in strange if getattr(self, key) != type(self).model_fields[key].default), None)
        if key is not None:
            raise PydanticCustomError(
                AT_KEY, "{text}", {"key": key, "text": f"is for a model {where}, and this is {shown(self.source)}. Leave it out."}
            )
        if (self.price_per_million_input is None) != (self.price_per_million_output is None):
            key = _OF_ENDPOINTS[self.price_per_million_output is None]
            raise PydanticCustomError(
                AT_KEY, "{text}", {"key": key, "text": "missing: what is read and what is written are both paid. 0 is a price."}
            )
        return self

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

    @field_validator("add_tokens", "labels")
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
