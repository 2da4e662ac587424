"""Runs of models behind endpoints: what `tune` does where nothing of the model is here. The same folder, the same report."""

import time
from dataclasses import asdict
from typing import Any

import torch

from tunesmith.app.in_context import check_asked
from tunesmith.app.judge_compare import judge_tuned, require_answers
from tunesmith.app.plan import RequestPlan
from tunesmith.app.recording import begun, check_same, recorded
from tunesmith.app.remote import RemoteModel, RemoteTask, prepare_remote, remote_model
from tunesmith.app.remote_document import remote_document
from tunesmith.app.remote_judged import ask_again, judge_remote, remote_context
from tunesmith.app.run import Run
from tunesmith.app.shots import save_shots, strategy_of
from tunesmith.app.task import Say
from tunesmith.app.write_predictions import write_predictions
from tunesmith.core.events import Stage
from tunesmith.core.files import write_json
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe, dump
from tunesmith.report import render

__all__ = ["plan_remote", "resume_remote", "tune_remote"]


def tune_remote(recipe: Recipe, say: Say, started: float) -> Run:
    """Ask the model as it is and in its context, and measure the one against the other. `started`: as `recorded` takes it. Raises: as `tune`."""
    task, model = _prepared(recipe, say)
    directory = begun(recipe, torch.device("cpu"), _model_facts(task, model), _data_facts(task), task.data.invalid)
    return _run(task, directory, say, started)


def resume_remote(recipe: Recipe, directory: RunDirectory, say: Say, started: float) -> Run:
    """Go on with a run: what was answered before is not asked again. Raises: RunError, where its data changed; as `tune`."""
    task, _ = _prepared(recipe, say)
    check_same(directory, _data_facts(task))
    directory.set_status("running")
    return _run(task, directory, say, started)


def plan_remote(recipe: Recipe, say: Say) -> RequestPlan:
    """What `tune_remote` would ask. Nothing is sent or written."""
    task, _ = _prepared(recipe, say)
    evaluate, strategy = recipe.evaluate, strategy_of(recipe)
    ways, rows = len(strategy.variants()), min(strategy.validation_rows, len(task.splits["validation"].examples))
    tests = sum(len(task.splits[name].examples) for name in ("test", *task.data.domains))
    count = 2 * tests + (ways * rows if ways > 1 else 0) + 2 * len(evaluate.prompts)
    return RequestPlan(count, count * evaluate.max_new_tokens, recipe.budget_usd, dump(recipe))


def _prepared(recipe: Recipe, say: Say) -> tuple[RemoteTask, RemoteModel]:
    task = prepare_remote(recipe, say)
    require_answers(task)
    check_asked(task)
    for name in ("test", *task.data.domains):
        task.encoder.prompts(task.splits[name].examples)  # what cannot be sent is told before anything is
    return task, remote_model(recipe, say)


def _run(task: RemoteTask, directory: RunDirectory, say: Say, started: float) -> Run:
    with recorded(directory, started):
        model = remote_model(task.recipe, say, directory.requests)
        say(Stage("base", f"{model.endpoint.model} as it is"))
        plain = {name: task.splits[name].examples for name in ("test", *task.data.domains)}
        base = judge_remote(task, model, task.encoder, plain, say)
        asked_again = ask_again(task, model)
        say(Stage("context", task.recipe.context.name if task.recipe.context else ""))
        context = remote_context(task, model, say)
        save_shots(directory.context, context.shots, context.tried)
        say(Stage("evaluate", "the model in its context"))
        tuned = judge_remote(task, model, context.encoder, context.examples, say, asked=context.put)
        compared, better = judge_tuned(task, base.judgement, tuned.judgement, say)
        say(Stage("report"))
        seconds = directory.seconds + time.perf_counter() - started
        document = remote_document(task, directory, model, base, tuned, context, asked_again, seconds)
        write_predictions(task, directory, base.judgement, tuned.judgement, better)
        write_json(directory.report_json, document | {"judge": compared})
        render(directory)
    return Run(directory)


def _data_facts(task: RemoteTask) -> dict[str, object]:
    """As of any run; no tokens, as nothing of this machine reads them."""
    return {"model": [task.recipe.model.source, None], **{name: asdict(facts) for name, facts in task.data.facts.items()}}


def _model_facts(task: RemoteTask, model: RemoteModel) -> dict[str, Any]:
    unknown = (
        "architecture",
        "is_encoder_decoder",
        "sha256",
        "revision",
        "licence",
        "weights",
        "attention",
        "attention_reason",
        "precision",
        "precision_reason",
        "head",
        "quantization",
        "linear_weights",
    )
    known = {"name": model.endpoint.model, "kind": "endpoint", "origin": model.endpoint.url, "max_length": task.recipe.model.max_length}
    return {**known, **dict.fromkeys(unknown), "trust_remote_code": False, "notes": []}
