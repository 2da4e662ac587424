"""The model card: a README.md with front matter that Hugging Face reads, made of the same numbers as the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.report import numbers
from tunesmith.report.context import Context, adapted_by, context
from tunesmith.report.direct import Direct, direct
from tunesmith.report.forgetting import Forgetting, forgetting
from tunesmith.report.results import DataSet, comparisons, file_name, note_on_p
from tunesmith.report.summary import summarize

__all__ = ["model_card"]

_PIPELINES = {
    "classification": "text-classification",
    "multi_label": "text-classification",
    "regression": "text-classification",
    "token_classification": "token-classification",
    "span_qa": "question-answering",
    "reward_model": "text-classification",
    "grading": "text-classification",
    "generation": "text-generation",
    "preference": "text-generation",
    "language_modelling": "text-generation",
    "masked_language_modelling": "fill-mask",
}


def model_card(report: Mapping[str, Any]) -> str:
    """The model card of a report.json, in Markdown. Text from data and recipes is escaped or fenced."""
    import yaml

    data = comparisons(report)
    front = yaml.safe_dump(_one_line(_front_matter(report, data)), sort_keys=False, allow_unicode=True, width=10_000)
    parts = [
        f"---\n{front}---",
        f"# {_plain(str(report.get('name') or report.get('run') or 'A tuned model'))}",
        _plain(summarize(report).text),
        *[f"> **Note.** {_plain(str(warning))}" for warning in report.get("warnings") or []],
        *_results(report, data),
        *_in_context(context(report)),
        *_adjusted(direct(report)),
        *_forgotten(forgetting(report)),
        *_training(report),
        *_data(report),
        *_reproduction(report),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(report: Mapping[str, Any], data: Sequence[DataSet]) -> dict[str, Any]:
    model, task = report.get("model") or {}, report.get("task") or {}
    method, name = task.get("method"), str(model.get("name") or "unknown")
    licence = str(model.get("licence") or "unknown").strip().lower().replace(" ", "-")
    own = next((d for d in data if d.is_own), None)
    front: dict[str, Any] = {
        "base_model": name,
        "library_name": "peft" if method == "lora" else "transformers",
        "license": licence,
        "tags": ["tunesmith", *(str(tag) for tag in (method, task.get("objective")) if tag)],
    }
    pipeline = _PIPELINES.get(str(task.get("kind")))
    if pipeline:
        front["pipeline_tag"] = pipeline
    if own:
        front["metrics"] = [c.metric for c in own.comparisons]
        measured = [{"type": c.metric, "value": c.tuned.value, "name": c.title} for c in own.comparisons if c.tuned]
        result = {"task": {"type": pipeline or "other"}, "dataset": {"name": own.name, "type": own.name}, "metrics": measured}
        front["model-index"] = [{"name": str(report.get("name") or report.get("run") or name), "results": [result]}]
    return front


def _one_line(value: Any) -> Any:
    """The same values with every text on one line: no line of the front matter can then be its end."""
    if isinstance(value, dict):
        return {name: _one_line(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_one_line(item) for item in value]
    return " ".join(value.split()) if isinstance(value, str) else value


def _results(report: Mapping[str, Any], data: Sequence[DataSet]) -> list[str]:
    parts = ["## Results"] if data else []
    for d in data:
        place = "held-out test rows of the training data" if d.is_own else d.place
        rows = f", {numbers.count(d.rows)} rows" if d.rows else ""
        has_majority = any(c.majority for c in d.comparisons)
        head = ["metric", *([d.comparisons[0].constant] if has_majority else []), "base", "tuned", "difference", "p"]
        body = []
        for c in d.comparisons:
            change = c.difference.change_text(c.decimals) if c.difference else numbers.MISSING
            estimates = [e.text(c.decimals) if e else numbers.MISSING for e in (*((c.majority,) if has_majority else ()), c.base, c.tuned)]
            body.append([c.title + (f" ({c.direction})" if c.direction else ""), *estimates, change, c.p_text])
        parts += [f"**{_plain(d.name)}** ({place}{rows})", _table(head, body)]
    if data:
        parts.append(f"Intervals are 95 %; the difference is paired, over the same rows. {note_on_p(report)}")
    return parts


def _in_context(found: Context | None) -> list[str]:
    if found is None:
        return []
    return ["## In its context", _plain(found.text), *([_table(found.head, found.rows)] if found.rows else [])]


def _adjusted(found: Direct | None) -> list[str]:
    if found is None:
        return []
    return ["## What was adjusted", _plain(found.text), _table(["of", "number", "range", "before", "found"], found.rows)]


def _forgotten(found: Forgetting | None) -> list[str]:
    if found is None:
        return []
    parts = ["## What it forgot", _plain(found.text)]
    if not found.tasks:
        return parts
    body = []
    for data in found.tasks:
        c = data.comparisons[0]
        about = f"{c.title}, {numbers.count(data.rows or 0)} rows" + (f", {c.direction}" if c.direction else "")
        change = c.difference.change_text(c.decimals) if c.difference else numbers.MISSING
        sides = (e.text(c.decimals) if e else numbers.MISSING for e in (c.base, c.tuned))
        body.append([data.name, about, *sides, change, c.detectable_text, c.p_text])
    return [*parts, _table(["task", "measured", "base", "tuned", "difference", "can be seen", "p, Holm"], body)]


def _training(report: Mapping[str, Any]) -> list[str]:
    cost, task, machine = report.get("cost") or {}, report.get("task") or {}, report.get("machine") or {}
    model = report.get("model") or {}
    facts = [
        ("Base model", model.get("name") and f"{model['name']} ({model.get('architecture') or 'architecture not recorded'})"),
        ("Method and objective", task.get("method") and f"{adapted_by(report)}, {task.get('objective')}"),
        ("Trainable parameters", cost.get("trainable_parameters") and _parameters(cost)),
        ("Training time", cost.get("train_seconds") is not None and numbers.duration(cost["train_seconds"])),
        ("Peak memory", cost.get("peak_memory_bytes") and numbers.size(cost["peak_memory_bytes"])),
        ("Machine", machine and ", ".join(str(machine[k]) for k in ("processor", "device") if machine.get(k))),
        ("Custom code", model.get("trust_remote_code") and "the base model ran Python files of its own (trust_remote_code)"),
    ]
    known = [[name, str(value)] for name, value in facts if value]
    return ["## Training", _table(["", ""], known)] if known else []


def _parameters(cost: Mapping[str, Any]) -> str:
    total = cost.get("total_parameters")
    return numbers.count(cost["trainable_parameters"]) + (
        f" of {numbers.count(total)} ({numbers.percent(cost['trainable_parameters'] / total)})" if total else ""
    )


def _data(report: Mapping[str, Any]) -> list[str]:
    data = report.get("data") or {}
    rows = []
    for name, split in (data.get("splits") or {}).items():
        if split:
            tokens = numbers.count(split["tokens"]) if split.get("tokens") is not None else numbers.MISSING
            rows.append(
                [
                    name,
                    file_name(str(split.get("source") or numbers.MISSING)),
                    numbers.count(split.get("rows") or 0),
                    tokens,
                    split.get("sha256") or numbers.MISSING,
                ]
            )
    if not rows:
        return []
    licence = [f"Licence of the data: {_plain(str(data['licence']))}."] if data.get("licence") else []
    return ["## Data", _table(["split", "source", "rows", "tokens", "SHA-256"], rows), *licence]


def _reproduction(report: Mapping[str, Any]) -> list[str]:
    parts = []
    if report.get("command"):
        parts.append(_fence(str(report["command"]), "sh"))
    if report.get("recipe"):
        parts.append(_fence(str(report["recipe"]).rstrip(), "yaml"))
    if report.get("versions"):
        parts.append("Versions: " + ", ".join(_plain(f"{name} {version}") for name, version in report["versions"].items()) + ".")
    return ["## Run it again", *parts] if parts else []


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    one_line = " ".join(text.split())
    escaped = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]#|~])", r"\\\1", escaped)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [[_plain(cell) for cell in line] for line in (head, *body)]
    rule = ["---"] + ["---:" if len(head) > 2 else "---"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def _fence(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
