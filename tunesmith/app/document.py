"""report.json: everything that a run measured, in one document."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

import torch

from tunesmith.app.copied import copied
from tunesmith.app.decoding import answer_tokens
from tunesmith.app.earlier import new_labels
from tunesmith.app.judged import Judgement, beginning
from tunesmith.app.judging import EncodedSplit
from tunesmith.app.learned import writes
from tunesmith.app.machine import machine_facts, peak_memory_bytes, versions
from tunesmith.app.measurable import Measurable
from tunesmith.app.measured import measured, measured_tasks, pick
from tunesmith.app.plan import Plan
from tunesmith.app.preview import previewed
from tunesmith.app.saving import full_copy_bytes, saved_bytes
from tunesmith.app.task import Task, rows_to_answer
from tunesmith.app.training import Fit
from tunesmith.app.ways import Ways
from tunesmith.core.layers import parameters_by_depth
from tunesmith.core.run import RunDirectory
from tunesmith.core.statistics import FEWEST_RESAMPLED, wilson
from tunesmith.core.types import Example, HeadObjective, Output, Preference, Ranked
from tunesmith.data import EncodedFacts, Splits, inspect
from tunesmith.evaluation.calibration import pair_reliability, reliability
from tunesmith.evaluation.correction import add_corrected
from tunesmith.evaluation.overfitting import gap, overfitting
from tunesmith.evaluation.rewarded import signs_of_hacking, win_rate
from tunesmith.evaluation.score import changed, confusion, text_of
from tunesmith.method._new_rows import new_token_ids
from tunesmith.recipe import dump

__all__ = ["Times", "build_document", "data_facts", "left_out", "provenance", "row_warnings", "what_was_said"]

T = TypeVar("T")

_MOST_ROLLOUTS = 8
"""Of those that are shown, from the first to the last."""
_PREVIEW_CHARACTERS = 2000
"""Of each training row that the report shows."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of the whole command, of judging the base (in an earlier run, where its answers were kept) and the tuned model, of asking both what is not to be forgotten, and of fitting new heads before the rest trains."""

    total_seconds: float
    base_seconds: float
    base_is_kept: bool
    tuned_seconds: float
    retention_seconds: float
    head_first_seconds: float


def build_document(
    task: Task, directory: RunDirectory, base: Judgement, tuned: Judgement, fit: Fit, planned: Plan, ways: Ways, times: Times
) -> dict[str, Any]:
    """The document, as docs/report-format.md describes it, but for what was forgotten."""
    curves = _curves(directory, fit, task)
    said = what_was_said(task, directory, base, tuned, measured_tasks(task, base, tuned, fit.steps))
    return {
        **said,
        "rewards": _rewards(task, base, tuned, said["metrics"]),
        "rollouts": evenly(list({one["rollout"]: one for one in directory.read_rollouts()}.values()), _MOST_ROLLOUTS),
        "curves": curves,
        "copied": copied(task, base, tuned),
        "data": data_facts(task, task.encoded) | {"preview": _preview(task)},
        "cost": _cost(task, directory, fit, planned, ways, times),
        "predicted": {
            # what a policy will write is not known before
            name: None if task.kind == "policy" else getattr(planned, name)
            for name in ("peak_memory_bytes", "train_seconds", "total_seconds")
        },
        **provenance(task, directory, task.device),
        "warnings": [
            *row_warnings(task),
            *_warnings(task, curves, fit),
            *_cut_answers(task, base, tuned),
            *(signs_of_hacking(said["metrics"]) if task.rewards else ()),
        ],
    }


