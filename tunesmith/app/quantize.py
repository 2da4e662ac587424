"""A run or a model written with its weights in fewer bits, judged before and after, and refused where that breaks it."""

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tunesmith.app.folding import with_adapters
from tunesmith.app.in_context import shown_in
from tunesmith.app.interruption import Interruption
from tunesmith.app.judged import Judgement, judge
from tunesmith.app.learned import Learned, learned
from tunesmith.app.measured import measured
from tunesmith.app.merge import Heads, merged_model, sample_outputs, write_heads
from tunesmith.app.placing import placed
from tunesmith.app.quantized import FORMS, Written, check_form, check_layers, check_output, check_source, read_again, written
from tunesmith.app.saving import saved_bytes
from tunesmith.app.shots import Shots, load_shots
from tunesmith.app.task import Task, prepare, use_chat_template
from tunesmith.core.errors import Interrupted, ModelError, RunError, TunesmithError, UsageError
from tunesmith.core.events import Event, Notice, Stage, Warned
from tunesmith.core.files import cache_folder, folders_made
from tunesmith.core.run import RunDirectory, run_named
from tunesmith.core.types import Output
from tunesmith.engine.kernels.quantized import weight_error
from tunesmith.engine.packing import evaluation_batches
from tunesmith.evaluation.score import text_of
from tunesmith.model.load import LoadedModel, load
from tunesmith.recipe import PluginSpec, Recipe, from_mapping

__all__ = ["DEFAULT_LIMIT", "FORMS", "MAX_LOSS", "quantize"]

MAX_LOSS = 0.05
DEFAULT_LIMIT = 20
"""Pages of python-reference that a model which is no run is judged on."""
_WINDOW_TOKENS = 512
_TRAIN_ROWS = 256
"""Training rows that are looked at, for what kind of task it is: nothing is trained."""
_COMPARED_TEXTS = 100
_TIMED_SECONDS, _TIMED_PASSES = 2.0, 5

Say = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class _Subject:
    """A whole model in float32, and what it is to be judged by."""

    name: str
    run: str | None
    model: LoadedModel
    heads: Heads | None
    recipe: Recipe | None
    """None: there is nothing to judge it by."""
    before_bytes: int
    notes: list[str]
    test_sha256: str | None = None
    """Of the data that the run's test rows were taken from."""
    shots: Shots | None = None
    """What stands before each question, where the run has a context."""


def quantize(
    target: str | RunDirectory,
    to: str,
    *,
    output: Path | None = None,
    limit: int | None = None,
    max_loss: float = MAX_LOSS,
    force: bool = False,
    progress: Say | None = None,
) -> dict[str, Any]:
    """Write a run, folded into its base in full precision first, or a model, in one of the `FORMS`, and say what that changed.

    What is judged after is what was read back from the files that were written.

    Args:
        target: a run's id or folder, or a model: alias, hub id, folder, .gguf file.
        output: the folder, or .gguf file, to write, which is not there yet; None: named after the target and the form, in the current folder.
        limit: the most test rows, or of a model the most pages of python-reference; None: all of the run's, `DEFAULT_LIMIT` pages.
        max_loss: how much worse a metric may certainly be, as a share of its value before.
        force: whether it is written even so.
    Returns: {model, run, to, output, size, weight_error, tokens_per_second, metrics, max_loss, problems, notes} (docs/quantization.md).
    Raises: UsageError, ModelError, RunError; TunesmithError, where the quantized model is broken: nothing is written then.
    """
    check_form(to)
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: expected at least 1.")
    if not 0 <= max_loss < math.inf:
        raise UsageError(f"--max-loss {max_loss}: expected a share of at least 0, such as {MAX_LOSS}.")
    run = target if isinstance(target, RunDirectory) else run_named(target)
    name = run.id if run is not None else str(target)
    place = check_output(output, name, to)
    with Interruption() as interruption:
        say = interruption.checked(progress)
        try:
            subject = _of_run(run, to, limit, say) if run is not None else _of_model(name, to, limit, force, say)
            for note in subject.notes:
                say(Notice(note))
            with folders_made(place), written(subject.model, to, place, lambda folder: _write_heads(subject, folder), say) as staged:
                document = _judged(subject, to, staged, max_loss, force, say)
                interruption.while_busy(lambda: True)  # it is done: a signal comes too late
        except Interrupted:
            raise Interrupted("interrupted; nothing was written.") from None
    return {"model": subject.name, "run": subject.run, "to": to, "output": str(place), **document}


