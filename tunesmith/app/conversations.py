"""`tunesmith conversations`: how well base and tuned model hold a conversation together, turn by turn and fact by fact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from tunesmith.app.dataset import prepare_data
from tunesmith.app.interruption import Interruption
from tunesmith.app.judging import EncodedSplit, score
from tunesmith.app.learned import learned, require_language_model
from tunesmith.app.tuned import Tuned, load_tuned, load_untuned
from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.events import Event, Progress, Stage
from tunesmith.core.files import finite, write_json
from tunesmith.core.run import RunDirectory
from tunesmith.core.statistics import PairedIntervals, compare_proportions, holm
from tunesmith.core.types import Chat, Example, Metric, Output, Prompt, Row
from tunesmith.engine.generate import longest_prompt
from tunesmith.evaluation.recall import DEPTHS, DISTANCES, Fact, draw_facts, is_recalled
from tunesmith.evaluation.score import paired
from tunesmith.report import render

__all__ = ["measure_conversations"]

_ANSWER_TOKENS = 24
_FEWEST_ROWS = 5
"""Conversations that have a turn; of a turn that fewer have nothing is said."""
Say = Callable[[Event], None]
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Turn:
    """A conversation up to one of its answers, which alone is scored."""

    number: int
    """From 1."""
    chat: Chat


@dataclass(frozen=True, slots=True)
class _Question:
    """A fact that is asked for."""

    axis: Literal["turns_back", "depth"]
    place: float | None
    """On that axis; None: the fact was never stated."""
    fact: Fact
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a model said of turns and to questions, in their order."""

    turns: list[Output]
    answers: list[Output]


def measure_conversations(
    run: RunDirectory, *, facts: int = 64, tokens: int = 1024, limit: int = 200, seed: int = 0, progress: Say | None = None
) -> dict[str, Any]:
    """A run's language model and its base: how likely each turn of the test conversations is, and whether facts that were stated are found again.

    The document is kept in the run, and its report written again with it.

    Args:
        facts: so many are asked for at each distance and depth.
        tokens: of the contexts in which a fact is looked for at five depths; fewer where the model reads less.
        limit: so many test conversations at most, the first.
    Returns: {schema, run, facts, context_tokens, by_turn, by_distance, by_depth, left_out}. A line of the three lists is {turn | turns_back | depth,
        higher_is_better, rows, base, tuned, difference}: bits per byte of a turn, or the share of facts that were found; `turns_back` is None where the fact
        was never stated. `p_holm` is corrected for the lines of its list.
    Raises: UsageError, where the run tuned no model that answers.
    """
    known = learned(run)
    require_language_model(known.kind)
    if known.kind != "generation":
        raise UsageError(f"{run.path}: a run of {known.kind.replace('_', ' ')} learned texts, not answers: it holds no conversation.")
    with Interruption() as interruption:
        say = interruption.checked(progress)
        say(Stage("data", known.recipe.data.named))
        turns = _turns(prepare_data(known.recipe).test, limit)
        say(Stage("evaluate", "the tuned model"))
        speaker = load_tuned(run)
        questions, left_out, context_tokens = _questions(speaker, draw_facts(facts, seed=seed), tokens)
        tuned = _heard(speaker, turns, questions, say)
        say(Stage("evaluate", "the base"))
        base = _heard(load_untuned(known.recipe, known.objective, known.kind, known.format), turns, questions, say)
    by_turn = _by_turn(turns, base.turns, tuned.turns, seed)
    document: dict[str, Any] = finite(
        {
            "schema": "tunesmith/conversations/1",
            "run": run.id,
            "facts": facts,
            "context_tokens": context_tokens,
            "by_turn": by_turn,
            "by_distance": _by_place("turns_back", questions, base.answers, tuned.answers),
            "by_depth": _by_place("depth", questions, base.answers, tuned.answers),
            "left_out": left_out + ([] if by_turn else ["turns: too few conversations of the test split have several answers."]),
        }
    )
    write_json(run.conversations, document)
    render(run)
    return document


def _turns(test: Sequence[Example], limit: int) -> list[_Turn]:
    """Every learned answer of the conversations that have several."""
    found = list[_Turn]()
    talks = [example for example in test if isinstance(example, Chat) and sum(m.role == "assistant" for m in example.messages) > 1]
    for talk in talks[:limit]:
        read = tuple(replace(message, learned=False) for message in talk.messages)
        answers = [place for place, message in enumerate(talk.messages) if message.role == "assistant"]
        for number, place in enumerate(answers, 1):
            if talk.messages[place].learned:
                found.append(_Turn(number, replace(talk, messages=(*read[:place], talk.messages[place]))))
    return found


