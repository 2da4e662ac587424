"""`tunesmith conversations`: how well base and tuned model hold a conversation together, turn by turn and fact by fact."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from tunesmith.app.dataset import prepare_data
from tunesmith.app.interruption import Interruption
from tunesmith.app.judging import EncodedSplit, score
from tunesmith.app.learned import answers, learned, require_language_model, require_trained
from tunesmith.app.tuned import Tuned, load_tuned, load_untuned, saved_model
from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.events import Event, Progress, Stage
from tunesmith.core.files import finite, write_json
from tunesmith.core.run import RunDirectory
from tunesmith.core.statistics import compare_proportions, holm
from tunesmith.core.types import Chat, Example, Metric, Output, Prompt, Row
from tunesmith.data.encode import Watching
from tunesmith.engine.generate import longest_prompt
from tunesmith.evaluation.recall import DEPTHS, DISTANCES, MOST_FACTS, Fact, draw_facts, is_recalled
from tunesmith.evaluation.score import groups_of, paired
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

    turns: list[Output | None]
    """None of a turn that the model does not read whole."""
    answers: list[Output]
    num_cut: int
    """Answers that had not ended after as many tokens as they may have."""


def measure_conversations(
    run: RunDirectory, *, facts: int = 64, tokens: int = 1024, limit: int = 200, seed: int = 0, progress: Say | None = None
) -> dict[str, Any]:
    """A run's language model and its base: how likely each turn of the test conversations is, and whether facts that were stated are found again.

    The document is kept in the run, and its report written again with it.

    Args:
        facts: so many are asked for at each distance and depth.
        tokens: of the contexts in which a fact is looked for at five depths; fewer where the model reads less.
        limit: so many test conversations at most, the first.
    Returns: {schema, run, facts, context_tokens, by_turn, by_distance, by_depth, cut, left_out}. A line of the three lists is {turn | turns_back | depth,
        higher_is_better, rows, base, tuned, difference}: bits per byte of a turn, or the share of facts that were found; `turns_back` is None where the fact
        was never stated. `p_holm` is corrected for the lines of its list. `cut` is {answers, max_new_tokens, base, tuned}: of so many answers of each side to
        the questions for a fact, those that had not ended after so many tokens.
    Raises: UsageError, where the run tuned no model that answers, or there are not so many facts.
    """
    known = learned(run)
    require_language_model(known.kind)
    require_trained(known, run.id)
    if not answers(known.kind):
        raise UsageError(f"{run.path}: a run of {known.kind.replace('_', ' ')} learned texts, not answers: it holds no conversation.")
    if not 0 < facts <= MOST_FACTS:
        raise UsageError(f"facts: found {facts}, expected 1 to {MOST_FACTS}: there are no more different ones.")
    with Interruption() as interruption:
        say = interruption.checked(progress)
        say(Stage("data", known.recipe.data.named))
        turns = _turns(prepare_data(known.recipe).test, limit)
        say(Stage("evaluate", "the tuned model"))
        speaker, drawn = load_tuned(run), draw_facts(facts, seed=seed)
        questions, left_out, context_tokens = _questions(speaker, drawn, tokens)
        tuned = _heard(speaker, turns, questions, say)
        say(Stage("evaluate", "the base"))
        untuned = load_untuned(known.recipe, speaker.objective, known.kind, known.format, saved_model(run))
        base = _heard(untuned, turns, questions, say)
    by_turn = _by_turn(turns, base.turns, tuned.turns, seed)
    if num_cut := sum(None in pair for pair in zip(base.turns, tuned.turns, strict=True)):
        left_out.append(f"{num_cut:,} answers of the test conversations: longer than the model reads.")
    if not by_turn:
        left_out.append("answers by turn: too few conversations of the test split have several.")
    document: dict[str, Any] = finite(
        {
            "schema": "tunesmith/conversations/1",
            "run": run.id,
            "facts": facts,
            "context_tokens": context_tokens,
            "by_turn": by_turn,
            "by_distance": _by_place("turns_back", questions, drawn, base.answers, tuned.answers),
            "by_depth": _by_place("depth", questions, drawn, base.answers, tuned.answers),
            "cut": {"answers": len(questions), "max_new_tokens": _ANSWER_TOKENS, "base": base.num_cut, "tuned": tuned.num_cut},
            "left_out": left_out,
        }
    )
    write_json(run.conversations, document)
    render(run)
    return document


def _turns(test: Sequence[Example], limit: int) -> list[_Turn]:
    """Every learned answer of the conversations that have several; one that nobody asked for is no answer."""
    found = list[_Turn]()
    talks = [example for example in test if isinstance(example, Chat) and len(_answers(example)) > 1]
    for talk in talks[:limit]:
        read = tuple(replace(message, learned=False) for message in talk.messages)
        for number, place in enumerate(_answers(talk), 1):
            if talk.messages[place].learned:
                found.append(_Turn(number, replace(talk, messages=(*read[:place], talk.messages[place]))))
    return found


def _answers(talk: Chat) -> list[int]:
    """Where the assistant answers."""
    roles = [message.role for message in talk.messages]
    return [place for place, role in enumerate(roles) if role == "assistant" and {"user", "tool"} & set(roles[:place])]


def _questions(speaker: Tuned, facts: Sequence[Fact], tokens: int) -> tuple[list[_Question], list[str], int]:
    """What fits in the model's context, with its answer; what does not, in words; and the tokens of the longest context in which a fact is looked for by depth."""
    read = speaker.model.facts
    most = longest_prompt(read) - (0 if read.is_encoder_decoder else _ANSWER_TOKENS - 1)
    room = min(most, tokens)
    kinds = {fact.question: fact for fact in reversed(facts)}
    found = [_Question("turns_back", None, fact, fact.prompt(0, 0, is_stated=False)) for fact in kinds.values()]
    left_out = list[str]()
    for distance in DISTANCES:
        asked = [_Question("turns_back", distance, fact, fact.prompt(0, distance)) for fact in facts]
        if max(_lengths(speaker, asked)) > most:
            left_out.append(
                f"facts {distance} exchanges back and more: the conversation would be longer than the {most:,} tokens that the model reads before an answer."
            )
            break
        found += asked
    num_exchanges, longest = _exchanges_in(speaker, facts, room)
    if num_exchanges < len(DEPTHS) - 1:
        left_out.append(f"depths: {max(room, 0):,} tokens hold no {len(DEPTHS)} places for a fact.")
        return found, left_out, 0
    return found + [question for depth in DEPTHS for question in _at_depth(facts, depth, num_exchanges)], left_out, longest


