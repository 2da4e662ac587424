"""A model that is made anew for the data that it will learn: what every file in `architectures/` answers, and how what it says becomes a model's files."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, Protocol

from transformers import PreTrainedTokenizerFast

from tunesmith.core import registry
from tunesmith.core.files import cache_folder
from tunesmith.core.types import Example
from tunesmith.model._folder import folder_sha256
from tunesmith.model.source import SourceInfo

__all__ = ["Architecture", "make_new"]


class Architecture(Protocol):
    """The one public class of a file in `architectures/`; its fields are the options beside `model.architecture`."""

    reads_text: ClassVar[bool]
    """Whether it finds a tokenizer in the folder that it writes into, which learned from the training texts; where it does not say so, it writes its own."""

    def write(self, examples: Sequence[Example], folder: Path) -> None:
        """Write into `folder` what the network is for these training examples: config.json and a tokenizer, and no weights, which the recipe's seed draws.

        Raises: ModelError, where an option is out of its range; DataError, where the examples are of another kind.
        """


def make_new(
    name: str, options: Mapping[str, Any], examples: Sequence[Example], seed: int, tokenizer: PreTrainedTokenizerFast | None = None
) -> SourceInfo:
    """A network of an architecture for training examples, its files in the cache, its weights to be drawn by `seed`.

    Args:
        tokenizer: of one that reads texts, which learned from the examples.
    Raises: ModelError, DataError.
    """
    architecture: Architecture = registry.create("architecture", name, **options)
    staging = Path(mkdtemp(dir=cache_folder("models")))
    try:
        if tokenizer is not None:
            tokenizer.save_pretrained(staging)
        architecture.write(examples, staging)
        sha256 = folder_sha256(staging)
        folder = cache_folder("models") / f"new-{name}-{sha256[:16]}"
        try:
            staging.rename(folder)
        except OSError:  # it is there already
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return SourceInfo(
        name=f"new:{name}",
        kind="new",
        folder=folder,
        sha256=sha256,
        origin="made anew from the recipe",
        notes=(f"weights drawn at random by seed {seed}",),
        drawn_by=seed,
    )
