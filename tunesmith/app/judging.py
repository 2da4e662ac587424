"""What base and tuned models say to the same examples, as Outputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.types import AnswerObjective, Encoder, Example, HeadObjective, Labelled, Output, Row, Segment, Targets
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.generate import generate, longest_prompt
from tunesmith.engine.packing import evaluation_batches
from tunesmith.engine.scoring import Question, score_rows
from tunesmith.engine.scoring import score as score_choices
from tunesmith.evaluation.predict import (
    LIKELIHOOD_OF_A_TEXT,
    choose_by_likelihood,
    hear_head,
    label_bias,
    require_finite,
    score_batches,
    zero_shot_by_likelihood,
    zero_shot_by_similarity,
)

__all__ = [
    "EncodedSplit",
    "Speaker",
    "Written",
    "as_texts",
    "choose",
    "embed",
    "hear",
    "like_answers",
    "read_head",
    "score",
    "write_answers",
    "write_answers_to",
    "zero_shot",
]

Tick = Callable[[int], None]
WITHOUT_CONTENT = ("N/A", "[MASK]", "")
"""Texts that say nothing, as Zhao et al. (2021), https://arxiv.org/abs/2102.09690, take them."""


class Speaker(Protocol):
    """What it takes to let a model answer: the module, its encoder, and where its answers end."""

    @property
    def forward(self) -> PackedForward:
        """The model."""

    @property
    def encoder(self) -> Encoder:
        """What renders and tokenizes for it."""

    @property
    def stop_tokens(self) -> Sequence[int]:
        """The tokens that end an answer."""

    @property
    def micro_batch_tokens(self) -> int:
        """Tokens that are computed at a time."""


@dataclass(frozen=True, slots=True)
class EncodedSplit:
    """Examples that could be encoded, and their rows; `owners[i]` is the example of row i."""

    examples: Sequence[Example]
    rows: Sequence[Row]
    owners: Sequence[int]
    references: Sequence[str]


@dataclass(frozen=True, slots=True)
class Written:
    """Answers that a model wrote."""

    outputs: list[Output]
    num_cut: int
    """Those that had not ended when they were as long as they may be, or with their prompts as long as the model reads."""
    num_tokens: int
    """Of all answers, without those that end them."""
    tokens: Sequence[Sequence[int]] = ()
    """Of each answer."""


def _batches(speaker: Speaker, rows: Sequence[Row], tick: Tick) -> Iterator[tuple[Batch, list[int]]]:
    done = 0
    for batch, indices in evaluation_batches(rows, speaker.micro_batch_tokens, speaker.forward.facts):
        yield batch.to(speaker.forward.device), indices
        done += len(indices)
        tick(done)


def read_head(
    speaker: Speaker,
    objective: HeadObjective,
    examples: Sequence[Example],
    rows: Sequence[Row],
    owners: Sequence[int],
    tick: Tick = lambda done: None,
) -> list[Output]:
    """What the objective's head says to each example; `owners[i]` is the example of row i."""
    return objective.outputs(examples, rows, owners, hear(speaker, objective, rows, tick), speaker.encoder)


def hear(speaker: Speaker, objective: HeadObjective, rows: Sequence[Row], tick: Tick = lambda done: None) -> list[Tensor]:
    """The outputs of the objective's head for each row, as `HeadObjective.outputs` takes them."""
    heard = [torch.empty(0)] * len(rows)
    for batch, indices in _batches(speaker, rows, tick):
        for index, said in zip(indices, hear_head(speaker.forward, [batch], objective.head, objective.reads), strict=True):
            heard[index] = said
    return heard


def score(speaker: Speaker, split: EncodedSplit, tick: Tick = lambda done: None) -> list[Output]:
    """The likelihood of what each example scores, summed over its rows; its bytes are those of the scored tokens' text.

    What rows of a causal model begin with in common is computed once.
    """
    per_example = [Output(nll_nats=0.0) for _ in split.examples]
    facts = speaker.forward.facts
    is_tree = facts.is_causal and speaker.forward.paths.attention == "packed"
    for index, output in _scored_alike(speaker, split.rows, tick) if is_tree else _scored(speaker, split.rows, tick):
        owner = split.owners[index]
        sofar = per_example[owner]
        per_example[owner] = replace(
            sofar,
            nll_nats=sofar.nll_nats + output.nll_nats,
            num_tokens=sofar.num_tokens + output.num_tokens,
            num_bytes=sofar.num_bytes + output.num_bytes,
        )
    return per_example


def _scored(speaker: Speaker, rows: Sequence[Row], tick: Tick) -> Iterator[tuple[int, Output]]:
    """Each row by itself."""
    for batch, indices in _batches(speaker, rows, tick):
        sizes = [_num_bytes(speaker, row) for row in batch.rows]
        yield from zip(indices, score_batches(speaker.forward, [batch], sizes), strict=True)


