"""Tune: recipe -> data -> model -> method -> objective -> engine -> evaluation -> report."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tunesmith.app.adjustable import check_adjustable
from tunesmith.app.anchor import anchored
from tunesmith.app.base import judge_base
from tunesmith.app.direct import adjust
from tunesmith.app.document import Times, build_document, left_out
from tunesmith.app.export import check_export, export_tuned
from tunesmith.app.forgotten import forgotten, kept_rows
from tunesmith.app.in_context import InContext, as_read, check_context, in_context, judge_in_context
from tunesmith.app.interruption import Interruption
from tunesmith.app.judge_compare import judge_tuned, require_answers
from tunesmith.app.judged import judge
from tunesmith.app.known_rows import warn_of_known_rows
from tunesmith.app.known_ways import remember_way
from tunesmith.app.machine import begin_peak_memory, choose_device, peak_memory_bytes, resident_bytes
from tunesmith.app.placing import precision_reason, require_training
from tunesmith.app.plan import Plan, RequestPlan, make_plan, step_plan, validated_at, without_training
from tunesmith.app.policy import PolicyRewards, require_rewards
from tunesmith.app.predicting import NOT_PREDICTED, calibrate, expected, learn_from, observed, with_predictions
from tunesmith.app.rates import Observed
from tunesmith.app.recording import begun, check_same, recorded
from tunesmith.app.reference import store_reference
from tunesmith.app.remote_run import plan_remote, resume_remote, tune_remote
from tunesmith.app.retention import Retention, ask
from tunesmith.app.retention_sets import read_retention
from tunesmith.app.rollouts import check_pairs, make_policy_steps, write_pairs
from tunesmith.app.run import Run
from tunesmith.app.run_recipe import run_recipe
from tunesmith.app.saving import save_tuned
from tunesmith.app.shots import kept_shots, save_shots
from tunesmith.app.task import Say, Task, attach, learning_rate, prepare
from tunesmith.app.training import NO_FIT, Fit, Fitting
from tunesmith.app.validated import save_validated
from tunesmith.app.validation import make_validator
from tunesmith.app.ways import NO_WAYS, Ways, chosen_ways
from tunesmith.app.work import training_work
from tunesmith.app.write_predictions import write_predictions
from tunesmith.comparison.cost_model import Predicted
from tunesmith.core.allocator import give_back_freed_memory
from tunesmith.core.errors import RunError
from tunesmith.core.events import Event, Notice, Stage, counted, silence
from tunesmith.core.files import write_json
from tunesmith.core.run import RunDirectory, check_output_dir
from tunesmith.core.types import OnlineObjective, ParamGroup
from tunesmith.engine.head_first import fit_heads
from tunesmith.engine.loop import TrainingPlan, TrainingState
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.recipe import Recipe, dump, require_no_stages
from tunesmith.report import render

__all__ = ["plan", "resume", "trial", "tune"]


def tune(recipe: Recipe, *, progress: Callable[[Event], None] | None = None) -> Run:
    """Train, and measure base against tuned on held-out data.

    Args:
        recipe: what to do.
        progress: is told what happens, event by event.
    Returns: the finished run.
    Raises: TunesmithError; what is wrong with the recipe, the data or the model is raised before anything is written.
    """
    started = time.perf_counter()
    with Interruption() as interruption:
        say = interruption.checked(progress)
        require_no_stages(recipe)
        recipe = anchored(recipe)
        if recipe.output_dir:
            check_output_dir(Path(recipe.output_dir))
        if recipe.model.is_endpoint:
            return tune_remote(recipe, say, started)
        task = _prepared(recipe, say)
        retention = read_retention(task)
        directory = begun(recipe, task.device, _model_facts(task), _data_facts(task), task.data.invalid)
        return _run(task, directory, retention, interruption, say, started)


def resume(path: Path, *, progress: Callable[[Event], None] | None = None) -> Run:
    """Go on with a run that was interrupted, from its last checkpoint. Raises: RunError, where it is finished or its data changed."""
    started = time.perf_counter()
    directory = RunDirectory(path)
    if directory.status == "done":
        raise RunError(f"{path}: this run is finished. `tunesmith runs show {path}` shows it.")
    with Interruption() as interruption:
        say = interruption.checked(progress)
        recipe = run_recipe(directory)
        if recipe.model.is_endpoint:
            return resume_remote(recipe, directory, say, started)
        task = _prepared(recipe, say)
        check_same(directory, _data_facts(task))
        retention = read_retention(task)
        directory.set_status("running")
        return _run(task, directory, retention, interruption, say, started, resumed=True)


def plan(recipe: Recipe, *, probes: Callable[[Event], None] | None = None) -> Plan | RequestPlan:
    """What `tune` would do and need: steps, tokens, memory, disk, time; of a model behind an endpoint the requests. Nothing is trained, sent or written.

    Args:
        probes: where what it takes to predict the run is not known yet of this machine, probe it, and tell this; None: do without.
    """
    if recipe.model.is_endpoint:
        return plan_remote(recipe, silence)
    if probes is not None:
        calibrate(recipe, probes)
    task = _prepared(recipe, silence)
    retention, read = read_retention(task), as_read(task)
    found = expected(task, retention, read)
    if not task.takes_steps:
        return with_predictions(without_training(task, dump(recipe)), found)
    return with_predictions(make_plan(read, attach(task), dump(recipe)), found)


def trial(recipe: Recipe, folder: Path, *, progress: Callable[[Event], None] | None = None) -> Path:
    """Train as `tune` does, and ask the validation rows alone.

    Args:
        folder: to be made anew.
    Returns: the file that says what they said, which alone is left in the folder; `load_validated` reads it.
    Raises: TunesmithError, as `tune`.
    """
    directory = RunDirectory(folder)
    shutil.rmtree(folder, ignore_errors=True)
    with Interruption() as interruption:
        say = interruption.checked(progress)
        task = _prepared(recipe, say)
        folder.mkdir(parents=True)
        context = None if recipe.context is None else _put_in_context(task, directory, say)
        done = _train(task if context is None else context.task, directory, interruption, say, NOT_PREDICTED)
        learn_from(task, done.observed)
    directory.steps.unlink()
    directory.context.unlink(missing_ok=True)
    shutil.rmtree(directory.checkpoints)
    return directory.validation


def _prepared(recipe: Recipe, say: Say) -> Task:
    """As `prepare`, with what else has to fit before anything is written."""
    begin_peak_memory(choose_device(recipe.engine.device))
    task = prepare(recipe, say)
    require_training(task)
    task.rewards = require_rewards(task, say)
    require_answers(task)
    check_pairs(task)
    check_context(task)
    check_adjustable(task)
    check_export(task)
    warn_of_known_rows(task, say)
    if (reason := precision_reason(task.model, recipe, task.device)) and recipe.engine.precision != "auto":
        say(Notice(f"engine.precision: {recipe.engine.precision}: {task.model.facts.name} stays in float32: {reason}."))
    return task


def _run(
    task: Task,
    directory: RunDirectory,
    retention: Retention,
    interruption: Interruption,
    say: Say,
    started: float,
    *,
    resumed: bool = False,
) -> Run:
    with recorded(directory, started):
        found = expected(task, retention)
        say(Stage("base", "the model before tuning"))
        base, before = judge_base(task, directory, retention, say)
        retention = retention.as_asked(before)
        context = None if task.recipe.context is None else _put_in_context(task, directory, say)
        done = _train(task if context is None else context.task, directory, interruption, say, found, resumed=resumed)
        if task.recipe.trains:
            save_tuned(task, directory)
            export_tuned(task, directory)
        give_back_freed_memory()
        say(Stage("evaluate", "the tuned model" if task.recipe.trains else "the model in its context"))
        judging = time.perf_counter()
        num_tried = 1 if task.recipe.trains else getattr(task.objective, "num_tried", 1)
        tuned = judge(task, say, num_tried=num_tried) if context is None else judge_in_context(context, say)
        judged_seconds = time.perf_counter() - judging
        if task.rewards is not None and getattr(task.objective, "writes_pairs", False):
            _write_pairs(task, task.rewards, directory, say)
        compared, better = judge_tuned(task, base, tuned, say)
        after = ask(retention, task, say)
        say(Stage("report"))
        times = Times(
            total_seconds=directory.seconds + time.perf_counter() - started,
            base_seconds=base.seconds,
            base_is_kept=base.is_kept,
            tuned_seconds=judged_seconds,
            retention_seconds=before.seconds + after.seconds,
            head_first_seconds=done.head_seconds,
        )
        document = build_document(_told(task, context), directory, base, tuned, done.fit, done.planned, done.ways, times)
        document |= {"judge": compared, "context": None if context is None else context.facts, "direct": done.adjusted}
        document["warnings"] = [*(done.adjusted or {}).get("warnings", ()), *document["warnings"]]
        document |= forgotten(task, directory, retention, before, after, done.planned)
        write_predictions(task, directory, base, tuned, better)
        if retention.tasks:
            write_json(directory.retention, kept_rows(retention, before, after), indent=None)
        write_json(directory.report_json, document)
        render(directory)
        learn_from(task, done.observed)
    give_back_freed_memory()
    shutil.rmtree(directory.checkpoints, ignore_errors=True)  # they serve to resume, and a finished run is not resumed
    return Run(directory)


@dataclass(frozen=True, slots=True)
class _Trained:
    """What a training did."""

    fit: Fit
    planned: Plan
    ways: Ways
    head_seconds: float = 0.0
    observed: Observed | None = None
    """What it showed of the next one of its kind."""
    adjusted: Mapping[str, Any] | None = None
    """What a method found that searches."""


def _train(
    task: Task, directory: RunDirectory, interruption: Interruption, say: Say, found: Predicted, *, resumed: bool = False
) -> _Trained:
    if not task.recipe.trains:
        return _Trained(NO_FIT, with_predictions(without_training(task, ""), found), NO_WAYS)
    if not task.takes_steps:
        return _searched(task, directory, say, found)
    give_back_freed_memory()
    work, before = training_work(task), (resident_bytes(task.device), peak_memory_bytes(task.device))
    groups = attach(task)
    if told := left_out(task):
        say(Notice(told))
    store_reference(task, say)
    planned = with_predictions(make_plan(task, groups, ""), found)
    say(Stage("train", f"{task.recipe.method.name}, {planned.num_steps} steps"))
    # of a run that goes on too: where it has a checkpoint, that comes after
    head_seconds = _fit_head(task, say) if task.recipe.train.head_first else 0.0
    with chosen_ways(task, planned, directory.path, say) as ways:
        fit = _fit(task, groups, directory, interruption, say, resumed)
    seen = None if resumed or task.kind == "policy" else observed(task, work, fit, ways, before)  # writing answers is no rate of steps
    save_validated(directory.validation, task, fit)
    return _Trained(fit, planned, ways, head_seconds, seen)


def _searched(task: Task, directory: RunDirectory, say: Say, predicted: Predicted) -> _Trained:
    """What a method does that takes no steps."""
    attach(task)
    store_reference(task, say)
    say(Stage("search", task.recipe.method.name))
    found = adjust(task, directory, say)
    planned = replace(with_predictions(without_training(task, ""), predicted), trainable_parameters=found.num_numbers)
    return _Trained(replace(NO_FIT, seconds=found.seconds), planned, NO_WAYS, adjusted=found.facts)


def _write_pairs(task: Task, rewards: PolicyRewards, directory: RunDirectory, say: Say) -> None:
    """Answers to the training prompts, as pairs to learn from, and to the test prompts, to measure by."""
    say(Stage("pairs", "the best and the worst answer to each prompt"))
    for name, file in (("train", directory.pairs), ("test", directory.test_pairs)):
        tick = counted(say, f"pairs {name}", len(task.splits[name].examples))
        num, num_without = write_pairs(task, rewards, name, file, tick)
        say(
            Notice(
                f"{num:,} pairs in {file}; {num_without:,} prompts gave none, as all of their answers were rewarded the same, or are the same."
            )
        )


def _put_in_context(task: Task, directory: RunDirectory, say: Say) -> InContext:
    """What stands in the model's context, chosen by the model before it is trained, and kept."""
    say(Stage("context", task.recipe.context.name if task.recipe.context else ""))
    chosen = in_context(task, kept_shots(directory, task.recipe), say)
    save_shots(directory.context, chosen.shots, chosen.tried)
    if chosen.tried:
        remember_way(task, chosen.shots.variant)
    return chosen