def _questions(speaker: Tuned, facts: Sequence[Fact], tokens: int) -> tuple[list[_Question], list[str], int]:
    """What fits in the model's context; what does not, in words; and the tokens of the longest context that a fact is looked for in by depth."""
    most = longest_prompt(speaker.model.facts)
    room = min(most, tokens)
    found = [_Question("turns_back", None, fact, fact.prompt(0, 0, is_stated=False)) for fact in facts]
    left_out = list[str]()
    for distance in DISTANCES:
        asked = [_Question("turns_back", distance, fact, fact.prompt(0, distance)) for fact in facts]
        if max(_lengths(speaker, asked)) > most:
            left_out.append(
                f"facts {distance} turns back and more: the conversation would be longer than the {most:,} tokens that the model reads."
            )
            break
        found += asked
    longest, num_exchanges = 0, 0
    while (length := max(_lengths(speaker, _at_depth(facts, 0.0, num_exchanges + 1)))) <= room:
        longest, num_exchanges = length, num_exchanges + 1
    if num_exchanges < len(DEPTHS) - 1:
        left_out.append(f"depths: {room:,} tokens hold no conversation of {len(DEPTHS)} turns.")
        return found, left_out, 0
    return found + [question for depth in DEPTHS for question in _at_depth(facts, depth, num_exchanges)], left_out, longest


def _at_depth(facts: Sequence[Fact], depth: float, num_exchanges: int) -> list[_Question]:
    before = round(depth * num_exchanges)
    return [_Question("depth", depth, fact, fact.prompt(before, num_exchanges - before)) for fact in facts]


def _lengths(speaker: Tuned, questions: Sequence[_Question]) -> list[int]:
    """Tokens of each prompt."""
    prompts = [question.prompt for question in questions]
    if speaker.model.facts.is_encoder_decoder:
        return [len(speaker.encoder.encode(prompt).source) + speaker.encoder.encode(prompt).num_cut for prompt in prompts]
    return [len(prompt) for prompt in speaker.encoder.prompts(prompts)]


def _heard(speaker: Tuned, turns: Sequence[_Turn], questions: Sequence[_Question], say: Say) -> _Heard:
    rows, owners = list[Row](), list[int]()
    for index, turn in enumerate(turns):
        found = speaker.objective.encode(turn.chat, speaker.encoder)
        rows += found
        owners += [index] * len(found)
    total = len(rows) + len(questions)
    split = EncodedSplit([turn.chat for turn in turns], rows, owners, [""] * len(turns))
    scored = score(speaker, split, lambda done: say(Progress("evaluate", done, total)))
    prompts = [question.prompt for question in questions]
    answers = speaker.ask(prompts, _ANSWER_TOKENS, lambda done: say(Progress("evaluate", len(rows) + done, total)))
    return _Heard(scored, answers.outputs)


def _by_turn(turns: Sequence[_Turn], base: Sequence[Output], tuned: Sequence[Output], seed: int) -> list[Line]:
    metric: Metric = registry.create("metric", "bits_per_byte")
    lines = list[Line]()
    for number in sorted({turn.number for turn in turns}):
        own = [place for place, turn in enumerate(turns) if turn.number == number and tuned[place].num_bytes]
        if len(own) >= _FEWEST_ROWS:
            sides = [np.array([metric.stats(turns[place].chat, said[place], "") for place in own]) for said in (base, tuned)]
            lines.append(_line({"turn": number, "higher_is_better": False}, len(own), paired(metric, sides[0], sides[1], None, seed)))
    return _corrected(lines)


def _by_place(axis: str, questions: Sequence[_Question], base: Sequence[Output], tuned: Sequence[Output]) -> list[Line]:
    lines = list[Line]()
    for place in dict.fromkeys(question.place for question in questions if question.axis == axis):
        own = [index for index, question in enumerate(questions) if (question.axis, question.place) == (axis, place)]
        right = [np.array([is_recalled(questions[index].fact, said[index].text or "") for index in own]) for said in (base, tuned)]
        lines.append(_line({axis: place, "higher_is_better": True}, len(own), compare_proportions(right[0], right[1])))
    return _corrected(lines)


def _line(where: Mapping[str, Any], num_rows: int, found: PairedIntervals) -> Line:
    return {**where, "rows": num_rows, **asdict(found)}


def _corrected(lines: list[Line]) -> list[Line]:
    for line, p in zip(lines, holm([line["difference"]["p"] for line in lines]), strict=True):
        line["difference"]["p_holm"] = p
    return lines
