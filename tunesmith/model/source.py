"""Where a model comes from: what every file in `sources/` answers. Nothing here imports torch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from tunesmith.core import registry
from tunesmith.core.errors import ModelError, did_you_mean

__all__ = [
    "BESIDE",
    "Alias",
    "ModelSource",
    "Need",
    "Request",
    "SourceInfo",
    "alias_names",
    "aliases",
    "drawn",
    "require_hub_id",
    "resolve",
]

Need = Literal["lm", "mlm", "encoder", "any"]
"""What a model is loaded for: to predict tokens, to fill in masked ones, to give hidden states, or the first of predicting and hidden states that it can."""

BESIDE = ("labels", "words", "padding_side")
"""Keys of a recipe's model that say what its file does not."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A model's files on this machine, and what is known of where they are from."""

    name: str
    """As the recipe names it."""
    kind: str
    """The file in `sources/` that knew it."""
    folder: Path
    """config.json, safetensors and tokenizer files, as transformers reads them."""
    sha256: str | None = None
    """Of the package that was fetched, or of the folder's weights, config and tokenizer together."""
    licence: str | None = None
    revision: str | None = None
    origin: str = ""
    """Where it was fetched from, for people."""
    adapters: tuple[Path, ...] = ()
    """Folders in peft's format, to be put on the model and folded in, in this order."""
    heads: Path | None = None
    """heads.safetensors of an earlier run, or beside the model that it was merged into; heads.json lies beside it."""
    trust_remote_code: bool = False
    """Whether the folder's own Python code is to be run."""
    notes: tuple[str, ...] = ()
    adapters_of: str | None = None
    """The form that the base's weights had while the adapters trained on it; None: its own numbers."""
    drawn_by: int | None = None
    """The seed that draws random weights in place of the folder's; None: the folder's are loaded."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a recipe says of its model."""

    source: str
    revision: str | None = None
    trust_remote_code: bool = False
    progress: Progress | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What a recipe says of a file that does not say it itself: `BESIDE`."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A short name that a source offers."""

    name: str
    summary: str
    origin: str
    licence: str
    download_bytes: int
    cached: bool


class ModelSource(Protocol):
    """The one public class of a file in `sources/`."""

    rank: ClassVar[int]
    """Sources are asked in this order whether they know a name."""

    def knows(self, source: str) -> bool:
        """Whether `source` is this source's to resolve. Quick: looks at the name and the disk, never at the network."""

    def resolve(self, request: Request) -> SourceInfo:
        """Bring the model's files to this machine.

        Raises: ModelError, where there is no such model or it cannot be used; FetchError, where it cannot be fetched.
        """

    def aliases(self) -> list[Alias]:
        """The short names that it offers."""


def _sources() -> list[tuple[str, ModelSource]]:
    made = [(name, registry.create("model_source", name)) for name in registry.names("model_source")]
    return sorted(made, key=lambda pair: (pair[1].rank, pair[0]))


def resolve(request: Request) -> SourceInfo:
    """Find the source that knows the model, and let it bring the files. Raises: ModelError, FetchError."""
    for _, source in _sources():
        if source.knows(request.source):
            return source.resolve(request)
    raise ModelError(
        f"model.source: {request.source!r} is no alias, no folder, no run and no hub id. `tunesmith models list` shows what there is."
    )


def drawn(info: SourceInfo, seed: int) -> SourceInfo:
    """The same architecture and tokenizer with random weights. Raises: ModelError, where the source is something trained on a model."""
    if info.adapters or info.kind in ("run", "keras"):
        raise ModelError(f"model.weights: random would leave nothing of {info.name}, which was trained. Name the model that it began with.")
    return replace(info, drawn_by=seed, heads=None, notes=(*info.notes, f"weights drawn at random by seed {seed}"))


def require_hub_id(source: str) -> None:
    """Raises: ModelError, where what is no folder can be no model of the hub either."""
    if Path(source).expanduser().exists():
        raise ModelError(
            f"model.source: {source}: is a file; a model is a folder with config.json, model.safetensors and tokenizer.json, or a .gguf file."
        )
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source) or source.startswith((".", "/")):
        raise ModelError(f"model.source: {source}: no such folder, and no hub id (OWNER/NAME) either.{did_you_mean(source, alias_names())}")


def aliases() -> list[Alias]:
    """Every short name that a model may be called by."""
    return [alias for _, source in _sources() for alias in source.aliases()]


def alias_names() -> list[str]:
    """The short names alone."""
    return [alias.name for alias in aliases()]