def _told(task: Task, context: InContext | None) -> Task:
    """The task that the report tells of: what was learned as the model read it, and the questions as they are in the data."""
    if context is None or not task.recipe.trains:
        return task
    asked = {name: split for name, split in task.splits.items() if name not in ("train", "validation")}
    return replace(context.task, splits=context.task.splits | asked)


def _fit_head(task: Task, say: Say) -> float:
    """Fit the heads alone. Returns: seconds."""
    started = time.perf_counter()
    first, last = fit_heads(task.forward, task.objective, task.splits["train"].rows, task.micro_batch_tokens)
    say(Notice(f"the head alone, on the model as it is: its mean training loss fell from {first:.3f} to {last:.3f} nats."))
    return time.perf_counter() - started


def _fit(task: Task, groups: list[ParamGroup], directory: RunDirectory, interruption: Interruption, say: Say, resumed: bool) -> Fit:
    train, rows = task.recipe.train, task.splits["train"].rows
    steps = step_plan(task)
    warmup = round(train.warmup_ratio * steps.num_steps)
    optimizer = make_optimizer(groups, name=train.optimizer, weight_decay=train.weight_decay, momentum=train.momentum, betas=train.betas)
    validator = make_validator(task)
    objective, rewards = task.objective, task.rewards
    make_steps = (
        make_policy_steps(task, rewards, objective, steps, directory.checkpoints, say, directory.add_rollout)
        if rewards is not None and isinstance(objective, OnlineObjective)
        else None
    )
    torch.manual_seed(task.recipe.seed)
    fitting = Fitting(
        forward=task.forward,
        objective=task.objective,
        rows=rows,
        validator=validator,
        step_plan=steps,
        plan=TrainingPlan(
            steps.num_steps,
            steps.steps_per_epoch,
            learning_rate(task.recipe, task.method),
            train.schedule,
            warmup,
            train.max_grad_norm,
            train.penalty_scale,
        ),
        state=TrainingState(optimizer),
        directory=directory,
        interruption=interruption,
        say=say,
        validate_at=validated_at(train, steps),
        checkpoint_every=train.checkpoint_every_steps,
        patience=train.early_stopping_patience,
        make_steps=make_steps,
    )
    return fitting.run(resume=resumed)


