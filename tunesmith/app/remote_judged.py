"""What a model behind an endpoint says: to the test split and every domain, as it is and in its context."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tunesmith.app.fitting import make_metrics
from tunesmith.app.in_context import choice_facts, choose_variant, num_short, worded
from tunesmith.app.judged import SOURCELESS, Judgement
from tunesmith.app.kept_answers import Answer
from tunesmith.app.learned import writes
from tunesmith.app.remote import Heard, RemoteModel, RemoteTask, hear
from tunesmith.app.shots import Put, Shots, answer_room
from tunesmith.app.task import Say, rows_to_answer
from tunesmith.core.events import counted
from tunesmith.core.types import Example, HeadObjective, Message, Output, Prompt
from tunesmith.data import ChatEncoder
from tunesmith.evaluation.score import compare

__all__ = ["RemoteContext", "Side", "ask_again", "judge_remote", "remote_context", "token_sizes"]

_ASKED_AGAIN = 5
"""Test rows that are asked twice."""


@dataclass(frozen=True, slots=True)
class Side:
    """What the model said in one way, and what it took."""

    judgement: Judgement
    heard: Mapping[str, Heard]
    """Of the test split, and of each domain, the rows that were asked."""

    def count(self, of: Callable[[Heard], int]) -> int:
        """Over all that were asked."""
        return sum(map(of, self.heard.values()))

    @property
    def answers(self) -> list[Answer]:
        """All of them."""
        return [answer for one in self.heard.values() for answer in one.answers]


@dataclass(frozen=True, slots=True)
class RemoteContext:
    """What was chosen, and the test rows and domains as they are asked by it."""

    shots: Shots
    tried: list[dict[str, Any]]
    """Every way to ask, with what validation rows said of it; empty where there was one alone."""
    encoder: ChatEncoder
    puts: Mapping[str, Put]
    about: Mapping[str, Any]
    """Report.json's `context`, but for the tokens that its answers will tell."""

    @property
    def examples(self) -> dict[str, Sequence[Example]]:
        """As `judge_remote` takes them."""
        return {name: put.examples for name, put in self.puts.items()}

    def put(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Others, as they are asked by it."""
        return self.shots.put(examples, self.encoder).examples


def judge_remote(
    task: RemoteTask,
    model: RemoteModel,
    encoder: ChatEncoder,
    examples: Mapping[str, Sequence[Example]],
    say: Say,
    *,
    asked: Callable[[Sequence[Example]], Sequence[Example]] = lambda prompts: prompts,
) -> Side:
    """Ask the model.

    Args:
        encoder: what words the rows.
        examples: those of the test split and of each domain, as they are to be asked.
        asked: the recipe's prompts as they are to be asked.
    """
    most = task.recipe.evaluate.max_new_tokens
    outputs, heard = dict[str, list[Output]](), dict[str, Heard]()
    for name, rows in examples.items():
        places = _asked(task, rows)
        heard[name] = hear(model, encoder, [rows[place] for place in places], most, counted(say, name, len(places)))
        outputs[name] = [Output()] * len(rows)
        for place, output in zip(places, heard[name].outputs, strict=True):
            outputs[name][place] = output
    prompts = [Prompt((Message("user", text),), SOURCELESS) for text in task.recipe.evaluate.prompts] if writes(task.kind) else []
    said = hear(model, encoder, asked(prompts), most).outputs
    seconds, num_cut = sum(one.seconds for one in heard.values()), sum(one.num_cut for one in heard.values())
    return Side(Judgement(outputs, [output.text or "" for output in said], seconds, num_cut=num_cut), heard)


def _asked(task: RemoteTask, rows: Sequence[Example]) -> list[int]:
    """Places of the rows that are asked: of open answers as many as the recipe says."""
    if isinstance(task.objective, HeadObjective):
        return list(range(len(rows)))
    closed = [place for place, example in enumerate(rows) if task.encoder.choices(example)]
    return sorted([*closed, *rows_to_answer(task, rows)])


def remote_context(task: RemoteTask, model: RemoteModel, say: Say) -> RemoteContext:
    """Choose among the strategy's variants by what the model says to validation rows. Test rows play no part. Raises: DataError, RecipeError."""
    name, most = task.metrics[0], task.recipe.evaluate.max_new_tokens
    metric = make_metrics(task.recipe, [name], task.encoder.labels)[name]

    def try_one(shots: Shots, rows: Sequence[Example]) -> dict[str, Any]:
        encoder = worded(task.encoder, shots.variant.template)
        put = shots.put(rows, encoder)
        heard = hear(model, encoder, put.examples, most)
        references = [task.splits["validation"].references[place] for place in range(len(rows))]
        found = compare(metric, None, heard.outputs, put.examples, references, seed=task.recipe.seed)["tuned"] or {}
        sizes = token_sizes(heard.answers)
        return {
            **{key: found.get(key, math.nan) for key in ("value", "low", "high")},
            "tokens": sizes["mean"] if sizes else fmean(put.num_tokens),
            "num_short": num_short(put),
        }

    shots, tried = choose_variant(task, answer_room(task.encoder, most), metric, try_one, say)
    encoder = worded(task.encoder, shots.variant.template)
    puts = {split: shots.put(task.splits[split].examples, encoder) for split in ("test", *task.data.domains)}
    about = {
        **choice_facts(task, shots, tried, (name, metric)),
        "window_tokens": task.recipe.model.max_length,
        "num_left_out": sum(puts["test"].num_left_out),
        "num_short": num_short(puts["test"]),
        "num_cut": 0,
    }
    return RemoteContext(shots, tried, encoder, puts, about)


def token_sizes(answers: Sequence[Answer]) -> dict[str, float] | None:
    """Tokens of the requests that were answered, as the server counts them; None where it does not."""
    counts = [answer.prompt_tokens for answer in answers if answer.prompt_tokens is not None]
    return {"mean": fmean(counts), "max": max(counts)} if counts and len(counts) == len(answers) else None


def ask_again(task: RemoteTask, model: RemoteModel) -> tuple[int, int]:
    """Ask a few test rows a second time. Returns: how many were answered both times, and how many of these otherwise than before."""
    rows = task.splits["test"].examples
    requests = task.encoder.prompts([rows[place] for place in _asked(task, rows)[:_ASKED_AGAIN]])
    most = task.recipe.evaluate.max_new_tokens
    twice = zip(model.ask(requests, most), model.ask(requests, most, number=1), strict=True)
    both = [(one.text, other.text) for one, other in twice if one is not None and other is not None]
    return len(both), sum(one != other for one, other in both)
