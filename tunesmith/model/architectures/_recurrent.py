"""What the recurrent architectures have in common."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from tunesmith.core.errors import ModelError

__all__ = ["check_sizes", "check_two_ways", "special_tokens", "write_attending", "write_config"]


def special_tokens(folder: Path) -> dict[str, Any]:
    """What a config says of the tokenizer in a folder."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    return {"vocab_size": len(tokenizer), **ids}


def check_sizes(options: Any, sizes: tuple[str, ...], shares: tuple[str, ...]) -> None:
    """Raises: ModelError, where one of the sizes is no number of at least 1, or one of the shares none from 0 to below 1."""
    for name in sizes:
        if getattr(options, name) < 1:
            raise ModelError(f"model.{name}: expected at least 1, found {getattr(options, name)}.")
    for name in shares:
        if not 0 <= getattr(options, name) < 1:
            raise ModelError(f"model.{name}: expected a share from 0 to below 1, found {getattr(options, name):g}.")


def write_config(folder: Path, **settings: Any) -> None:
    """Write a network's settings beside the tokenizer that lies in the folder."""
    from tunesmith.model.networks.recurrent import RecurrentConfig

    RecurrentConfig(**settings, **special_tokens(folder)).save_pretrained(folder)


def check_two_ways(options: Any) -> None:
    """Raises: ModelError, for an option of an encoder-decoder out of its range."""
    check_sizes(options, ("embedding_size", "hidden_size", "num_layers"), ("dropout",))
    if options.hidden_size % 2:
        raise ModelError(f"model.hidden_size: expected an even number, half of it for each direction, found {options.hidden_size}.")


def write_attending(folder: Path, cell: str, options: Any) -> None:
    """Write an encoder-decoder's settings beside the tokenizer that lies in the folder."""
    from tunesmith.model.networks.attending import AttendingConfig

    tokens = special_tokens(folder)
    AttendingConfig(
        cell=cell,
        attention=options.scoring,
        embedding_size=options.embedding_size,
        hidden_size=options.hidden_size,
        num_hidden_layers=options.num_layers,
        dropout=options.dropout,
        decoder_start_token_id=tokens["bos_token_id"],
        **tokens,
    ).save_pretrained(folder)
