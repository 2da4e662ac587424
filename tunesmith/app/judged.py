"""Base and tuned model before the same test rows, domains and prompts."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.app.decoding import answer_tokens
from tunesmith.app.earlier import earlier_heads
from tunesmith.app.judging import EncodedSplit, choose, like_answers, read_head, score, write_answers, zero_shot
from tunesmith.app.learned import answers, writes
from tunesmith.app.policy import judge_policy, with_rewards
from tunesmith.app.task import Say, Task, label_texts, rows_to_answer
from tunesmith.core.events import counted
from tunesmith.core.files import write_json
from tunesmith.core.types import AnswerObjective, Example, HeadObjective, Message, Origin, Output, Prompt, Text
from tunesmith.evaluation.copying import first_words
from tunesmith.evaluation.score import text_of

__all__ = ["Judgement", "beginning", "judge", "judge_untrained", "judge_zero_shot", "load_judgement", "save_judgement"]

SOURCELESS = Origin("prompt", 1)
BEGINNING_WORDS = 40
"""Of a held-out text that the model goes on with, half of its words at most."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one model said."""

    outputs: Mapping[str, Sequence[Output]]
    """For each of `test` and the domains, one output an example; empty where the model has no way to answer."""
    answers: Sequence[str] = ()
    """To the recipe's prompts."""
    seconds: float = 0.0
    """As it was measured, also where the answers are kept ones."""
    is_kept: bool = False
    """Whether an earlier run asked for the answers, and this one spent no time on them."""
    num_cut: int = 0
    """Answers to rows of `outputs` that had not ended when they were as long as they may be. How a raw text goes on has no end, and is none of them."""


def save_judgement(file: Path, judgement: Judgement) -> None:
    """Keep it as JSON, written whole."""
    write_json(file, asdict(judgement), indent=None)


def load_judgement(file: Path) -> Judgement:
    """Read what `save_judgement` wrote."""
    saved: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    outputs = {name: [_output(entry) for entry in entries] for name, entries in saved["outputs"].items()}
    return Judgement(outputs, saved["answers"], saved["seconds"], saved["is_kept"], saved["num_cut"])


def _output(entry: dict[str, Any]) -> Output:
    nan = {} if entry["nll_nats"] is not None else {"nll_nats": float("nan")}  # JSON has no NaN
    tuples = {name: tuple(value) for name, value in entry.items() if isinstance(value, list)}  # nor has it tuples
    return Output(**{**entry, **tuples, **nan})


def judge_untrained(task: Task, say: Say) -> Judgement:
    """What a base model says without the head that is to be trained: by the head of the run that it is, where that is of the same kind; else
    labels zero-shot; numbers, tags and spans not at all, nor anything by a model of numbers, which knows no words.
    """
    earlier = earlier_heads(task)
    if earlier:
        task.forward.heads.update({name: head.to(task.device) for name, head in earlier.items()})
        judgement = judge(task, say)
        task.forward.heads.clear()
        return judgement
    return judge_zero_shot(task, say) if task.base_kind == "zero_shot" else Judgement({})


def judge_zero_shot(task: Task, say: Say, *, calibrate: bool = False) -> Judgement:
    """The labels that a model finds likeliest, or most alike, on the test split and every domain. `calibrate`: as `zero_shot` takes it."""
    started = time.perf_counter()
    outputs, texts = {}, label_texts(task.recipe, task.encoder.labels)
    for name in ("test", *task.data.domains):
        examples = task.splits[name].examples
        tick = counted(say, name, len(examples))
        outputs[name] = zero_shot(task, examples, texts, task.model.tokenizer, tick, calibrate=calibrate) if examples else []
    return Judgement(outputs, seconds=time.perf_counter() - started)


def judge(
    task: Task, say: Say, asked: Callable[[Sequence[Example]], Sequence[Example]] = lambda prompts: prompts, *, num_tried: int = 1
) -> Judgement:
    """The model as it is now, on the test split and every domain.

    Args:
        asked: what the recipe's own prompts are asked as.
        num_tried: of a policy, answers to each prompt, of which the one is taken that is rewarded most.
    """
    started = time.perf_counter()
    said = {name: _outputs(task, name, task.splits[name], say, num_tried) for name in ("test", *task.data.domains)}
    outputs = {name: found for name, (found, _) in said.items()}
    num_cut = sum(num_cut for _, num_cut in said.values())
    return Judgement(outputs, _answers(task, asked), time.perf_counter() - started, num_cut=num_cut)


def _outputs(task: Task, name: str, split: EncodedSplit, say: Say, num_tried: int) -> tuple[list[Output], int]:
    """What is said to each example, and how many answers were cut."""
    if not split.examples:
        return [], 0
    if task.rewards is not None and task.kind == "policy":
        return judge_policy(task, task.rewards, split, num_tried, counted(say, name, len(split.rows)))
    if isinstance(task.objective, HeadObjective):
        return read_head(task, task.objective, split.examples, split.rows, split.owners, counted(say, name, len(split.rows))), 0
    tick = counted(say, name, len(split.rows))
    outputs, num_cut = (
        like_answers(task, task.objective, split, tick) if isinstance(task.objective, AnswerObjective) else score(task, split, tick),
        0,
    )
    if answers(task.kind):
        closed = [row for row, example in enumerate(split.examples) if task.encoder.choices(example)]
        said = choose(task, [split.examples[row] for row in closed], counted(say, f"{name}, choices", len(closed)))
        for row, choice in zip(closed, said, strict=True):
            likelihood = outputs[row]
            outputs[row] = replace(choice, nll_nats=likelihood.nll_nats, num_tokens=likelihood.num_tokens, num_bytes=likelihood.num_bytes)
        asked = rows_to_answer(task, split.examples)
        tick = counted(say, f"{name}, answers", len(asked))
        written = write_answers(task, [split.examples[row] for row in asked], answer_tokens(task.forward, task.recipe), tick)
        for row, answer in zip(asked, written.outputs, strict=True):
            outputs[row] = replace(outputs[row], text=answer.text)
        num_cut = written.num_cut
    if task.rewards is not None:
        outputs = with_rewards(task, task.rewards, split, outputs, counted(say, f"{name}, rewards", len(split.rows)))
    if task.kind == "language_modelling" and name == "test":
        for row, text in enumerate(_continued(task, split.examples[: task.recipe.evaluate.continuations], say)):
            outputs[row] = replace(outputs[row], text=text)
    return outputs, num_cut


def _continued(task: Task, examples: Sequence[Example], say: Say) -> list[str]:
    """How the model goes on with the first words of each text."""
    if not examples:
        return []
    begun = [Text(beginning(example)[0], example.origin) for example in examples]
    written = write_answers(task, begun, answer_tokens(task.forward, task.recipe), counted(say, "continuations", len(begun)))
    return [answer.text or "" for answer in written.outputs]


def beginning(example: Example) -> tuple[str, str]:
    """A held-out text, cut behind the words that the model is to go on with."""
    return first_words(text_of(example), BEGINNING_WORDS)


def _answers(task: Task, asked: Callable[[Sequence[Example]], Sequence[Example]]) -> list[str]:
    """Answers to the recipe's own prompts, where the model writes."""
    prompts = task.recipe.evaluate.prompts
    if not prompts or not writes(task.kind):
        return []
    raw = task.kind == "language_modelling"  # a model of raw text goes on with it, one of conversations answers it
    examples = [Text(text, SOURCELESS) if raw else Prompt((Message("user", text),), SOURCELESS) for text in prompts]
    written = write_answers(task, asked(examples), answer_tokens(task.forward, task.recipe))
    return [answer.text or "" for answer in written.outputs]