def _of_run(directory: RunDirectory, to: str, limit: int | None, say: Say) -> _Subject:
    if learned(directory).kind in ("preference", "policy"):
        raise UsageError(
            f"{directory.id}: is judged by what its model said before training, which a quantized model alone does not know. Fold it into its base (tunesmith merge) and quantize that folder."
        )
    check_source(to, directory.id, learned(directory).recipe.model, has_heads=directory.heads.is_file())
    merged = merged_model([directory], [1.0], say)
    one = merged.runs[0]
    check_layers(to, merged.model)
    base = 0 if directory.model.is_dir() else _weights_bytes(merged.base)
    begun = [] if one.is_new else [f"{directory.id}: what it trained was merged into {merged.base.source.name} in full precision first."]
    model = replace(merged.model, source=replace(merged.model.source, heads=None))
    sha = directory.read_json(directory.data)["test"].get("sha256")
    shots = None if one.known.recipe.context is None else load_shots(directory, one.known.recipe)
    return _Subject(
        directory.id,
        directory.id,
        model,
        merged.heads,
        _asked_as(one.known, limit),
        base + saved_bytes(directory),
        [*begun, *merged.notes],
        sha,
        shots,
    )


def _asked_as(known: Learned, limit: int | None) -> Recipe:
    """The run's recipe, for a whole model in place of its own, and its test rows alone."""
    recipe, options = known.recipe, known.recipe.objective.options if known.recipe.objective else {}
    rows = recipe.data.limit
    kept: dict[str, Any] = {"test": min(limit or math.inf, rows.test or math.inf), "validation": 1}
    if not recipe.data.mix:
        kept["train"] = min(_TRAIN_ROWS, rows.train or _TRAIN_ROWS)
    kept["test"] = None if kept["test"] == math.inf else kept["test"]
    as_written = {
        "quantization": None,
        "add_tokens": None,
        "revision": None,
        "weights": "pretrained",
        "architecture": None,
        "vocabulary": None,
    }
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update=as_written),
            "data": recipe.data.model_copy(update={"chat_template": None, "limit": rows.model_copy(update=kept)}),
            "method": PluginSpec.resolve("method", "head"),
            "objective": PluginSpec(known.objective, options),
            "train": recipe.train.model_copy(update={"head_first": False, "select_by": None}),
            "evaluate": recipe.evaluate.model_copy(update={"prompts": [], "domains": {}, "continuations": 0}),
        }
    )


def _of_model(name: str, to: str, limit: int | None, force: bool, say: Say) -> _Subject:
    say(Stage("model", name))
    recipe = from_mapping({"model": name, "data": "python-reference"}, name="quantize")
    check_source(to, name, recipe.model, has_heads=False)
    model = load(name)
    can_be_judged = model.facts.has_lm_head and not model.facts.is_encoder_decoder
    check_layers(to, model)
    if not can_be_judged and not force:
        raise ModelError(
            f"{name}: is no decoder-only language model, so that nothing here tells whether it still works. Quantize a run on it, or write it unjudged with --force."
        )
    model = with_adapters(model)
    use_chat_template(recipe, model, None)
    judged_by = None
    if can_be_judged:
        window = min(_WINDOW_TOKENS, model.facts.max_length)
        pages = {
            "limit": {"train": 1, "test": limit or DEFAULT_LIMIT},
            "split": {"validation": 0, "test": 0.5},
            "chunk": {"length": window},
        }
        judged_by = from_mapping(
            {"model": name, "data": {"train": "python-reference", **pages}, "objective": "causal_lm", "method": "head"}, name="quantize"
        )
    return _Subject(name, None, model, None, judged_by, _weights_bytes(model), [])


