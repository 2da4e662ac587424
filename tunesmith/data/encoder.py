"""Examples to tokens: the one encoder, for training, evaluation and chat alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, Literal

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import hash_of
from tunesmith.core.types import (
    Chat,
    Choice,
    Completion,
    Encoded,
    EncodedContext,
    EncodedWords,
    Example,
    Labelled,
    Marked,
    Message,
    ModelFacts,
    MultiLabelled,
    Prompt,
    Rated,
    Text,
    Tokens,
    WordWindow,
)
from tunesmith.data._look_alikes import special_tokens
from tunesmith.data._pieces import Piece
from tunesmith.data._recent import Recent
from tunesmith.data.columns import encoded_row
from tunesmith.data.located import encode_contexts, encode_word_windows, encode_words
from tunesmith.data.render import LossOn, Renderer
from tunesmith.data.talks import Talks
from tunesmith.data.tokenizing import Tokenized, anchor_of, backend_of, leading_bos, require_one_sequence, written
from tunesmith.data.wording import Asked, Wording

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
    template: str | tuple[str, ...] | None = None
    """How the user's turn of pairs and labelled texts is worded; of several, a row gets one by its number."""
    system: str | None = None
    labelled_as: Literal["class", "answer"] = "class"
    """Whether a labelled text is encoded for a classifier's head, or as a request with the label's name as its answer."""
    loss_on: LossOn = "assistant"
    """What is learned of a conversation."""
    tasks: Mapping[str, Asked] = field(default_factory=dict)
    """How the examples of each task of a mixture are asked, by the task's name."""
    window_tokens: int = 0
    """Tokens of a window of a long text; 0: `max_length`."""
    overlap_tokens: int = 1
    """Tokens of the window before that a window begins with: read there, and not learned again."""
    numbers: tuple[float, float] = (0.0, 1.0)
    """Mean and standard deviation of the training rows' numbers: where a head that names numbers begins."""
    grades: tuple[tuple[float, float], ...] = ()
    """The same of the grades of each of `labels`, where these are the attributes of graded answers."""
    _renderer: Renderer = field(init=False, repr=False, compare=False)
    _anchor: str = field(init=False, repr=False, compare=False)
    _bos: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """The beginning-of-sequence token, where the tokenizer puts one."""
    _special_ids: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _recent: Recent = field(init=False, repr=False, compare=False, default_factory=Recent)
    _ends: frozenset[int] = field(init=False, repr=False, compare=False)
    """Special tokens: an answer ends with one of them."""

    def __post_init__(self) -> None:
        length = self.max_length or self.facts.max_length
        if not 2 <= length <= self.facts.max_length:
            raise RecipeError(f"model.max_length: {length}; {self.facts.name} takes 2 to {self.facts.max_length} tokens.")
        window = self.window_tokens or length
        if window > length or not 1 <= self.overlap_tokens < window:
            raise RecipeError(
                f"data.chunk: windows of {window} tokens that overlap by {self.overlap_tokens}; expected at most {length} tokens (model.max_length), "
                "and an overlap of at least 1 and less than a window."
            )
        wording = Wording.of(self.template, self.labels)
        tasks = {name: Wording.of(one.templates, one.labels, f"data.mix.{name}.template") for name, one in self.tasks.items()}
        object.__setattr__(self, "max_length", length)
        object.__setattr__(self, "_renderer", Renderer(self.tokenizer, self.facts.name, Talks(wording, self.system, tasks), self.loss_on))
        object.__setattr__(self, "_anchor", anchor_of(self.tokenizer))
        object.__setattr__(self, "_bos", leading_bos(self.tokenizer))
        special = special_tokens(self.tokenizer)
        object.__setattr__(self, "_special_ids", special)
        object.__setattr__(self, "_ends", frozenset(special.values()))

    def encode(self, example: Example) -> Encoded:
        """Render and tokenize; cut on the right to `max_length`, counting what was cut."""
        return self.encode_all([example])[0]

    def encode_all(self, examples: Sequence[Example]) -> list[Encoded]:
        """As `encode`, of many: conversations are rendered and tokenized together, which is many times quicker."""
        found = dict[int, Encoded]()
        talks = [place for place, example in enumerate(examples) if self.is_conversation(example)]
        if talks:
            found = dict(zip(talks, self.assembled(self.tokenized([examples[place] for place in talks])), strict=True))
        return [found[place] if place in found else self._encoded(example) for place, example in enumerate(examples)]

    def is_conversation(self, example: Example) -> bool:
        """Whether an example is rendered as a conversation: neither raw text nor tokens, nothing for a head, nothing for an encoder-decoder."""
        is_answered = isinstance(example, Labelled) and self.labelled_as == "answer"
        return (is_answered or isinstance(example, Chat | Prompt | Completion | Choice)) and not self.facts.is_encoder_decoder

    def tokenized(self, examples: Sequence[Example], *, answered: bool = True) -> Tokenized:
        """Conversations as the tokens of their pieces, for `assembled`: the long part of encoding, most of it outside of Python.

        Raises: ModelError, naming the row, where a chat template fails.
        """
        pieces = self._renderer.pieces(examples, answered=answered)
        talks = [[(self._strings(piece, is_first=place == 0), piece) for place, piece in enumerate(one)] for one in pieces]
        return Tokenized(talks, self._numbers([string for talk in talks for strings, _ in talk for string in strings]))

    def assembled(self, tokenized: Tokenized) -> list[Encoded]:
        """What `tokenized` gave, put together and cut to `max_length`."""
        return [self._cut(tokens, scored) for tokens, scored in self._tokens(tokenized)]

    def _encoded(self, example: Example) -> Encoded:
        if isinstance(example, Tokens):
            return self._cut(self._ready(example), example.scored)
        if isinstance(example, Marked):
            parts = self._part_tokens(example)
            scored = [learned for tokens, (_, learned) in zip(parts, example.parts, strict=True) for _ in tokens]
            return self._cut(list(chain.from_iterable(parts)), [False, *scored[1:]])  # nothing predicts the first
        if isinstance(example, Text):
            tokens = self._document(example.text)
            return self._cut(tokens, [False] + [True] * (len(tokens) - 1))
        if isinstance(example, Rated | MultiLabelled) or (isinstance(example, Labelled) and self.labelled_as == "class"):
            return self._classified(example)
        return self._translated(example)

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
        return encode_word_windows(
            self.tokenizer, example.text, self.window_tokens or self.max_length, with_types=self.facts.has_token_types
        )

    def prompt(self, example: Example) -> tuple[int, ...]:
        """The tokens that the model continues when it is asked to answer `example`; never cut.

        Of raw text that is the text itself; of an encoder-decoder its decoder's first token (`source` of `encode` is what it reads).
        """
        return self.prompts([example])[0]

    def prompts(self, examples: Sequence[Example]) -> list[tuple[int, ...]]:
        """As `prompt`, of many: conversations are rendered and tokenized together, which is many times quicker."""
        are_asked = not self.facts.is_encoder_decoder
        talks = [example for example in examples if are_asked and not isinstance(example, Text | Tokens | Marked)]
        asked = iter(self._tokens(self.tokenized(talks, answered=False)) if talks else ())
        found = list[tuple[int, ...]]()
        for example in examples:
            if isinstance(example, Tokens):
                found.append(tuple(self._ready(example)[: example.num_asked]))
            elif isinstance(example, Marked):
                found.append(tuple(chain.from_iterable(self._part_tokens(example)[: example.num_asked])))
            elif isinstance(example, Text):
                found.append((*self._bos, *self._ids(example.text)))
            else:
                found.append(tuple(next(asked)[0]) if are_asked else self._decoder_start())
        return found

    def reference(self, example: Example) -> str:
        """The answer that `example` holds to its own `prompt`; of raw text, the text."""
        if isinstance(example, Tokens):
            at = example.num_asked
            return self.decode([token for token, learned in zip(example.tokens[at:], example.scored[at:], strict=True) if learned])
        if isinstance(example, Marked):
            at = example.num_asked
            found = zip(self._part_tokens(example)[at:], example.parts[at:], strict=True)
            return self.decode([token for tokens, (_, learned) in found if learned for token in tokens])
        if isinstance(example, Text):
            return example.text
        answer = self._renderer.talks.conversation(example)[1]
        if answer is not None and answer.calls and self.is_conversation(example):  # as the template writes it
            return self.decode(self._tokens(self.tokenized([example]))[0][0][len(self.prompt(example)) :]).strip()
        return answer.content if answer else ""

    def turns(self, example: Chat | Choice | Completion | Labelled | Prompt) -> tuple[Message, ...]:
        """An example with its answer as another reads it before itself: nothing of it is learned. Empty where it has no answer."""
        return self._renderer.talks.shown(example)

    def choices(self, example: Example) -> tuple[str, ...]:
        """The answers that `example` is judged among, by their likelihood; empty where its answer is open."""
        return self._renderer.talks.choices(example)

    def answers(self, example: Example) -> list[tuple[int, ...]]:
        """The tokens of each of `choices(example)` as they follow `prompt(example)`, the end of the turn included."""
        found = self.choices(example)
        if self.facts.is_encoder_decoder:
            return [tuple(self._target(text)) for text in found]
        start = len(self.prompt(example))
        if isinstance(example, Choice):
            answered: list[Example] = [replace(example, answer=place) for place in range(len(found))]
        else:
            assert isinstance(example, Labelled)
            answered = [replace(example, label=label) for label in found]
        return [tuple(tokens[start:]) for tokens, _ in self._tokens(self.tokenized(answered))]

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
        special = {name: str(value) for name, value in tokenizer.special_tokens_map.items()}
        model = (facts.is_causal, facts.is_encoder_decoder, facts.has_token_types, facts.decoder_start_token_id, facts.vocab_size)
        wording = self._renderer.talks.wording
        tasks = {name: (asked.templates, asked.labels) for name, asked in self.tasks.items()}
        words = (tokenizer.chat_template, self.labels, wording.templates, self.system, self.labelled_as, self.loss_on, tasks, self.grades)
        return hash_of(written(tokenizer), special, words, self.max_length, self.window_tokens, self.overlap_tokens, model)

    def _ready(self, example: Tokens) -> Sequence[int]:
        """The example's tokens. Raises: DataError, where the model has no such token, or reads a source and writes a target."""
        where = f"{example.origin.file}:{example.origin.row}"
        require_one_sequence(example, self.facts)
        strange = next((token for token in example.tokens if not 0 <= token < self.facts.vocab_size), None)
        if strange is not None:
            raise DataError(
                f"{where}: the token {strange} is none of {self.facts.name}, which has 0 to {self.facts.vocab_size - 1}. "
                "Use the model whose tokenizer made these rows, or bring the texts."
            )
        return example.tokens

    def _part_tokens(self, example: Marked) -> list[list[int]]:
        """Tokens of each part, in which what spells a special token is one. Raises: DataError, where the model writes a target."""
        require_one_sequence(example, self.facts)
        parts = [self._strings(Piece((text,)), is_first=place == 0) for place, (text, _) in enumerate(example.parts)]
        numbers = self._numbers(string for strings in parts for string in strings)
        return [[token for string in strings for token in numbers[string]] for strings in parts]

    def _document(self, text: str) -> list[int]:
        return [*self._bos, *self._ids(text), *self._eos()]

    def _classified(self, example: Labelled | Rated | MultiLabelled) -> Encoded:
        """A text, or two, for a classifier's head. A causal model, which reads the last token, gets the template and an end of sequence; a model of numbers the numbers."""
        if self.facts.num_columns:
            return encoded_row(example, self.facts)
        if self.facts.is_encoder_decoder:
            source, _, num_cut = self._special(example.text, example.text_pair)
            return Encoded(self._decoder_start(), (0,), (False,), source=source, num_cut=num_cut)
        if not self.facts.is_causal:
            tokens, types, num_cut = self._special(example.text, example.text_pair)
            return Encoded(tokens, types, (False,) * len(tokens), num_cut=num_cut)
        eos = self._eos()
        body = [*self._bos, *self._ids(self._renderer.talks.request(example))]
        kept = body[: self.max_length - len(eos)] + eos
        return Encoded(tuple(kept), (0,) * len(kept), (False,) * len(kept), num_cut=len(body) + len(eos) - len(kept))

    def _special(self, text: str, pair: str | None, *, cuts: bool = True) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """(tokens, token types, tokens left out) with the tokenizer's special tokens, which are kept when the text, or the longer of two, is cut."""
        from tokenizers import Encoding

        backend, texts = backend_of(self.tokenizer), [text] if pair is None else [text, pair]
        whole = [Encoding.merge([backend.encode(part, add_special_tokens=False) for part in self._renderer.parts(one)]) for one in texts]
        num_special = backend.num_special_tokens_to_add(is_pair=pair is not None)
        num_cut = max(sum(map(len, whole)) + num_special - self.max_length, 0)
        if num_cut and cuts:
            backend.enable_truncation(self.max_length, strategy="longest_first", direction="right")
        try:
            made = backend.post_process(*whole, add_special_tokens=True)
        finally:
            backend.no_truncation()
        tokens = tuple(made.ids)
        return tokens, tuple(made.type_ids) if self.facts.has_token_types else (0,) * len(tokens), num_cut

    def _translated(self, example: Example) -> Encoded:
        """For an encoder-decoder: the source with its special tokens, and the decoder's start, the target and its end."""
        turns, answer = self._renderer.talks.conversation(example)
        source, _, num_cut = self._special("\n\n".join(turn.content for turn in turns), None)
        whole = [*self._decoder_start(), *(self._target(answer.content) if answer else ())]
        tokens = whole[: self.max_length]
        scored = (False,) + (True,) * (len(tokens) - 1)
        return Encoded(tuple(tokens), (0,) * len(tokens), scored, source=source, num_cut=num_cut + len(whole) - len(tokens))

    def _target(self, text: str) -> list[int]:
        """What an encoder-decoder is to write, with its end; what it starts with it has been told, and need not write."""
        target, eos = list(self._special(text, None, cuts=False)[0]), self._eos()
        target = target[1:] if tuple(target[:1]) == self._decoder_start() else target
        return target if target[-1:] == eos else target + eos

    def _tokens(self, tokenized: Tokenized) -> list[tuple[list[int], list[bool]]]:
        """Of each conversation its tokens, and whether each is scored."""
        opening, numbers = () if self.tokenizer.chat_template else self._bos, tokenized.numbers
        found = list[tuple[list[int], list[bool]]]()
        for talk in tokenized.talks:
            tokens, scored = list(opening), [False] * len(opening)
            for strings, piece in talk:
                begin = len(tokens)
                for string in strings:
                    tokens += numbers[string]
                if piece.closes == "yes" or (piece.closes == "if open" and tokens[-1:] and tokens[-1] not in self._ends):
                    tokens += self._eos()
                scored += [piece.scored] * (len(tokens) - begin)
            if scored:
                scored[0] = False  # nothing predicts the first token
            found.append((tokens, scored))
        return found

    def _strings(self, piece: Piece, *, is_first: bool) -> Sequence[str]:
        """What a piece is tokenized as.

        Tokenizers that put a space before a text would put one into the middle of a conversation: there a text stands behind a special
        token, which `_numbers` leaves out again.
        """
        if not self._anchor:
            return piece.texts
        return [
            text if (is_first and place == 0) or text in self._special_ids else self._anchor + text
            for place, text in enumerate(piece.texts)
        ]

    def _cut(self, tokens: Sequence[int], scored: Sequence[bool]) -> Encoded:
        num_cut = max(len(tokens) - self.max_length, 0)
        if num_cut:
            tokens, scored = tokens[: self.max_length], scored[: self.max_length]
        return Encoded(tuple(tokens), (0,) * len(tokens), tuple(scored), num_cut=num_cut)

    def _ids(self, text: str) -> list[int]:
        """Tokens of a text of the data that stands at the beginning of a sequence; what spells a special token in it stays text."""
        strings = self._strings(Piece(self._renderer.parts(text)), is_first=True) if text else ()
        numbers = self._numbers(strings)
        return [token for string in strings for token in numbers[string]]

    def _numbers(self, strings: Iterable[str]) -> dict[str, Sequence[int]]:
        """Tokens of each string, tokenized once; the anchor that it begins with is left out."""
        numbers: dict[str, Sequence[int]] = {token: (number,) for token, number in self._special_ids.items()}
        wanted = self._recent.take(strings, numbers)
        if not wanted:
            return numbers
        anchor, encodings = self._anchor, backend_of(self.tokenizer).encode_batch_fast(wanted, add_special_tokens=False)
        for string, encoding in zip(wanted, encodings, strict=True):
            numbers[string] = tokens = encoding.ids[1:] if anchor and string.startswith(anchor) else encoding.ids
            self._recent.keep(string, tokens)
        return numbers

    def _eos(self) -> list[int]:
        return [] if self.tokenizer.eos_token_id is None else [int(self.tokenizer.eos_token_id)]

    def _decoder_start(self) -> tuple[int, ...]:
        start = self.facts.decoder_start_token_id
        return (start if start is not None else self.facts.pad_token_id,)
