"""A tokenizer that is learned from texts."""

from collections.abc import Iterable
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

__all__ = ["learn_tokenizer"]

_CLOSING = r"[.,;:!?)\]}\u2026]"
"""Marks that no space stands before."""
_SPECIAL = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


def learn_tokenizer(texts: Iterable[str], *, size: int, of: Literal["pieces", "words"]) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are learned from `texts`; every sequence begins with `<s>`.

    Args:
        size: the most tokens, special ones included.
        of: pieces: of words, byte-level BPE; words: words and marks that come twice or more, in small letters, and without the spaces that stand before
            marks that close.
    """
    special: Any = list(_SPECIAL.values())
    if of == "pieces":
        built = Tokenizer(models.BPE())
        built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        built.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=size, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
    else:
        built = Tokenizer(models.WordLevel(unk_token=_SPECIAL["unk_token"]))
        built.normalizer = normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.Lowercase(),
                normalizers.Strip(),
                normalizers.Prepend(" "),
                normalizers.Replace(Regex(r"\s+"), " "),
                normalizers.Replace(Regex(f" (?={_CLOSING})"), ""),
                normalizers.Replace(" ", "\u2581"),
            ]
        )
        built.pre_tokenizer = pre_tokenizers.Split(Regex("\u2581?(?:[^\\W_]+|[^\u2581])"), "isolated")
        built.decoder = decoders.Metaspace(prepend_scheme="first")
        trainer = trainers.WordLevelTrainer(vocab_size=size, min_frequency=2, special_tokens=special, show_progress=False)
    built.train_from_iterator(texts, trainer)
    begin = _SPECIAL["bos_token"]
    built.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A $B:1", special_tokens=[(begin, built.token_to_id(begin))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=built, **_SPECIAL)  # type: ignore[no-untyped-call]