def what_was_said(task: Measurable, directory: RunDirectory, base: Judgement, tuned: Judgement, tasks: Mapping[str, Any]) -> dict[str, Any]:
    """What the document is of, and what was measured. `tasks`: of a mixture, as `measured_tasks` gives them."""
    test = task.splits["test"]
    domains = {
        name: {"rows": len(tuned.outputs[name]), **measured(task, task.splits[name], base.outputs.get(name), tuned.outputs[name])}
        for name in task.data.domains
    }
    own = measured(task, test, base.outputs.get("test"), tuned.outputs["test"])
    add_corrected(own["metrics"], [one["metrics"] for one in (*tasks.values(), *domains.values())])
    return {
        "schema": "tunesmith/tune/1",
        "run": directory.id,
        "directory": str(directory.path),
        "name": task.recipe.name,
        "description": task.recipe.description,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "status": "done",
        "task": {"objective": task.objective_name, "method": task.recipe.method.name, "kind": task.kind, "base": task.base_kind},
        **own,
        "tasks": tasks,
        "domains": domains,
        "confusion": _confusion(task, test, base, tuned),
        "reliability": _reliability(task, test, base, tuned),
        "changed": _changed(task, base, tuned),
        "samples": _samples(task, base, tuned),
    }


def provenance(task: Measurable, directory: RunDirectory, device: torch.device) -> dict[str, Any]:
    """What it takes to make the run again."""
    return {
        "model": directory.read_json(directory.environment)["model"],
        "versions": versions(),
        "machine": machine_facts(device),
        "recipe": dump(task.recipe),
        "command": f"tunesmith tune {shlex.quote(str(directory.recipe))} output_dir={shlex.quote(str(directory.path) + '-again')}",
    }


def _rewards(task: Task, base: Judgement, tuned: Judgement, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whose answers are rewarded more, by the judges that nobody trained by where there are some; None where nothing was rewarded."""
    if task.rewards is None or not base.outputs.get("test"):
        return None
    name = "rewarded" if task.rewards.held_out is None else "held_out_reward"
    found = [(getattr(b, name), getattr(t, name)) for b, t in zip(base.outputs["test"], tuned.outputs["test"], strict=True)]
    pairs = [(b, t) for b, t in found if b is not None and t is not None]
    wins = win_rate([b for b, _ in pairs], [t for _, t in pairs], seed=task.recipe.seed) if pairs else None
    return {"by": "reward" if name == "rewarded" else name, "win_rate": wins, "signs": signs_of_hacking(metrics)}


def evenly(rows: Sequence[T], most: int) -> list[T]:
    """At most so many of the rows, evenly spaced, the first and the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(number * (len(rows) - 1) / (most - 1))] for number in range(most)]


def _curves(directory: RunDirectory, fit: Fit, task: Task) -> dict[str, Any]:
    train, validation = list[dict[str, Any]](), list[dict[str, Any]]()
    for event in directory.read_steps():
        if event["event"] == "step":
            kept = ("epoch", "loss", "learning_rate", "grad_norm", "seconds")
            seen = {"metrics": event["metrics"]} if event.get("metrics") else {}
            train.append({"step": event["index"], "tokens": event["num_tokens"], **{name: event[name] for name in kept}, **seen})
        else:
            validation.append({name: value for name, value in event.items() if name != "event"})
    of_loss = None if task.kind == "policy" else validation  # a policy's validation is of rewards, its loss is not
    best = None if fit.best_step is None else {"step": fit.best_step, "metric": task.select_by, "value": fit.best_value}
    return {
        "train": train,
        "validation": validation,
        "best": best,
        "overfitting": {"found": False, "text": ""} if of_loss is None else overfitting(train, of_loss),
        "gap": None if of_loss is None else gap(train, of_loss, fit.best_step),
        "stopped_early": fit.stopped_early,
    }