def _exchanges_in(speaker: Tuned, facts: Sequence[Fact], room: int) -> tuple[int, int]:
    """How many exchanges fit in so many tokens beside any of the facts, and how many tokens the longest conversation of that number has."""

    def length(number: int, some: Sequence[Fact]) -> int:
        return max(_lengths(speaker, _at_depth(some, 0.0, number)))

    fits, too_many = 0, 1
    while length(too_many, facts[:1]) <= room:
        fits, too_many = too_many, 2 * too_many
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if length(middle, facts[:1]) <= room else (fits, middle)
    while fits and (longest := length(fits, facts)) > room:  # others have longer exchanges
        fits -= 1
    return (fits, longest) if fits else (0, 0)


def _at_depth(facts: Sequence[Fact], depth: float, num_exchanges: int) -> list[_Question]:
    before = round(depth * num_exchanges)
    return [_Question("depth", depth, fact, fact.prompt(before, num_exchanges - before)) for fact in facts]


def _lengths(speaker: Tuned, questions: Sequence[_Question]) -> list[int]:
    """Tokens of each prompt."""
    prompts = [question.prompt for question in questions]
    if speaker.model.facts.is_encoder_decoder:
        encoded = [speaker.encoder.encode(prompt) for prompt in prompts]
        return [len(one.source) + one.num_cut for one in encoded]
    return [len(prompt) for prompt in speaker.encoder.prompts(prompts)]


def _heard(speaker: Tuned, turns: Sequence[_Turn], questions: Sequence[_Question], say: Say) -> _Heard:
    watching = Watching(replace(speaker.encoder, loss_on="last"))
    rows, owners, whole = list[Row](), list[int](), set[int]()
    for index, turn in enumerate(turns):
        before = watching.num_cut
        found = speaker.objective.encode(turn.chat, watching)
        if found and watching.num_cut == before:
            whole.add(index)
            rows += found
            owners += [index] * len(found)
    total = len(rows) + len(questions)
    split = EncodedSplit([turn.chat for turn in turns], rows, owners, [""] * len(turns))
    scored = score(speaker, split, lambda done: say(Progress("evaluate", done, total)))
    prompts = [question.prompt for question in questions]
    answers = speaker.ask(prompts, _ANSWER_TOKENS, lambda done: say(Progress("evaluate", len(rows) + done, total)))
    return _Heard([output if index in whole else None for index, output in enumerate(scored)], answers.outputs, answers.num_cut)


def _by_turn(turns: Sequence[_Turn], base: Sequence[Output | None], tuned: Sequence[Output | None], seed: int) -> list[Line]:
    metric: Metric = registry.create("metric", "bits_per_byte")
    both = {turn: (one, other) for turn, one, other in zip(turns, base, tuned, strict=True) if one and other}
    lines = list[Line]()
    for number in sorted({turn.number for turn in both}):
        own = [turn for turn in both if turn.number == number]
        if len(own) >= _FEWEST_ROWS:
            sides = [np.array([metric.stats(turn.chat, both[turn][side], "") for turn in own]) for side in (0, 1)]
            found = paired(metric, sides[0], sides[1], groups_of([turn.chat for turn in own]), seed)
            lines.append({"turn": number, "higher_is_better": False, "rows": len(own), **asdict(found)})
    return _corrected(lines)


def _by_place(
    axis: str, questions: Sequence[_Question], facts: Sequence[Fact], base: Sequence[Output], tuned: Sequence[Output]
) -> list[Line]:
    """The share of facts that were found at each place. Where they were never stated, of the facts that the same answer would be right for, without an interval:
    there are as many answers as questions.
    """
    lines = list[Line]()
    for place in dict.fromkeys(question.place for question in questions if question.axis == axis):
        own = [index for index, question in enumerate(questions) if (question.axis, question.place) == (axis, place)]
        line = {axis: place, "higher_is_better": True, "rows": len(facts)}
        if place is None:
            said = [{questions[index].fact.question: side[index].text or "" for index in own} for side in (base, tuned)]
            shares = [sum(is_recalled(fact, answers[fact.question]) for fact in facts) / len(facts) for answers in said]
            sides = ({"value": share, "low": None, "high": None} for share in shares)
            lines.append(line | dict(zip(("base", "tuned"), sides, strict=True)) | {"difference": None})
        else:
            right = [np.array([is_recalled(questions[index].fact, side[index].text or "") for index in own]) for side in (base, tuned)]
            lines.append(line | asdict(compare_proportions(right[0], right[1])))
    return _corrected(lines)


def _corrected(lines: list[Line]) -> list[Line]:
    tested = [line["difference"] for line in lines if line["difference"]]
    for difference, p in zip(tested, holm([one["p"] for one in tested]), strict=True):
        difference["p_holm"] = p
    return lines