def _scored_alike(speaker: Speaker, rows: Sequence[Row], tick: Tick) -> Iterator[tuple[int, Output]]:
    """Rows that begin alike together. Raises: Diverged, where a likelihood is not finite."""
    nats = score_rows(speaker.forward, rows, micro_batch_tokens=speaker.micro_batch_tokens, progress=tick)
    require_finite(torch.tensor(nats), LIKELIHOOD_OF_A_TEXT)
    for index, row in enumerate(rows):
        yield (
            index,
            Output(nll_nats=-nats[index], num_tokens=sum(weight > 0 for weight in row.targets.weights), num_bytes=_num_bytes(speaker, row)),
        )


def _num_bytes(speaker: Speaker, row: Row) -> int:
    return len(speaker.encoder.decode(row.targets.labels).encode("utf-8"))


def like_answers(speaker: Speaker, objective: AnswerObjective, split: EncodedSplit, tick: Tick = lambda done: None) -> list[Output]:
    """How much the model likes each answer of each example, as the objective scores them."""
    outputs = [Output()] * len(split.examples)
    speaker.forward.eval()
    with torch.no_grad():
        for batch, indices in _batches(speaker, split.rows, tick):
            said = objective.scores(speaker.forward, batch).double().cpu()
            require_finite(said, "The model's likelihood of an answer is not a finite number.")
            for index, own in zip(indices, torch.split(said, [len(row.answers) for row in batch.rows]), strict=True):
                scores = tuple(own.tolist())
                outputs[split.owners[index]] = Output(liked=scores[0]) if "liked" in objective.fills else Output(scores=scores)
    return outputs


def choose(speaker: Speaker, examples: Sequence[Example], tick: Tick = lambda done: None) -> list[Output]:
    """The likeliest of the answers that each example is judged among: as `label`, with the probabilities of all, and as `text`.

    Answers are rendered as in training, the end of the turn included. Raises: DataError, where an answer leaves no room for its question.
    """
    if not examples:
        return []
    found = [speaker.encoder.answers(example) for example in examples]
    for example, answers in zip(examples, found, strict=True):
        if max(map(len, answers)) >= speaker.encoder.max_length:
            raise DataError(
                f"{example.origin.file}:{example.origin.row}: an answer to choose is as long as the model reads ({speaker.encoder.max_length} tokens). "
                "Raise model.max_length, or leave the row out."
            )
    if speaker.forward.facts.is_encoder_decoder:
        nats = _translation_scores(speaker, examples, found, tick)
    else:  # of a question that is too long its end is read
        questions = [
            Question(speaker.encoder.prompt(example)[-(speaker.encoder.max_length - max(map(len, answers))) :], answers)
            for example, answers in zip(examples, found, strict=True)
        ]
        nats = _choices_scored(speaker, questions, tick)
    choices = [speaker.encoder.choices(example) for example in examples]
    outputs = choose_by_likelihood(nats, [[len(answer) for answer in answers] for answers in found], choices)
    return [replace(output, text=output.label) for output in outputs]


def _choices_scored(speaker: Speaker, questions: Sequence[Question], tick: Tick) -> list[list[float]]:
    return score_choices(speaker.forward, questions, micro_batch_tokens=speaker.micro_batch_tokens, progress=tick)