def _confusion(task: Measurable, test: EncodedSplit, base: Judgement, tuned: Judgement) -> dict[str, Any] | None:
    if task.kind != "classification" or not test.examples:
        return None

    def matrix(outputs: Sequence[Output] | None) -> list[list[int]] | None:
        said = [(reference, o.label) for reference, o in zip(test.references, outputs or (), strict=False) if o.label]
        return confusion(task.encoder.labels, [true for true, _ in said], [label for _, label in said]) if outputs else None

    new = new_labels(task) if isinstance(task, Task) else ()
    sides = {"base": base.outputs.get("test"), "tuned": tuned.outputs["test"]}
    found: dict[str, Any] = {"labels": list(task.encoder.labels), **{side: matrix(said) for side, said in sides.items()}}
    return found | ({"by_label": _by_label(task.encoder.labels, new, test.references, sides)} if new else {})


def _by_label(
    labels: Sequence[str], new: Sequence[str], references: Sequence[str], sides: Mapping[str, Sequence[Output] | None]
) -> list[dict[str, Any]]:
    """The share of each label's rows that both sides got right, where the head of the model before did not know some of them."""
    return [
        {
            "label": label,
            "is_new": label in new,
            "rows": len(rows),
            **{
                side: asdict(wilson(sum(said[row].label == label for row in rows), len(rows))) if said and rows else None
                for side, said in sides.items()
            },
        }
        for label in labels
        for rows in [[row for row, reference in enumerate(references) if reference == label]]
    ]


def _reliability(task: Measurable, test: EncodedSplit, base: Judgement, tuned: Judgement) -> dict[str, Any] | None:
    if task.kind not in ("classification", "reward_model", "preference") or not test.examples:
        return None
    sides = {"base": base.outputs.get("test") or [], "tuned": tuned.outputs["test"]}
    if task.kind != "classification":
        ranks = [example.ranks if isinstance(example, Preference | Ranked) else () for example in test.examples]
        return {side: [asdict(one) for one in (pair_reliability(said, ranks) if said else ())] for side, said in sides.items()}
    return {side: [asdict(one) for one in reliability(said, test.references)] for side, said in sides.items()}


def _changed(task: Measurable, base: Judgement, tuned: Judgement) -> dict[str, Any] | None:
    test, before, after = task.splits["test"], base.outputs.get("test"), tuned.outputs["test"]
    if (
        not before or not after or task.kind in ("language_modelling", "preference", "policy")
    ):  # a text goes on in many ways: none is better for being like its own
        return None
    rows = [i for i, output in enumerate(after) if output.label is not None or output.text is not None]
    if not rows:
        return None
    return changed(pick(test.examples, rows), pick(before, rows), pick(after, rows), pick(test.references, rows))


def _samples(task: Measurable, base: Judgement, tuned: Judgement) -> list[dict[str, Any]]:
    samples = [
        {"prompt": prompt, "reference": None, "base": before, "tuned": after}
        for prompt, before, after in zip(task.recipe.evaluate.prompts, base.answers, tuned.answers, strict=False)
    ]
    if not writes(task.kind) or not base.outputs.get("test"):
        return samples
    test, before, after = task.splits["test"], base.outputs["test"], tuned.outputs["test"]
    for index in _shown(test.examples, after)[: task.recipe.evaluate.samples]:
        said = {"base": before[index].text, "tuned": after[index].text}
        asked, reference = text_of(test.examples[index]), test.references[index]
        if task.kind == "language_modelling":
            asked, rest = beginning(test.examples[index])
            reference = " ".join(rest.split()[: task.recipe.evaluate.max_new_tokens])
        samples.append({"prompt": asked, "reference": reference, **said})
    return samples


def _shown(examples: Sequence[Example], outputs: Sequence[Output]) -> list[int]:
    """Places of the rows that were answered; of a mixture the first of each task, then the second of each."""
    turns, places = Counter[str](), list[tuple[int, int]]()
    for index, (example, output) in enumerate(zip(examples, outputs, strict=True)):
        if output.text is not None:
            places.append((turns[example.origin.task], index))
            turns[example.origin.task] += 1
    return [index for _, index in sorted(places)]


