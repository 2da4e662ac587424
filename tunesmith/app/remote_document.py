"""report.json of a run with a model behind an endpoint: as any run's, with what was asked and paid, and null where nothing can be known."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from tunesmith.app.document import data_facts, provenance, row_warnings, what_was_said
from tunesmith.app.kept_answers import Answer
from tunesmith.app.remote import Heard, RemoteModel, RemoteTask
from tunesmith.app.remote_judged import RemoteContext, Side, token_sizes
from tunesmith.core.run import RunDirectory

__all__ = ["remote_document"]

_SIDES = ("base", "tuned")


def remote_document(
    task: RemoteTask, directory: RunDirectory, model: RemoteModel, base: Side, tuned: Side, context: RemoteContext,
    asked_again: tuple[int, int], seconds: float,
) -> dict[str, Any]:  # fmt: skip
    """The document, as docs/report-format.md describes it, but for the judge.

    Args:
        asked_again: as `ask_again` returns it.
        seconds: of all sittings.
    """
    return {
        **what_was_said(task, directory, base.judgement, tuned.judgement, {}),
        "curves": _NO_CURVES,
        "copied": None,
        "retention": {},
        "forgetting": {"fell": [], "keeps_base": True, "advice": [], "left_out": {}},
        "context": {**context.about, "tokens": token_sizes(_of_test(tuned)), "plain_tokens": token_sizes(_of_test(base))},
        "data": data_facts(task, {}) | {"preview": []},
        "cost": _cost(model, base, tuned, seconds),
        "predicted": {"peak_memory_bytes": None, "train_seconds": 0.0, "total_seconds": None},
        "endpoint": _endpoint(model, base, tuned, asked_again),
        **provenance(task, directory, torch.device("cpu")),
        "warnings": [*row_warnings(task), *_warnings(task, model, base, tuned, context, asked_again)],
    }


_NO_CURVES: Mapping[str, Any] = {
    "train": [],
    "validation": [],
    "best": None,
    "overfitting": {"found": False, "text": ""},
    "gap": None,
    "stopped_early": False,
}


def _of_test(side: Side) -> list[Answer]:
    return side.heard["test"].answers


def _cost(model: RemoteModel, base: Side, tuned: Side, seconds: float) -> dict[str, Any]:
    spending = model.spending
    is_counted = not spending.num_uncounted
    return {
        "train_seconds": 0.0,
        "compile_seconds": 0.0,
        "head_first_seconds": 0.0,
        "evaluate_seconds": base.judgement.seconds + tuned.judgement.seconds,
        "base_evaluate_seconds": base.judgement.seconds,
        "tuned_evaluate_seconds": tuned.judgement.seconds,
        "retention_seconds": 0.0,
        "total_seconds": seconds,
        "tokens": 0,
        "tokens_per_second": None,
        "peak_memory_bytes": None,
        "activation_checkpointing": False,
        "num_kept_layers": 0,
        "trainable_parameters": 0,
        "total_parameters": None,
        "saved_bytes": 0,
        "full_copy_bytes": None,
        "tokens_in": spending.tokens_in if is_counted else None,
        "tokens_out": spending.tokens_out if is_counted else None,
        "usd": spending.usd,
        "usd_per_answer": model.spending.usd_per_answer(tuned.answers),
        "base_usd_per_answer": model.spending.usd_per_answer(base.answers),
    }


def _endpoint(model: RemoteModel, base: Side, tuned: Side, asked_again: tuple[int, int]) -> dict[str, Any]:
    def counted(of: Callable[[Heard], int]) -> dict[str, int]:
        return {name: side.count(of) for name, side in zip(_SIDES, (base, tuned), strict=True)}

    return {
        "model": model.endpoint.model,
        "url": model.endpoint.url,
        "is_here": model.endpoint.is_here,
        "requests": model.spending.num_requests,
        "from_cache": model.num_kept,
        "rows": counted(lambda one: len(one.outputs)),
        "unnamed": counted(lambda one: one.num_unnamed),
        "unanswered": counted(lambda one: one.num_unanswered),
        "asked_again": asked_again[0],
        "differed": asked_again[1],
        "fingerprints": list(model.fingerprints),
    }


def _warnings(
    task: RemoteTask, model: RemoteModel, base: Side, tuned: Side, context: RemoteContext, asked_again: tuple[int, int]
) -> Iterator[str]:
    def sides(of: Callable[[Heard], int]) -> str:
        """`3 of 200 of the base, 0 of 200 of the model in its context`; empty where there is none."""
        found = [(side.count(of), side.count(lambda one: len(one.outputs))) for side in (base, tuned)]
        named = zip(found, ("of the base", "of the model in its context"), strict=True)
        return ", ".join(f"{num:,} of {rows:,} {whose}" for (num, rows), whose in named) if any(num for num, _ in found) else ""

    if unnamed := sides(lambda one: one.num_unnamed):
        what = "label" if task.kind == "classification" else "choice"
        yield f"Answers that name no {what}, or several: {unnamed}. They count as wrong{', and are in no confusion matrix' if what == 'label' else ''}."
    if unanswered := sides(lambda one: one.num_unanswered):
        yield f"Rows that the endpoint gave no answer to: {unanswered}. They count as wrong. The last: {model.trouble}"
    if cut := sides(lambda one: one.num_cut):
        yield f"Answers that had not ended after {task.recipe.evaluate.max_new_tokens:,} tokens, and count as they are: {cut}. Raise evaluate.max_new_tokens."
    if asked_again[1]:
        yield f"Of {asked_again[0]} rows that were asked twice, {asked_again[1]} were answered otherwise, at temperature 0: the same run may measure something else another time."
    if len(model.fingerprints) > 1:
        yield f"The endpoint changed between the answers, or more than one answered: its system_fingerprint was {', '.join(model.fingerprints)}."
    if model.spending.num_uncounted:
        yield f"The endpoint did not say how many tokens {model.spending.num_uncounted:,} of {model.spending.num_requests:,} requests took."
    chosen = context.shots.variant
    if task.recipe.model.max_length and (chosen.num_shots or chosen.num_passages):
        yield "What stands before a question was fitted into model.max_length by a guess, a token for every four characters: the endpoint's tokenizer is not here."
