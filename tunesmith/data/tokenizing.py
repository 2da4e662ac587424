"""What there is to know of a model's tokenizer before texts are given to it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Marked, ModelFacts, Tokens
from tunesmith.data._pieces import Piece

__all__ = ["Tokenized", "anchor_of", "backend_of", "leading_bos", "require_one_sequence", "token_ids", "word_start", "written"]


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Conversations whose strings are tokenized, not yet put together."""

    talks: Sequence[Sequence[tuple[Sequence[str], Piece]]]
    """Of each conversation its pieces, with the strings that each is made of."""
    numbers: Mapping[str, Sequence[int]]
    """The tokens of every string."""


def leading_bos(tokenizer: Any) -> tuple[int, ...]:
    """The beginning-of-sequence token, where a tokenizer puts one before every text."""
    bos = tokenizer.bos_token_id
    has_bos = bos is not None and tokenizer("a", add_special_tokens=True, verbose=False)["input_ids"][:1] == [bos]
    return (int(bos),) if has_bos else ()


def backend_of(tokenizer: Any) -> Any:
    """The tokenizer itself, which cuts and pads nothing, and finds the special tokens that a text holds."""
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None:  # as some are published
        backend.no_truncation()
    if backend.padding is not None:
        backend.no_padding()
    if backend.encode_special_tokens:
        backend.encode_special_tokens = False
    return backend


def anchor_of(tokenizer: Any) -> str:
    """A special token that a text in the middle of a sequence is put behind, where it makes a difference."""
    anchor = tokenizer.eos_token
    if not anchor:
        return ""

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    eos, alone, behind = tokenizer.eos_token_id, ids("word"), ids(anchor + "word")
    return str(anchor) if behind[:1] == [eos] and behind[1:] != alone else ""


def word_start(tokenizer: Any) -> str:
    """What stands before a word in the middle of a text and belongs to its first token: a space, or nothing where the tokenizer drops spaces."""
    tokens = tokenizer.convert_ids_to_tokens(token_ids(tokenizer, ["a b"])[0])
    return " " if any(token.startswith(("Ġ", "▁")) for token in tokens[1:]) else ""


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of each text as it stands in the middle of a sequence, no special token put around it."""
    anchor = anchor_of(tokenizer)
    found = backend_of(tokenizer).encode_batch_fast([anchor + text for text in texts], add_special_tokens=False)
    return [encoding.ids[1:] if anchor else encoding.ids for encoding in found]


def written(tokenizer: Any) -> dict[str, Any]:
    """The tokenizer as its file holds it, but for how long it cuts and pads: what its tokens depend on."""
    found: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return {name: value for name, value in found.items() if name not in ("truncation", "padding")}


def require_one_sequence(example: Tokens | Marked, facts: ModelFacts) -> None:
    """Raises: DataError, where the model is an encoder-decoder."""
    if facts.is_encoder_decoder:
        raise DataError(
            f"{example.origin.file}:{example.origin.row}: {facts.name} reads a source and writes a target; tokens of one sequence are for "
            "causal models. Bring pairs of texts."
        )