def _preview(task: Task) -> list[dict[str, Any]]:
    """Training rows as the model read them, cut where they are very long: two, of a mixture one of each set."""
    shown = list[dict[str, Any]]()
    for entry in previewed(task, 1 if task.data.sets else 2):
        pieces, room = list[tuple[str, bool]](), _PREVIEW_CHARACTERS
        for text, learned in entry["pieces"]:
            if room > 0:
                pieces.append((text if len(text) <= room else text[:room] + "…", learned))
            room -= len(text)
        shown.append({name: value for name, value in entry.items() if name != "tokens"} | {"pieces": pieces})
    return shown


def data_facts(task: Measurable, encoded: Mapping[str, EncodedFacts]) -> dict[str, Any]:
    """Of every split and domain; `encoded`: those that a tokenizer of this machine has read."""
    data = inspect(Splits(task.data.train, task.data.validation, task.data.test), encoded, task.data.facts)
    for name, examples in task.data.domains.items():
        own = {"train": encoded[name]} if name in encoded else {}
        alone = inspect(Splits(list(examples), [], []), own, {"train": task.data.facts[name]})
        data["splits"][name] = alone["splits"]["train"]
    return data


def _cost(task: Task, directory: RunDirectory, fit: Fit, planned: Plan, ways: Ways, times: Times) -> dict[str, Any]:
    return {
        "train_seconds": fit.seconds,
        "compile_seconds": ways.compile_seconds,
        "head_first_seconds": times.head_first_seconds,
        "evaluate_seconds": times.tuned_seconds + (0.0 if times.base_is_kept else times.base_seconds),
        "base_evaluate_seconds": times.base_seconds,
        "tuned_evaluate_seconds": times.tuned_seconds,
        "retention_seconds": times.retention_seconds,
        "total_seconds": times.total_seconds,
        "tokens": fit.num_tokens,
        "tokens_per_second": fit.num_tokens / fit.seconds if fit.seconds else None,
        "peak_memory_bytes": peak_memory_bytes(task.device),
        "activation_checkpointing": ways.activation_checkpointing,
        "num_kept_layers": ways.num_kept_layers,
        "trainable_parameters": planned.trainable_parameters,
        "total_parameters": planned.total_parameters,
        "saved_bytes": saved_bytes(directory),
        "full_copy_bytes": full_copy_bytes(task),
    }


def _warnings(task: Task, curves: Mapping[str, Any], fit: Fit) -> list[str]:
    found = list(task.remarks)
    if task.kind != "policy" and (risen := _risen([step["loss"] for step in curves["train"]])) is not None:
        found.append(f"The training loss rose from {risen[0]:.3g} to {risen[1]:.3g}: lower train.learning_rate.")
    if fit.max_micro_batch_tokens is not None:
        found.append(
            f"Memory ran out with engine.micro_batch_tokens {task.micro_batch_tokens:,}: {fit.max_micro_batch_tokens:,} were computed at a time."
        )
    if curves["overfitting"]["found"]:
        found.append(curves["overfitting"]["text"])
    found += _never_unfrozen(task, curves, fit)
    found += [told] if (told := left_out(task)) else []
    found += dict.fromkeys(f"{note}." for facts in task.encoded.values() for note in facts.notes)
    if task.num_prompts_cut:
        found.append(
            f"{task.num_prompts_cut} prompts were longer than the model takes: their oldest tokens were left out when it answered them."
        )
    if not task.splits["validation"].rows:
        found.append("No validation split: the weights of the last step were kept, and over-fitting could not be seen.")
    if added := len(new_token_ids(task.model.trunk)):
        found.append(
            f"The base was judged as it came, without the {added:,} tokens that the tuned model has beside. Bits per byte of the two can be compared; "
            "perplexity is per token, and left out."
        )
    if task.model.source.drawn_by is not None:
        found.append(
            f"The base has random weights, drawn by seed {task.recipe.seed}: all that was learned shows against it, and nothing that pretraining would have given."
        )
    if task.recipe.model.trust_remote_code:
        found.append(f"The model's own Python code was run (model.trust_remote_code, revision {task.recipe.model.revision}).")
    return found


