"""A tokenizer of whole words, from the list of words that a network was trained with."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tunesmith.core.errors import ModelError, one_line
from tunesmith.model._quiet import quiet

__all__ = ["WordList", "read_words", "save_tokenizer_text", "save_word_tokenizer"]

PADDING, UNKNOWN = "[PAD]", "[UNK]"
_PUNCTUATION = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""What Keras's Tokenizer, and its TextVectorization, leave out of a text if they are told nothing else; TextVectorization the apostrophe too."""
_UNKNOWN_NAMES = ("[UNK]", "<UNK>", "<unk>", "<OOV>", "<oov>", "OOV", "UNK")


@dataclass(frozen=True, slots=True)
class WordList:
    """Words with their tokens, and how a text is parted into them."""

    words: Mapping[str, int]
    unknown: int | None
    """The token of a word that is not among them; None: it is left out."""
    filters: str = _PUNCTUATION
    lower: bool = True
    joins: bool = False
    """Whether letters move together where punctuation is left out of them (TextVectorization); else a space takes its place (Tokenizer)."""

    @property
    def pads_on_left(self) -> bool:
        """Where texts are filled up, if nothing else is said: as `pad_sequences` does it, or as TextVectorization does."""
        return not self.joins


def read_words(file: Path) -> WordList:
    """What Keras's two tokenizers leave behind.

    A JSON object of words and their numbers (`tokenizer.word_index`), with "<OOV>" among them or not; what `tokenizer.to_json()` says; or a list of words in the order
    of their numbers (`vectorizer.get_vocabulary()`), as JSON or one a line, of which the first is padding and the second stands for unknown words.
    Raises: ModelError, where it is none of these.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"model.words: {file}: cannot be read ({error}).") from None
    try:
        found = json.loads(text)
    except ValueError:
        found = None if file.suffix == ".json" else text.split("\n")[: -1 if text.endswith("\n") else None]
    if isinstance(found, str):  # to_json() written by json.dump
        found = json.loads(found)
    if isinstance(found, dict) and isinstance(found.get("config"), dict):
        return _of_tokenizer(file, found["config"])
    if isinstance(found, dict):
        return _of_index(file, found)
    if isinstance(found, list) and len(found) > 2 and all(isinstance(word, str) for word in found):
        words = {word: number for number, word in enumerate(found) if number > 1}
        return WordList(words, 1, _PUNCTUATION.rstrip("\t\n") + "'", joins=True)  # which parts at white space of any kind
    raise ModelError(
        f"model.words: {file}: expected a JSON object of words and their numbers (word_index), or a list of words, one a line."
    )


def _of_tokenizer(file: Path, config: Mapping[str, Any]) -> WordList:
    index, unknown = config.get("word_index"), config.get("oov_token")
    words = json.loads(index) if isinstance(index, str) else index
    if config.get("char_level") or config.get("split", " ") != " " or not isinstance(words, dict):
        raise ModelError(
            f"model.words: {file}: is a Tokenizer of characters, or one that parts words otherwise than at spaces. Only words are read."
        )
    limit = config.get("num_words")
    known = _of_index(file, words, unknown, limit - 1 if isinstance(limit, int) else None)
    return WordList(known.words, known.unknown, str(config.get("filters", _PUNCTUATION)), bool(config.get("lower", True)))


def _of_index(file: Path, index: Mapping[str, Any], unknown: str | None = None, most: int | None = None) -> WordList:
    wrong = next((word for word, number in index.items() if not isinstance(number, int) or isinstance(number, bool) or number < 0), None)
    if wrong is not None or not index:
        found = f"{wrong!r}: {index[wrong]!r}" if wrong is not None else "nothing"
        raise ModelError(f"model.words: {file}: expected words and their numbers, found {found}.")
    name = unknown if unknown is not None else next((name for name in _UNKNOWN_NAMES if name in index), None)
    words = {word: number for word, number in index.items() if word != name and number > 0 and (most is None or number <= most)}
    return WordList(words, index.get(name) if name is not None else None)


def save_word_tokenizer(words: WordList | None, folder: Path) -> None:
    """Write a tokenizer that parts texts so. Unknown words become token 0, padding, where they are left out. None: one for a network that reads no words."""
    vocabulary = {PADDING: 0}
    if words is not None:
        vocabulary |= {word: number for word, number in words.words.items() if word != PADDING}
    unknown = PADDING
    if words is not None and words.unknown is not None:
        unknown = UNKNOWN
        vocabulary = {word: number for word, number in vocabulary.items() if number != words.unknown} | {UNKNOWN: words.unknown}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    if words is not None:
        parts: list[Any] = [normalizers.Lowercase()] if words.lower else []
        if words.filters:
            parts.append(normalizers.Replace(Regex(f"[{re.escape(words.filters)}]"), "" if words.joins else " "))
        made.normalizer = normalizers.Sequence(parts)
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    _write(made, unknown, folder)


def save_tokenizer_text(text: str, folder: Path, where: str) -> None:
    """Write a tokenizer that `save_word_tokenizer` made, from its JSON. Raises: ModelError, where it is damaged."""
    try:
        made = Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare ones
        raise ModelError(f"{where}: the tokenizer in it is damaged ({one_line(error, 100)}). Write the file again.") from None
    _write(made, UNKNOWN if made.token_to_id(UNKNOWN) is not None else PADDING, folder)


def _write(made: Tokenizer, unknown: str, folder: Path) -> None:
    with quiet():
        PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PADDING, unk_token=unknown).save_pretrained(str(folder))  # type: ignore[no-untyped-call]