def _translation_scores(
    speaker: Speaker, examples: Sequence[Example], found: Sequence[Sequence[tuple[int, ...]]], tick: Tick
) -> list[list[float]]:
    """The log-likelihood of each answer, nats, of an encoder-decoder that reads the question as its source."""
    rows, owners = list[Row](), list[int]()
    for index, (example, answers) in enumerate(zip(examples, found, strict=True)):
        source, start = Segment(speaker.encoder.encode(example).source), speaker.encoder.prompt(example)
        for answer in answers:
            positions = tuple(range(len(start) - 1, len(start) - 1 + len(answer)))
            targets = Targets(positions, answer, (1.0,) * len(answer), (0,) * len(answer))
            rows.append(Row((Segment((*start, *answer)),), example.origin, targets, source=source))
            owners.append(index)
    scores, by_row = [list[float]() for _ in examples], [0.0] * len(rows)
    for batch, indices in _batches(speaker, rows, lambda done: tick(done * len(examples) // len(rows))):
        for index, output in zip(indices, score_batches(speaker.forward, [batch], [0] * len(indices)), strict=True):
            by_row[index] = -output.nll_nats
    for owner, nats in zip(owners, by_row, strict=True):
        scores[owner].append(nats)
    return scores


def write_answers(speaker: Speaker, examples: Sequence[Example], max_new_tokens: int, tick: Tick | None = None) -> Written:
    """The model's own greedy answer to each example, as text without surrounding space."""
    reads_source = speaker.forward.facts.is_encoder_decoder
    prompts = [speaker.encoder.encode(e).source for e in examples] if reads_source else speaker.encoder.prompts(examples)
    return write_answers_to(speaker, prompts, max_new_tokens, tick)


def write_answers_to(speaker: Speaker, prompts: Sequence[Sequence[int]], max_new_tokens: int, tick: Tick | None = None) -> Written:
    """The greedy answer to each prompt (of an encoder-decoder, to each source), as text without surrounding space."""
    facts = speaker.forward.facts
    answers = generate(speaker.forward, prompts, max_new_tokens=max_new_tokens, stop_tokens=speaker.stop_tokens, progress=tick)
    num_cut = 0
    for prompt, answer in zip(prompts, answers, strict=True):
        used = 0 if facts.is_encoder_decoder else min(len(prompt), longest_prompt(facts)) + len(answer)
        num_cut += len(answer) >= max_new_tokens or used >= facts.max_length
    return Written(as_texts(speaker, answers), num_cut, sum(map(len, answers)), answers)


def as_texts(speaker: Speaker, answers: Sequence[Sequence[int]]) -> list[Output]:
    """Answers of tokens, as text without surrounding space."""
    return [Output(text=speaker.encoder.decode(answer).strip()) for answer in answers]


def zero_shot(
    speaker: Speaker,
    examples: Sequence[Example],
    label_texts: Sequence[str],
    tokenizer: Any,
    tick: Tick = lambda done: None,
    *,
    calibrate: bool = False,
) -> list[Output]:
    """Labels without any training: by the likelihood of the labels' words (language models), else by their similarity to the text (encoders).

    Args:
        calibrate: of a language model, whether what it says after texts without content is taken off (`evaluation.predict.label_bias`).
    """
    labels = speaker.encoder.labels
    if speaker.forward.facts.has_lm_head and not speaker.forward.facts.is_encoder_decoder:
        words = [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in label_texts]
        room = speaker.encoder.max_length - max(map(len, words))
        if room < 1 or not all(words):
            raise RecipeError(
                "data.label_texts: each label needs words, and fewer than the model takes. Write words that stand for the label."
            )
        # Of a text that is too long its end is read: there the question stands.
        questions = [Question(prompt[-room:], words) for prompt in speaker.encoder.prompts(examples)]
        scores = torch.tensor(_choices_scored(speaker, questions, tick), dtype=torch.float64)
        bias = _label_bias(speaker, examples, words, room) if calibrate else None
        return zero_shot_by_likelihood(scores.clamp(max=0.0), labels, [len(w) for w in words], bias)
    texts = embed(speaker, examples, tick)
    names = embed(speaker, [Labelled(text, None, examples[0].origin) for text in label_texts])
    return zero_shot_by_similarity(texts, names, labels)


def _label_bias(speaker: Speaker, examples: Sequence[Example], words: Sequence[tuple[int, ...]], room: int) -> Tensor:
    """Of each row what the model gives the labels after texts without content that are asked as the row is, shape (examples, labels)."""
    empty = [_without_content(example, text) for example in examples for text in WITHOUT_CONTENT]
    prompts = [prompt[-room:] for prompt in speaker.encoder.prompts(empty)]
    asked = [tuple(prompts[at : at + len(WITHOUT_CONTENT)]) for at in range(0, len(prompts), len(WITHOUT_CONTENT))]
    alike = {three: number for number, three in enumerate(dict.fromkeys(asked))}  # most rows are asked alike
    scores = _choices_scored(speaker, [Question(prompt, words) for three in alike for prompt in three], lambda done: None)
    of_texts = torch.tensor(scores, dtype=torch.float64).reshape(len(alike), len(WITHOUT_CONTENT), len(words))
    biases = [label_bias(one, [len(word) for word in words]) for one in of_texts]
    return torch.stack([biases[alike[three]] for three in asked])


def _without_content(example: Example, text: str) -> Labelled:
    assert isinstance(example, Labelled)
    return replace(example, text=text, text_pair=None if example.text_pair is None else text)


def embed(speaker: Speaker, examples: Sequence[Example], tick: Tick = lambda done: None) -> Tensor:
    """The mean of each text's last hidden states, (examples, H), as sentence encoders are read; zeros for a text without tokens."""
    rows, places = list[Row](), list[int]()
    for place, example in enumerate(examples):
        encoded = speaker.encoder.encode(example)
        if encoded.tokens:
            rows.append(Row((Segment(encoded.tokens, encoded.token_types, vectors=encoded.vectors),), example.origin))
            places.append(place)
    vectors = torch.zeros(len(examples), speaker.forward.facts.hidden_size)
    speaker.forward.eval()
    with torch.no_grad():
        for batch, indices in _batches(speaker, rows, tick):
            hidden = speaker.forward.hidden(batch).float().cpu()
            for index, start, end in zip(indices, batch.stream.bounds, batch.stream.bounds[1:], strict=False):
                vectors[places[index]] = hidden[start:end].mean(0)
    return vectors