def _data_facts(task: Task) -> dict[str, object]:
    """What the rows of every split came from: the same again, or a resumed run would be another run."""
    return {
        "encoder": task.encoder.fingerprint(),
        "model": [task.model.source.sha256, task.model.source.revision],
        **{name: {**asdict(task.data.facts[name]), "encoded": asdict(task.encoded[name])} for name in task.splits},
    }


def _model_facts(task: Task) -> dict[str, object]:
    source, paths = task.model.source, task.forward.paths
    return {
        "name": source.name,
        "kind": source.kind,
        "architecture": task.model.facts.architecture,
        "is_encoder_decoder": task.model.facts.is_encoder_decoder,
        "sha256": source.sha256,
        "revision": source.revision,
        "licence": source.licence,
        "origin": source.origin,
        "attention": paths.attention,
        "attention_reason": paths.attention_reason,
        "precision": str(task.forward.computes_in).removeprefix("torch."),
        "precision_reason": precision_reason(task.model, task.recipe, task.device),
        "head": paths.head,
        "max_length": task.model.facts.max_length,
        "weights": "random" if source.drawn_by is not None else "pretrained",
        "quantization": task.recipe.model.quantization,
        "linear_weights": _linear_weights(task),
        "trust_remote_code": source.trust_remote_code,
        "notes": list(source.notes),
    }


def _linear_weights(task: Task) -> dict[str, int] | None:
    """Bytes of the quantized layers' weights, in float32 and as they are kept; None where none is."""
    packed = [layer.packed for layer in task.forward.quantized_layers]
    if not packed:
        return None
    before = 4 * sum(weight.shape[0] * weight.shape[1] for weight in packed)
    return {"before_bytes": before, "after_bytes": sum(weight.num_bytes for weight in packed)}