def _weights_bytes(model: LoadedModel) -> int:
    """Of the model's files as they are on this machine, adapters that are folded in among them."""
    folders = (model.source.folder, *model.source.adapters)
    return sum(file.stat().st_size for folder in folders for file in folder.glob("*.safetensors"))


def _write_heads(subject: _Subject, folder: Path) -> None:
    write_heads(subject.model, subject.heads, folder)


def _judged(subject: _Subject, to: str, staged: Written, max_loss: float, force: bool, say: Say) -> dict[str, Any]:
    """What is said of the quantized model. Raises: TunesmithError, where it is broken, and not wanted even so."""
    with tempfile.TemporaryDirectory(prefix=".quantized.", dir=cache_folder("models")) as scratch:
        again = read_again(staged, subject.recipe, Path(scratch))
        try:
            error = weight_error(subject.model.trunk, again.trunk)  # before either is asked, on another device or in bf16
            task, before, speed = _before(subject, force, say)
            say(Stage("after", to))
            problems, metrics, speed_after = _after(task, before, again, max_loss, say)
            notes = [*(_other_tokens(task, again) if task is not None else ()), *_undecided(metrics)]
        finally:
            if again.source.folder != staged.path:  # what packed weights were made into, to be read
                shutil.rmtree(again.source.folder, ignore_errors=True)
    for note in notes:
        say(Warned(note))
    if problems and not force:
        raise TunesmithError(
            f"{subject.name} in {to}: {' '.join(problems)} Nothing was written. Take another form, allow more with --max-loss, or write it even so with --force."
        )
    return {
        "size": {
            "before_bytes": subject.before_bytes,
            "after_bytes": sum(file.stat().st_size for file in staged.weights),
            "output_bytes": sum(file.stat().st_size for file in staged.files),
        },
        "weight_error": error,
        "tokens_per_second": {"before": speed, "after": speed_after},
        "metrics": metrics,
        "max_loss": max_loss,
        "problems": problems,
        "notes": [*subject.notes, *notes],
    }


def _before(subject: _Subject, force: bool, say: Say) -> tuple[Task | None, Judgement | None, float | None]:
    """What the model is judged by, what it said, and its tokens per second: none where it cannot be judged. Raises: RunError, where that is not wanted."""
    if subject.recipe is None:
        return None, None, None
    task = prepare(subject.recipe, say, subject.model)
    if subject.shots is not None:
        task = shown_in(task, subject.shots, say)
    if not task.splits["test"].rows:
        if not force:
            raise RunError(
                f"{subject.name}: has no test rows, so that nothing here tells whether it still works. Quantize a run with some, or write it unjudged with --force."
            )
        return None, None, None
    if subject.test_sha256 and subject.test_sha256 != task.data.facts["test"].sha256:
        say(Warned(f"{subject.name}: its data is no longer what it was: these are other test rows than its report's."))
    task.forward.heads.update({name: head.to(task.device) for name, head in (subject.heads.heads if subject.heads else {}).items()})
    say(Stage("before", "as it is"))
    return task, judge(task, say), _tokens_per_second(task)