def left_out(task: Task) -> str:
    """What to say of linear layers that are too narrow for an adapter of the rank that nobody chose."""
    paths: Sequence[str] = getattr(task.model.trunk, "without_adapter", ())
    if not paths:
        return ""
    others = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"method.target_modules: all-linear leaves out {', '.join(paths[:3])}{others}: narrower than the default rank. Choose a rank: method.r, or method.rank_pattern for one."


def _risen(losses: Sequence[float]) -> tuple[float, float] | None:
    """The mean losses of the first steps and of the last ones, as many, where the latter is half as high again; a single step may have easy rows."""
    num = min(5, len(losses) // 2)
    first, last = (sum(part) / max(1, num) for part in (losses[:num], losses[len(losses) - num :]))
    return (first, last) if last > 1.5 * first > 0 else None


def _never_unfrozen(task: Task, curves: Mapping[str, Any], fit: Fit) -> list[str]:
    """Of layers whose turn to train (`method.unfreeze_every`) had not come in the weights that were kept."""
    every, steps = float(getattr(task.method, "unfreeze_every", 0.0)), curves["train"]
    if not every or not steps:
        return []
    depths, kept = len(parameters_by_depth(task.model.trunk)), fit.best_step or steps[-1]["step"]
    last_epoch = steps[-1]["epoch"] * (kept - 1) / steps[-1]["step"]  # as the last of its steps began
    num_left = sum(every * depth > last_epoch for depth in range(depths))
    if not num_left:
        return []
    return [
        f"Of {depths} groups of layers the {num_left} nearest to the input are as they were: one more begins to train every {every:g} epochs, and the weights "
        f"of step {kept} were kept. Raise train.epochs, or lower method.unfreeze_every."
    ]


def row_warnings(task: Measurable) -> list[str]:
    """What is to be said of the rows, whoever answers them."""
    found, num_test = list(task.data.warnings), len(task.splits["test"].examples)
    if task.kind in ("generation", "policy") and not task.recipe.evaluate.generate_limit:
        found.append("evaluate.generate_limit is 0: no answers were written, so the metrics of text are missing.")
    if isinstance(task.objective, HeadObjective) and task.recipe.evaluate.prompts:
        found.append(f"evaluate.prompts: a model of {task.objective_name} answers no prompts; they were passed over.")
    if not num_test:
        found.append("No test split: nothing was measured on unseen data.")
    elif num_test < FEWEST_RESAMPLED:
        found.append(
            f"The test split has {num_test} rows: what is resampled of fewer than {FEWEST_RESAMPLED} gets intervals that are too narrow, and only a very large difference shows."
        )
    return found


def _cut_answers(task: Task, base: Judgement, tuned: Judgement) -> list[str]:
    if answer_tokens(task.forward, task.recipe) != task.recipe.evaluate.max_new_tokens:  # found best, and so no fault
        return []
    is_of_base = base.num_cut and task.model.source.drawn_by is None  # a network that has learned nothing seldom ends
    if not is_of_base and not tuned.num_cut:
        return []
    asked = sum(len(rows_to_answer(task, task.splits[name].examples)) for name in tuned.outputs)
    side = "the tuned model" if task.recipe.trains else "best of n" if task.kind == "policy" else "the model in its context"
    key = "objective" if task.kind == "policy" else "evaluate"
    most = getattr(task.objective, "max_new_tokens", task.recipe.evaluate.max_new_tokens)
    return [
        f"Of {asked:,} answers, {base.num_cut:,} of the base and {tuned.num_cut:,} of {side} had not ended after "
        f"{most:,} tokens, or where the model reads no more, and count as they are. Raise {key}.max_new_tokens."
    ]
