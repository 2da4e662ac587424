"""Tiny random models saved to a folder, with a tokenizer, as a hub model would lie there."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import PreTrainedTokenizerFast

__all__ = ["save", "tokenizer"]

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "</s>", *"the cat sat on a mat dog ran good bad film".split()]


def tokenizer(**special: Any) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words."""
    built = Tokenizer(models.WordLevel({word: index for index, word in enumerate(_WORDS)}, unk_token="[UNK]"))  # type: ignore[call-arg]
    built.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=built, **({"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "</s>"} | special))


def save(model: nn.Module, folder: Path, **special: Any) -> Path:
    """Write `model` and a tokenizer to `folder`."""
    torch.manual_seed(0)
    model.save_pretrained(folder)  # type: ignore[operator]
    tokenizer(**special).save_pretrained(folder)
    return folder