def _after(
    task: Task | None, before: Judgement | None, again: LoadedModel, max_loss: float, say: Say
) -> tuple[list[str], dict[str, Any], float | None]:
    """What is wrong with the model that was read back, its metrics beside those before, and its tokens per second."""
    broken = ["Its outputs are not all finite numbers."]
    if not bool(torch.isfinite(sample_outputs(again.trunk, again)).all()):
        return broken, {}, None
    if task is None or before is None:
        return [], {}, None
    heads = dict(task.forward.heads.items())
    task.model, task.forward = again, placed(again, task.recipe, task.device, is_frozen=True)
    task.forward.heads.update(heads)
    after = judge(task, say)
    if not all(map(_is_finite, after.outputs["test"])):
        return broken, {}, None
    compared = measured(task, task.splits["test"], before.outputs["test"], after.outputs["test"])["metrics"]
    metrics = {name: _named(entry) for name, entry in compared.items() if entry["difference"] is not None}
    problems = [text for name, entry in metrics.items() if (text := _loss(name, entry, max_loss))]
    return problems, metrics, _tokens_per_second(task) if task.forward.quantized_layers else None


def _other_tokens(task: Task, again: LoadedModel) -> list[str]:
    """What to say where the tokenizer that was read back cuts test rows otherwise."""
    texts = [text_of(example) for example in task.splits["test"].examples[:_COMPARED_TEXTS]]
    before, after = (tokenizer(texts)["input_ids"] for tokenizer in (task.encoder.tokenizer, again.tokenizer))
    count = sum(one != other for one, other in zip(before, after, strict=True))
    return (
        [f"read again, the tokenizer cuts {count:,} of {len(texts):,} test texts otherwise; the metrics are on the tokens before."]
        if count
        else []
    )


def _is_finite(output: Output) -> bool:
    numbers = [*output.probabilities, *(output.grades or {}).values(), *([output.number] if output.number is not None else [])]
    return all(map(math.isfinite, numbers)) and (not output.num_tokens or math.isfinite(output.nll_nats))


def _named(entry: Mapping[str, Any]) -> dict[str, Any]:
    names = {"base": "before", "tuned": "after"}
    return {names.get(key, key): value for key, value in entry.items()}


def _loss(name: str, entry: Mapping[str, Any], max_loss: float) -> str:
    """What to say of a metric that is no number any more, or certainly worse than it may be; empty where it may not be, where nothing tells, or where more is neither better nor worse."""
    value, difference = entry["before"]["value"], entry["difference"]
    if math.isfinite(value) and not math.isfinite(entry["after"]["value"]):
        return f"{name} is no finite number, before {value:.4g}."
    if entry["higher_is_better"] is None:
        return ""
    allowed, worst_case = max_loss * abs(value), difference["high"] if entry["higher_is_better"] else -difference["low"]
    if not worst_case < -allowed:
        return ""
    now, low, high = entry["after"]["value"], difference["low"], difference["high"]
    return (
        f"{name} is {now:.4g}, before {value:.4g}: a difference of {difference['value']:+.3g} ({low:+.3g} to {high:+.3g}), "
        f"where --max-loss {max_loss:g} allows {allowed:.3g}."
    )


def _undecided(metrics: Mapping[str, Any]) -> list[str]:
    """What to say of metrics that changed, where nothing tells whether by more than chance."""
    return [
        f"{name}: its change has no interval (rows: {entry['rows']}) and is not held against --max-loss."
        for name, entry in metrics.items()
        if entry["higher_is_better"] is not None and entry["difference"]["value"] and not math.isfinite(entry["difference"]["low"])
    ]


def _tokens_per_second(task: Task) -> float:
    """Read by the model, with its loss, of the first micro-batch of test rows: the best of some passes after one that does not count."""
    rows: Sequence[Any] = task.splits["test"].rows
    batch = next(evaluation_batches(rows, task.micro_batch_tokens, task.forward.facts))[0].to(task.device)
    task.forward.eval()
    best, began = math.inf, time.perf_counter()
    with torch.no_grad():
        for number in range(1 + _TIMED_PASSES):
            started = time.perf_counter()
            sum(float(value) for value in task.objective.loss(task.forward, batch).sums.values())
            if number:
                best = min(best, time.perf_counter() - started)
            if number and time.perf_counter() - began > _TIMED_SECONDS:
                break
    return float(batch.stream.num_tokens / best)
