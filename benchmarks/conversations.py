"""What the legs of `data` give back. Imports neither torch nor tunesmith."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["BLOCK_TOKENS", "SAMPLE_EVERY", "Prepared", "text_hashes"]

BLOCK_TOKENS = 2048
"""Tokens of a pack."""
SAMPLE_EVERY = 100
"""The text of one row in so many is compared."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one leg reports."""

    seconds: float
    """From the file to packed tokens; programs are imported and the tokenizer is loaded before."""
    num_rows: int
    num_tokens: int
    num_packs: int
    peak_memory_bytes: int
    """Of the process and of the workers that it started, each at its own peak."""
    texts: tuple[str, ...]
    """SHA-256 of the text of every hundredth row, white space at its end left out."""
    version: str

    def write(self, folder: Path) -> None:
        """To result.json."""
        (folder / "result.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Prepared":
        """What `write` wrote."""
        found: Mapping[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return cls(**{**found, "texts": tuple(found["texts"])})


def text_hashes(texts: Iterable[str]) -> tuple[str, ...]:
    """What `Prepared.texts` holds of these texts."""
    return tuple(hashlib.sha256(text.rstrip().encode("utf-8", "surrogatepass")).hexdigest() for text in texts)
