"""What the recurrent architectures have in common."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from transformers import AutoTokenizer

from tunesmith.core.errors import ModelError
from tunesmith.core.types import Example

__all__ = ["Attending", "Stacked", "check_sizes", "special_tokens", "write_config"]

_SIZES = ("embedding_size", "hidden_size", "num_layers")


def special_tokens(folder: Path) -> dict[str, Any]:
    """What a config says of the tokenizer in a folder."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    return {"vocab_size": len(tokenizer), **ids}


def check_sizes(options: Any, shares: tuple[str, ...]) -> None:
    """Raises: ModelError, where one of the sizes that all have is no number of at least 1, or one of the shares none from 0 to below 1."""
    for name in _SIZES:
        if getattr(options, name) < 1:
            raise ModelError(f"model.{name}: expected at least 1, found {getattr(options, name)}.")
    for name in shares:
        if not 0 <= getattr(options, name) < 1:
            raise ModelError(f"model.{name}: expected a share from 0 to below 1, found {getattr(options, name):g}.")


def write_config(folder: Path, **settings: Any) -> None:
    """Write a network's settings beside the tokenizer that lies in the folder."""
    from tunesmith.model.networks.recurrent import RecurrentConfig

    RecurrentConfig(**settings, **special_tokens(folder)).save_pretrained(folder)


class _OfCells:
    """A network of one kind of cell. A plug-in writes its options out, and says which cell."""

    cell: ClassVar[str]
    reads_text: ClassVar[bool] = True
    embedding_size: int
    hidden_size: int
    num_layers: int
    dropout: float

    def __post_init__(self) -> None:
        """Raises: ModelError, for an option out of its range."""
        check_sizes(self, ("dropout",))


class Stacked(_OfCells):
    """Layers one above the other."""

    tied: bool

    def write(self, examples: Sequence[Example], folder: Path) -> None:
        """The network's settings, for the tokenizer that lies in the folder."""
        write_config(
            folder,
            cell=self.cell,
            embedding_size=self.embedding_size,
            inner_size=self.hidden_size,
            hidden_size=self.embedding_size if self.tied else self.hidden_size,
            num_hidden_layers=self.num_layers,
            input_dropout=self.dropout,
            layer_dropout=self.dropout,
            output_dropout=self.dropout,
            tie_word_embeddings=self.tied,
        )


class Attending(_OfCells):
    """An encoder-decoder."""

    scoring: str

    def __post_init__(self) -> None:
        """Raises: ModelError, for an option out of its range."""
        super().__post_init__()
        if self.hidden_size % 2:
            raise ModelError(f"model.hidden_size: expected an even number, half of it for each direction, found {self.hidden_size}.")

    def write(self, examples: Sequence[Example], folder: Path) -> None:
        """The network's settings, for the tokenizer that lies in the folder."""
        from tunesmith.model.networks.attending import AttendingConfig

        tokens = special_tokens(folder)
        AttendingConfig(
            cell=self.cell,
            attention=self.scoring,
            embedding_size=self.embedding_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_layers,
            dropout=self.dropout,
            decoder_start_token_id=tokens["bos_token_id"],
            **tokens,
        ).save_pretrained(folder)
