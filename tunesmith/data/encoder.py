"""Examples to tokens: the one encoder, for training, evaluation and chat alike."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import hash_of
from tunesmith.core.types import (
    Encoded,
    EncodedContext,
    EncodedWords,
    Example,
    Labelled,
    Message,
    ModelFacts,
    MultiLabelled,
    Rated,
    Text,
    Tokens,
    WordWindow,
)
from tunesmith.data.located import encode_contexts, encode_words
from tunesmith.data.render import Asked, Piece, Renderer

__all__ = ["TextEncoder"]


@dataclass(frozen=True)
class TextEncoder:
    """Render and tokenize with a model's own tokenizer.

    A prompt and its answer are tokenized apart, each earlier answer too: the tokens of `prompt(example)` are exactly the first tokens of
    `encode(example)`, whatever the tokenizer would merge across the boundary, and the model is asked what it was taught. Scored are the
    answer's own tokens and the end of its turn, and no white space after that.
    """

    tokenizer: Any
    """A fast tokenizer of transformers."""
    facts: ModelFacts
    labels: tuple[str, ...] = ()
    max_length: int = 0
    """The most tokens of a sequence; 0: as many as the model takes."""
    template: str | None = None
    system: str | None = None
    labelled_as: Literal["class", "answer"] = "class"
    """Whether a labelled text is encoded for a classifier's head, or as a request with the label's name as its answer."""
    tasks: Mapping[str, Asked] = field(default_factory=dict)
    """How the examples of each task of a mixture are asked, by the task's name."""
    window_tokens: int = 0
    """Tokens of a window of a long text; 0: `max_length`."""
    overlap_tokens: int = 1
    """Tokens of the window before that a window begins with: read there, and not learned again."""
    numbers: tuple[float, float] = (0.0, 1.0)
    """Mean and standard deviation of the training rows' numbers: where a head that names numbers begins."""
    _renderer: Renderer = field(init=False, repr=False, compare=False)
    _anchor: str | None = field(init=False, repr=False, compare=False)
    _bos: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """The beginning-of-sequence token, where the tokenizer puts one."""

    def __post_init__(self) -> None:
        length = self.max_length or self.facts.max_length
        if not 2 <= length <= self.facts.max_length:
            raise RecipeError(f"model.max_length: {length}; {self.facts.name} takes 2 to {self.facts.max_length} tokens.")
        object.__setattr__(self, "max_length", length)
        window = self.window_tokens or length
        if window > length or not 1 <= self.overlap_tokens < window:
            raise RecipeError(
                f"data.chunk: windows of {window} tokens that overlap by {self.overlap_tokens}; expected at most {length} tokens (model.max_length), "
                "and an overlap of at least 1 and less than a window."
            )
        object.__setattr__(
            self, "_renderer", Renderer(self.tokenizer, self.facts.name, self.labels, self.template, self.system, self.tasks)
        )
        object.__setattr__(self, "_anchor", self._find_anchor())
        bos = self.tokenizer.bos_token_id
        has_bos = bos is not None and self.tokenizer("a", add_special_tokens=True, verbose=False)["input_ids"][:1] == [bos]
        object.__setattr__(self, "_bos", (int(bos),) if has_bos else ())

    def encode(self, example: Example) -> Encoded:
        """Render and tokenize; cut on the right to `max_length`, counting what was cut."""
        if isinstance(example, Tokens):
            return self._cut(self._ready(example), example.scored)
        if isinstance(example, Text):
            tokens = self._document(example.text)
            return self._cut(tokens, [False] + [True] * (len(tokens) - 1))
        if isinstance(example, Rated | MultiLabelled) or (isinstance(example, Labelled) and self.labelled_as == "class"):
            return self._classified(example)
        if self.facts.is_encoder_decoder:
            return self._translated(example)
        turns, answer = self._renderer.conversation(example)
        tokens, scored = self._tokens(self._renderer.prompt(turns) + ([self._renderer.answer(turns, answer)] if answer else []))
        return self._cut(tokens, scored)

    def windows(self, example: Text | Tokens) -> list[Encoded]:
        """A text of any length, and the end-of-sequence token after it, or tokens as they are, as sequences of at most `window_tokens`.

        Each sequence begins with the last `overlap_tokens` of the one before, which are read there and not scored: every token but the very
        first is scored once.
        """
        tokens = self._document(example.text) if isinstance(example, Text) else self._ready(example)
        learned = (True,) * len(tokens) if isinstance(example, Text) else example.scored
        size, overlap = self.window_tokens or self.max_length, self.overlap_tokens
        found = list[Encoded]()
        for at in range(0, max(len(tokens) - overlap, 1), size - overlap):
            part = tokens[at : at + size]
            num_read = min(overlap if at else 1, len(part))
            scored = (False,) * num_read + tuple(learned[at + num_read : at + len(part)])
            found.append(Encoded(tuple(part), (0,) * len(part), scored))
        return [window for window in found if window.tokens]

    def words(self, words: Sequence[str]) -> EncodedWords:
        """A sentence that is given word by word, parted by spaces; cut on the right to `max_length`."""
        return encode_words(self.tokenizer, words, self.max_length, with_types=self.facts.has_token_types)

    def contexts(self, question: str, context: str) -> list[EncodedContext]:
        """A question with its context: several overlapping windows where the context is too long for one."""
        return encode_contexts(self.tokenizer, question, context, self.max_length, with_types=self.facts.has_token_types)

    @property
    def mask_token_id(self) -> int | None:
        """The token that stands for one to be filled in; None where the tokenizer has none."""
        return None if self.tokenizer.mask_token_id is None else int(self.tokenizer.mask_token_id)

    def word_windows(self, example: Text) -> list[WordWindow]:
        """A text of any length as sequences of at most `window_tokens`, each with the tokenizer's special tokens, none of which overlap."""
        size = self.window_tokens or self.max_length
        found = self.tokenizer(
            example.text, truncation=True, max_length=size, return_overflowing_tokens=True,
            return_token_type_ids=self.facts.has_token_types, verbose=False,
        )  # fmt: skip
        windows = []
        for number, tokens in enumerate(found["input_ids"]):
            types = found["token_type_ids"][number] if self.facts.has_token_types else (0,) * len(tokens)
            words = tuple(-1 if word is None else int(word) for word in found.word_ids(number))
            windows.append(WordWindow(tuple(tokens), tuple(types), words))
        return windows

    def prompt(self, example: Example) -> tuple[int, ...]:
        """The tokens that the model continues when it is asked to answer `example`; never cut.

        Of raw text that is the text itself; of an encoder-decoder its decoder's first token (`source` of `encode` is what it reads).
        """
        if isinstance(example, Tokens):
            return tuple(self._ready(example)[: example.num_asked])
        if isinstance(example, Text):
            return (*self._bos, *self._ids(example.text, first=True))
        if self.facts.is_encoder_decoder:
            return self._decoder_start()
        return tuple(self._tokens(self._renderer.prompt(self._renderer.conversation(example)[0]))[0])

    def reference(self, example: Example) -> str:
        """The answer that `example` holds to its own `prompt`; of raw text, the text."""
        if isinstance(example, Tokens):
            at = example.num_asked
            return self.decode([token for token, learned in zip(example.tokens[at:], example.scored[at:], strict=True) if learned])
        if isinstance(example, Text):
            return example.text
        answer = self._renderer.conversation(example)[1]
        return answer.content if answer else ""

    def choices(self, example: Example) -> tuple[str, ...]:
        """The answers that `example` is judged among, by their likelihood; empty where its answer is open."""
        return self._renderer.choices(example)

    def answers(self, example: Example) -> list[tuple[int, ...]]:
        """The tokens of each of `choices(example)` as they follow `prompt(example)`, the end of the turn included."""
        found = self.choices(example)
        if self.facts.is_encoder_decoder:
            return [tuple(self._target(text)) for text in found]
        turns, _ = self._renderer.conversation(example)
        pieces = (self._renderer.answer(turns, Message("assistant", text)) for text in found)
        return [(*self._ids(piece.text, first=False), *(self._eos() if piece.closes else ())) for piece in pieces]

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, without special tokens."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def spell(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, special tokens shown."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def fingerprint(self) -> str:
        """A hash of everything that encoding depends on but the example: tokenizer, templates, labels, lengths."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        tokenizer, facts = self.tokenizer, self.facts
        own = json.loads(tokenizer.backend_tokenizer.to_str())
        own.pop("truncation", None)
        own.pop("padding", None)
        special = {name: str(value) for name, value in tokenizer.special_tokens_map.items()}
        model = (facts.is_causal, facts.is_encoder_decoder, facts.has_token_types, facts.decoder_start_token_id, facts.vocab_size)
        tasks = {name: (asked.template, asked.labels) for name, asked in self.tasks.items()}
        windows = (self.window_tokens, self.overlap_tokens)
        rendering = (self.labels, self.max_length, self.template, self.system, self.labelled_as, tasks, windows)
        return hash_of(own, special, tokenizer.chat_template, rendering, model)

    def _ready(self, example: Tokens) -> Sequence[int]:
        """The example's tokens. Raises: DataError, where the model has no such token, or reads a source and writes a target."""
        where = f"{example.origin.file}:{example.origin.row}"
        if self.facts.is_encoder_decoder:
            raise DataError(
                f"{where}: {self.facts.name} reads a source and writes a target; tokens of one sequence are for causal models. Bring pairs of texts."
            )
        strange = next((token for token in example.tokens if not 0 <= token < self.facts.vocab_size), None)
        if strange is not None:
            raise DataError(
                f"{where}: the token {strange} is none of {self.facts.name}, which has 0 to {self.facts.vocab_size - 1}. "
                "Use the model whose tokenizer made these rows, or bring the texts."
            )
        return example.tokens

    def _document(self, text: str) -> list[int]:
        return [*self._bos, *self._ids(text, first=True), *self._eos()]

    def _classified(self, example: Labelled | Rated | MultiLabelled) -> Encoded:
        """A text, or two, for a classifier's head. A causal model, which reads the last token, gets the template and an end of sequence."""
        if self.facts.is_encoder_decoder:
            source, _, num_cut = self._special(example.text, example.text_pair)
            return Encoded(self._decoder_start(), (0,), (False,), source=source, num_cut=num_cut)
        if not self.facts.is_causal:
            tokens, types, num_cut = self._special(example.text, example.text_pair)
            return Encoded(tokens, types, (False,) * len(tokens), num_cut=num_cut)
        eos = self._eos()
        body = [*self._bos, *self._ids(self._renderer.request(example), first=True)]
        kept = body[: self.max_length - len(eos)] + eos
        return Encoded(tuple(kept), (0,) * len(kept), (False,) * len(kept), num_cut=len(body) + len(eos) - len(kept))

    def _special(self, text: str, pair: str | None) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """(tokens, token types, tokens left out) with the tokenizer's special tokens, which are kept when the text, or the longer of two, is cut."""
        whole = self._call(text, pair)
        num_cut = max(len(whole["input_ids"]) - self.max_length, 0)
        kept = self._call(text, pair, truncation="longest_first", max_length=self.max_length) if num_cut else whole
        tokens = tuple(kept["input_ids"])
        types = tuple(kept.get("token_type_ids") or (0,) * len(tokens)) if self.facts.has_token_types else (0,) * len(tokens)
        return tokens, types, num_cut

    def _call(self, text: str, pair: str | None, **options: Any) -> dict[str, list[int]]:
        if options and self.tokenizer.truncation_side != "right":
            self.tokenizer.truncation_side = "right"
        return dict(
            self.tokenizer(text, pair, add_special_tokens=True, return_token_type_ids=self.facts.has_token_types, verbose=False, **options)
        )

    def _translated(self, example: Example) -> Encoded:
        """For an encoder-decoder: the source with its special tokens, and the decoder's start, the target and its end."""
        turns, answer = self._renderer.conversation(example)
        source, _, num_cut = self._special("\n\n".join(turn.content for turn in turns), None)
        whole = [*self._decoder_start(), *(self._target(answer.content) if answer else ())]
        tokens = whole[: self.max_length]
        scored = (False,) + (True,) * (len(tokens) - 1)
        return Encoded(tuple(tokens), (0,) * len(tokens), scored, source=source, num_cut=num_cut + len(whole) - len(tokens))

    def _target(self, text: str) -> list[int]:
        """What an encoder-decoder is to write, with its end."""
        target, eos = list(self._call(text, None)["input_ids"]), self._eos()
        return target if target[-1:] == eos else target + eos

    def _tokens(self, pieces: Sequence[Piece]) -> tuple[list[int], list[bool]]:
        """Tokens of the pieces, and whether each is scored. Neighbours that are not scored are tokenized as one text."""
        merged = list[Piece]()
        for piece in pieces:
            if merged and not piece.scored and not merged[-1].scored and not merged[-1].closes:
                merged[-1] = Piece(merged[-1].text + piece.text, closes=piece.closes)
            elif piece.text or piece.closes:
                merged.append(piece)
        tokens = [] if self.tokenizer.chat_template else list(self._bos)
        scored = [False] * len(tokens)
        for place, piece in enumerate(merged):
            found = self._ids(piece.text, first=place == 0) + (self._eos() if piece.closes else [])
            tokens += found
            scored += [piece.scored] * len(found)
        if scored:
            scored[0] = False  # nothing predicts the first token
        return tokens, scored

    def _cut(self, tokens: Sequence[int], scored: Sequence[bool]) -> Encoded:
        kept = min(len(tokens), self.max_length)
        return Encoded(tuple(tokens[:kept]), (0,) * kept, tuple(scored[:kept]), num_cut=len(tokens) - kept)

    def _ids(self, text: str, first: bool) -> list[int]:
        """Tokens of a text without special tokens of the tokenizer's own; those written out in the text are found.

        Tokenizers that put a space before a text would put one into the middle of a conversation: there the text is tokenized behind a
        special token, which is then left out.
        """
        if not text:
            return []
        if first or self._anchor is None:
            return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        return list(self.tokenizer(self._anchor + text, add_special_tokens=False, verbose=False)["input_ids"])[1:]

    def _find_anchor(self) -> str | None:
        anchor = self.tokenizer.eos_token
        if not anchor:
            return None

        def ids(text: str) -> list[int]:
            return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

        eos, alone, behind = self.tokenizer.eos_token_id, ids("word"), ids(anchor + "word")
        return anchor if behind[:1] == [eos] and behind[1:] != alone else None

    def _eos(self) -> list[int]:
        return [] if self.tokenizer.eos_token_id is None else [int(self.tokenizer.eos_token_id)]

    def _decoder_start(self) -> tuple[int, ...]:
        start = self.facts.decoder_start_token_id
        return (start if start is not None else self.facts.pad_token_id,)
