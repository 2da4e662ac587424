"""How finely a tokenizer cuts the words of a text, beside English through the same tokenizer.

Fertility is the mean number of tokens of a word; 1 says that every word is a token. A tokenizer that was made for other languages cuts a language finely: its
texts take more of the context and of the time, and each token says less.

Source: Rust et al. (2021), "How Good is Your Tokenizer?", https://arxiv.org/abs/2012.15613, section 3.2: fertility, and the proportion of continued
words, whose complement is the share of whole words here. Their words are those of treebanks; here they are what white space parts, without the
punctuation around it.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.types import Example
from tunesmith.data.checks.finding import Finding, finding
from tunesmith.data.checks.texts import full_text
from tunesmith.data.tokenizing import backend_of, token_ids, word_start

__all__ = ["TWICE", "Fertility", "count_words", "find_fertility", "measure_fertility", "trimmed"]

TWICE = 2.0
"""From so many times the fertility of English on it is told."""
_LONG_WORD = 20
"""Characters of a mean word from which a text is taken to be written without spaces: English has about 5, Finnish 8."""
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Fertility:
    """How finely a split's texts are cut."""

    num_words: int
    tokens_per_word: float
    whole_words: float
    """Share of the words that are one token, and that token a known one."""
    tokens_per_byte: float
    """Tokens of the whole texts, white space and punctuation too, to a byte of UTF-8."""
    characters_per_word: float

    @property
    def has_spaces(self) -> bool:
        """Whether white space parts words; Chinese, Japanese, Thai and others write none."""
        return self.characters_per_word <= _LONG_WORD


def trimmed(word: str) -> str:
    """A word without the punctuation around it; letters, digits and the marks that belong to letters stay."""
    start, end = 0, len(word)
    while start < end and unicodedata.category(word[start])[0] not in "LMN":
        start += 1
    while end > start and unicodedata.category(word[end - 1])[0] not in "LMN":
        end -= 1
    return word[start:end]


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Word -> how often it stands in the texts, case kept."""
    pieces = Counter(piece for text in texts for piece in text.split())
    found = Counter[str]()
    for piece, count in pieces.items():
        if word := trimmed(piece):
            found[word] += count
    return found


def measure_fertility(texts: Sequence[str], tokenizer: Any) -> Fertility | None:
    """Tokenize the texts, and each of their words as it stands in the middle of a text. None: they hold no word.

    Args:
        tokenizer: a fast tokenizer of transformers.
    """
    counted = count_words(texts)
    if not counted:
        return None
    words, lead, unknown = list(counted), word_start(tokenizer), tokenizer.unk_token_id
    num_words, num_tokens, num_whole = counted.total(), 0, 0
    for word, ids in zip(words, token_ids(tokenizer, [lead + word for word in words]), strict=True):
        num_tokens += counted[word] * len(ids)
        num_whole += counted[word] * (len(ids) == 1 and ids[0] != unknown)
    backend, of_texts = backend_of(tokenizer), 0
    for start in range(0, len(texts), _BATCH):
        of_texts += sum(map(len, backend.encode_batch_fast(list(texts[start : start + _BATCH]), add_special_tokens=False)))
    return Fertility(
        num_words=num_words,
        tokens_per_word=num_tokens / num_words,
        whole_words=num_whole / num_words,
        tokens_per_byte=of_texts / sum(len(text.encode("utf-8", "replace")) for text in texts),
        characters_per_word=sum(len(word) * count for word, count in counted.items()) / num_words,
    )


def find_fertility(
    splits: Mapping[str, Sequence[Example]], tokenizer: Any, english: Sequence[str]
) -> tuple[dict[str, Fertility], list[Finding]]:
    """The fertility of every split that holds words, and a note for each that is cut more than twice as finely as English.

    Args:
        english: texts in English to compare with; none: nothing is compared.
    """
    measured = {name: measure_fertility([full_text(row) for row in rows], tokenizer) for name, rows in splits.items()}
    of = {name: one for name, one in measured.items() if one is not None}
    reference = measure_fertility(english, tokenizer)
    found = list[Finding]()
    for name, one in of.items() if reference is not None else ():
        assert reference is not None
        here, there, unit = (
            (one.tokens_per_word, reference.tokens_per_word, "word")
            if one.has_spaces
            else (one.tokens_per_byte, reference.tokens_per_byte, "byte")
        )
        if here > TWICE * there:
            text = (
                f"{name} takes {here:.2f} tokens a {unit}, English through the same tokenizer {there:.2f}: {here / there:.1f} times as many. Its texts fill the "
                "context sooner and take longer. model.add_tokens gives its words tokens of their own (docs/new-language.md), or choose a model that knows the language."
            )
            found.append(finding("fertility", "note", name, splits[name], text))
    return of, found
