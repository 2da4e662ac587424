"""Examples to tokens: the one encoder, for training, evaluation and chat alike."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import hash_of
from tunesmith.core.types import Encoded, Example, Labelled, ModelFacts, Text
from tunesmith.data._look_alikes import LookAlikes, special_tokens, stands_alone
from tunesmith.data.render import LossOn, Piece, Renderer
from tunesmith.data.wording import Wording

__all__ = ["TextEncoder", "leading_bos"]


def leading_bos(tokenizer: Any) -> tuple[int, ...]:
    """The beginning-of-sequence token, where a tokenizer puts one before every text."""
    bos = tokenizer.bos_token_id
    has_bos = bos is not None and tokenizer("a", add_special_tokens=True, verbose=False)["input_ids"][:1] == [bos]
    return (int(bos),) if has_bos else ()


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
    """How the user's turn of pairs and labelled texts is worded; of several, a row gets one by `seed`, its number and its text."""
    system: str | None = None
    labelled_as: Literal["class", "answer"] = "class"
    """Whether a labelled text is encoded for a classifier's head, or as a request with the label's name as its answer."""
    loss_on: LossOn = "assistant"
    """What is learned of a conversation."""
    seed: int = 0
    _renderer: Renderer = field(init=False, repr=False, compare=False)
    _anchor: str = field(init=False, repr=False, compare=False)
    _bos: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """The beginning-of-sequence token, where the tokenizer puts one."""
    _special_ids: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _special_tokens: LookAlikes = field(init=False, repr=False, compare=False)
    _stands_alone: bool = field(init=False, repr=False, compare=False)
    _ends: frozenset[int] = field(init=False, repr=False, compare=False)
    """Special tokens: an answer ends with one of them."""

    def __post_init__(self) -> None:
        length = self.max_length or self.facts.max_length
        if not 2 <= length <= self.facts.max_length:
            raise RecipeError(f"model.max_length: {length}; {self.facts.name} takes 2 to {self.facts.max_length} tokens.")
        wording = Wording.of(self.template, self.labels, self.seed)
        object.__setattr__(self, "max_length", length)
        object.__setattr__(self, "_renderer", Renderer(self.tokenizer, self.facts.name, wording, self.system, self.loss_on))
        object.__setattr__(self, "_anchor", self._find_anchor())
        object.__setattr__(self, "_bos", leading_bos(self.tokenizer))
        special = special_tokens(self.tokenizer)
        object.__setattr__(self, "_special_ids", special)
        object.__setattr__(self, "_special_tokens", LookAlikes(special))
        object.__setattr__(self, "_stands_alone", stands_alone(self.tokenizer))
        object.__setattr__(self, "_ends", frozenset(special.values()))

    def encode(self, example: Example) -> Encoded:
        """Render and tokenize; cut on the right to `max_length`, counting what was cut."""
        return self.encode_all([example])[0]

    def encode_all(self, examples: Sequence[Example]) -> list[Encoded]:
        """As `encode`, of many: conversations are rendered and tokenized together, which is many times quicker."""
        found = dict[int, Encoded]()
        talks = [place for place, example in enumerate(examples) if self.is_conversation(example)]
        if talks:
            rendered = self._renderer.pieces([examples[place] for place in talks])
            found = dict(zip(talks, self.assembled(rendered), strict=True))
        return [found[place] if place in found else self._encoded(example) for place, example in enumerate(examples)]

    def is_conversation(self, example: Example) -> bool:
        """Whether an example is rendered as a conversation: not raw text, nothing for a classifier's head, nothing for an encoder-decoder."""
        is_class = isinstance(example, Labelled) and self.labelled_as == "class"
        return not (isinstance(example, Text) or is_class or self.facts.is_encoder_decoder)

    def rendered(self, examples: Sequence[Example]) -> list[list[Piece]]:
        """Conversations as pieces of text, for `assembled`. Raises: ModelError, naming the row, where a chat template fails."""
        return self._renderer.pieces(examples)

    def assembled(self, rendered: Sequence[Sequence[Piece]]) -> list[Encoded]:
        """What `rendered` gave, tokenized in one go and cut to `max_length`."""
        return [self._cut(tokens, scored) for tokens, scored in self._tokens(rendered)]

    def _encoded(self, example: Example) -> Encoded:
        if isinstance(example, Text):
            tokens = self._document(example.text)
            return self._cut(tokens, [False] + [True] * (len(tokens) - 1))
        if isinstance(example, Labelled) and self.labelled_as == "class":
            return self._classified(example)
        return self._translated(example)

    def windows(self, example: Text) -> list[Encoded]:
        """A text of any length, and the end-of-sequence token after it, as sequences of at most `max_length`.

        Each sequence begins with the last token of the one before, so that every token but the very first is scored, once.
        """
        tokens = self._document(example.text)
        step = self.max_length - 1
        parts = [tokens[at : at + self.max_length] for at in range(0, max(len(tokens) - 1, 1), step)]
        return [Encoded(tuple(part), (0,) * len(part), (False,) + (True,) * (len(part) - 1)) for part in parts if part]

    def prompt(self, example: Example) -> tuple[int, ...]:
        """The tokens that the model continues when it is asked to answer `example`; never cut.

        Of raw text that is the text itself; of an encoder-decoder its decoder's first token (`source` of `encode` is what it reads).
        """
        return self.prompts([example])[0]

    def prompts(self, examples: Sequence[Example]) -> list[tuple[int, ...]]:
        """As `prompt`, of many: conversations are rendered and tokenized together, which is many times quicker."""
        if self.facts.is_encoder_decoder:
            return [(*self._bos, *self._ids(example.text)) if isinstance(example, Text) else self._decoder_start() for example in examples]
        talks = [example for example in examples if not isinstance(example, Text)]
        asked = iter(self._tokens(self._renderer.pieces(talks, answered=False)) if talks else ())
        return [(*self._bos, *self._ids(example.text)) if isinstance(example, Text) else tuple(next(asked)[0]) for example in examples]

    def reference(self, example: Example) -> str:
        """The answer that `example` holds to its own `prompt`; of raw text, the text."""
        if isinstance(example, Text):
            return example.text
        answer = self._renderer.conversation(example)[1]
        return answer.content if answer else ""

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
        model = (facts.is_causal, facts.is_encoder_decoder, facts.has_token_types, facts.decoder_start_token_id)
        wording = self._renderer.wording
        choice = (wording.templates, self.seed if len(wording.templates) > 1 else 0)
        words = (tokenizer.chat_template, self.labels, choice, self.system, self.labelled_as, self.loss_on)
        return hash_of(own, special, words, self.max_length, model)

    def _document(self, text: str) -> list[int]:
        return [*self._bos, *self._ids(text), *self._eos()]

    def _classified(self, example: Labelled) -> Encoded:
        """A text, or two, for a classifier's head. A causal model, which reads the last token, gets the template and an end of sequence."""
        if self.facts.is_encoder_decoder:
            source, _, num_cut = self._special(example.text, example.text_pair)
            return Encoded(self._decoder_start(), (0,), (False,), source=source, num_cut=num_cut)
        if not self.facts.is_causal:
            tokens, types, num_cut = self._special(example.text, example.text_pair)
            return Encoded(tokens, types, (False,) * len(tokens), num_cut=num_cut)
        eos = self._eos()
        body = [*self._bos, *self._ids(self._renderer.wording.request(example))]
        kept = body[: self.max_length - len(eos)] + eos
        return Encoded(tuple(kept), (0,) * len(kept), (False,) * len(kept), num_cut=len(body) + len(eos) - len(kept))

    def _special(self, text: str, pair: str | None, *, cuts: bool = True) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """(tokens, token types, tokens left out) with the tokenizer's special tokens, which are kept when the text, or the longer of two, is cut."""
        from tokenizers import Encoding

        backend, texts = self._backend(), [text] if pair is None else [text, pair]
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
        turns, answer = self._renderer.conversation(example)
        source, _, num_cut = self._special("\n\n".join(turn.content for turn in turns), None)
        target = list(self._special(answer.content, None, cuts=False)[0]) if answer else []
        eos = self._eos()
        if answer and target[-1:] != eos:
            target += eos
        whole = [*self._decoder_start(), *target]
        tokens = whole[: self.max_length]
        scored = (False,) + (True,) * (len(tokens) - 1)
        return Encoded(tuple(tokens), (0,) * len(tokens), scored, source=source, num_cut=num_cut + len(whole) - len(tokens))

    def _tokens(self, rendered: Sequence[Sequence[Piece]]) -> list[tuple[list[int], list[bool]]]:
        """Of each list of pieces its tokens, and whether each is scored; all that is to be tokenized goes to the tokenizer at once."""
        talks = [[self._strings(piece, is_first=place == 0) for place, piece in enumerate(pieces)] for pieces in rendered]
        numbers = self._numbers(string for strings in talks for parts in strings for string in parts)
        opening = () if self.tokenizer.chat_template else self._bos
        found = list[tuple[list[int], list[bool]]]()
        for pieces, strings in zip(rendered, talks, strict=True):
            tokens, scored = list(opening), [False] * len(opening)
            for piece, parts in zip(pieces, strings, strict=True):
                begin = len(tokens)
                for part in parts:
                    tokens += numbers[part]
                if piece.closes == "yes" or (piece.closes == "if open" and tokens[-1:] and tokens[-1] not in self._ends):
                    tokens += self._eos()
                scored += [piece.scored] * (len(tokens) - begin)
            if scored:
                scored[0] = False  # nothing predicts the first token
            found.append((tokens, scored))
        return found

    def _strings(self, piece: Piece, *, is_first: bool) -> list[str]:
        """What a piece is tokenized as: its special tokens, and what is between them, which many conversations have in common.

        Tokenizers that put a space before a text would put one into the middle of a conversation: there a text stands behind a special
        token, which `_numbers` leaves out again.
        """
        found = list[str]()
        for text in piece.texts:
            for part in self._special_tokens.split(text) if self._stands_alone else (text,):
                if part:
                    found.append(part if (is_first and not found) or part in self._special_ids else self._anchor + part)
        return found

    def _cut(self, tokens: Sequence[int], scored: Sequence[bool]) -> Encoded:
        kept = min(len(tokens), self.max_length)
        return Encoded(tuple(tokens[:kept]), (0,) * kept, tuple(scored[:kept]), num_cut=len(tokens) - kept)

    def _ids(self, text: str) -> list[int]:
        """Tokens of a text of the data that stands at the beginning of a sequence; what spells a special token in it stays text."""
        strings = self._strings(Piece(self._renderer.parts(text)), is_first=True)
        numbers = self._numbers(strings)
        return [token for string in strings for token in numbers[string]]

    def _numbers(self, strings: Iterable[str]) -> dict[str, list[int]]:
        """Tokens of each string, tokenized once; the anchor that it begins with is left out."""
        numbers = {token: [number] for token, number in self._special_ids.items()}
        wanted = [string for string in dict.fromkeys(strings) if string not in numbers]
        if not wanted:
            return numbers
        encodings = self._backend().encode_batch_fast(wanted, add_special_tokens=False)
        anchor = self._anchor
        if not anchor:
            numbers.update(zip(wanted, (encoding.ids for encoding in encodings), strict=True))
            return numbers
        for string, encoding in zip(wanted, encodings, strict=True):
            numbers[string] = encoding.ids[1:] if string.startswith(anchor) else encoding.ids
        return numbers

    def _backend(self) -> Any:
        """The tokenizer itself, which cuts and pads nothing, and finds the special tokens that a text holds."""
        backend = self.tokenizer.backend_tokenizer
        if backend.truncation is not None:  # as some are published
            backend.no_truncation()
        if backend.padding is not None:
            backend.no_padding()
        if backend.encode_special_tokens:
            backend.encode_special_tokens = False
        return backend

    def _find_anchor(self) -> str:
        """A special token that a text in the middle of a sequence is put behind, where it makes a difference."""
        anchor = self.tokenizer.eos_token
        if not anchor:
            return ""

        def ids(text: str) -> list[int]:
            return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

        eos, alone, behind = self.tokenizer.eos_token_id, ids("word"), ids(anchor + "word")
        return str(anchor) if behind[:1] == [eos] and behind[1:] != alone else ""

    def _eos(self) -> list[int]:
        return [] if self.tokenizer.eos_token_id is None else [int(self.tokenizer.eos_token_id)]

    def _decoder_start(self) -> tuple[int, ...]:
        start = self.facts.decoder_start_token_id
        return (start if start is not None else self.facts.pad_token_id,)
