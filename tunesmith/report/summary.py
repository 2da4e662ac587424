"""What a run did and whether it worked, in plain sentences made from its numbers: for the page, the model card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.context import shown, tuned_side
from tunesmith.report.direct import subject
from tunesmith.report.forgetting import forgetting
from tunesmith.report.judgement import judgement_sentences
from tunesmith.report.numbers import count, fixed, listed, p_value, significant
from tunesmith.report.results import Comparison, DataSet, Verdict, comparisons, file_name

__all__ = ["Summary", "sentences", "summarize"]


@dataclass(frozen=True, slots=True)
class Summary:
    """The verdict of a run."""

    verdict: Verdict
    """Of the first metric on the run's own test split; `worse`, too, where the constant answer (of classes, the majority class) beats the tuned model."""
    headline: str
    """The verdict in a few words."""
    sentences: tuple[str, ...]
    base: str = "base"
    """What the base is called: `zero-shot base` where it was asked for labels that it was never taught."""

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)


def sentences(report: Mapping[str, Any]) -> list[str]:
    """The summary of a report.json, a sentence each."""
    return list(summarize(report).sentences)


_ZERO_SHOT = "zero-shot base"
_FEWEST_ROWS = 6
"""With fewer McNemar's exact test never finds a difference."""


def summarize(report: Mapping[str, Any]) -> Summary:
    """Judge a report.json by the first metric of its own test split, then tell of the other metrics, the baselines, the tasks of a mixture, the domains and what was forgotten."""
    data = comparisons(report)
    own = next((d for d in data if d.is_own), None)
    if own is None:
        return Summary("uncompared", "Not measured", (f"{_subject(report)} finished; nothing was measured on held-out data.",))
    first = own.comparisons[0]
    base = _ZERO_SHOT if (report.get("task") or {}).get("base") == "zero_shot" else "base"
    said = [
        _main_sentence(_subject(report), first, own, base, tuned_side(report)),
        *_majority_sentences(first),
        *_power_sentences(first, own),
        *_other_metrics(own),
    ]
    tasks = [f"{d.name}: {clause}" for d in data if d.is_task if (clause := _task_clause(d.comparisons[0]))]
    if tasks:
        said.append(f"By task: {'; '.join(tasks)}.")
    foreign = [clause for d in data if not d.is_own and not d.is_task if (clause := _domain_clause(d, first.metric))]
    if foreign:
        said.append(f"Out of its domain: {'; '.join(foreign)}.")
    kept = forgetting(report)
    if kept is not None and kept.tasks:
        said.append(kept.sentences[0])
    said += _copied_sentences(report.get("copied"))
    said += judgement_sentences(report.get("judge"))
    said += _win_sentences(report.get("rewards"))
    if ((report.get("curves") or {}).get("overfitting") or {}).get("found"):
        said.append("Validation shows over-fitting: see the learning curves.")
    verdict: Verdict = "worse" if first.against_majority == "worse" else first.verdict
    return Summary(verdict, _headline(first, base), tuple(said), base)


def _win_sentences(rewards: Mapping[str, Any] | None) -> list[str]:
    """How often an answer of the tuned model is rewarded more than the base's."""
    wins = (rewards or {}).get("win_rate")
    if rewards is None or not wins:
        return []
    by = "the held-out judges" if rewards["by"] == "held_out_reward" else "its reward"
    known = wins["low"] is not None  # where every prompt says the same there is no interval
    interval = f" ({100 * wins['low']:.0f}–{100 * wins['high']:.0f})" if known else ""
    return [
        f"By {by}, its answer is better than the base's to {100 * wins['value']:.0f} %{interval} of {count(wins['rows'])} prompts, ties counted half."
    ]


def _headline(first: Comparison, base: str) -> str:
    if first.against_majority == "worse":
        return f"Below the {first.constant}"
    return {
        "better": f"Better than the {base}",
        "worse": f"Worse than the {base}",
        "changed": f"Changed from the {base}",
        "unclear": "No clear difference from the base",
        "uncompared": "No base to compare with",
    }[first.verdict]


def _subject(report: Mapping[str, Any]) -> str:
    """Who acted: `LoRA on minilm-l6 with 4,000 rows of movie-reviews`."""
    method = str((report.get("task") or {}).get("method") or "Tuning")
    model = file_name(str((report.get("model") or {}).get("name") or "the model"))
    ways = {
        "lora": "LoRA on {}",
        "bitfit": "BitFit on {}",
        "layers": "Some layers of {}",
        "full": "Full fine-tuning of {}",
        "head": "A new head on the frozen {}",
        "adapter": "Bottleneck adapters in {}",
        "ia3": "IA3 on {}",
        "prompt": "Prompt tuning of {}",
        "prefix": "Prefix tuning of {}",
        "p_tuning": "P-tuning of {}",
    }
    train = ((report.get("data") or {}).get("splits") or {}).get("train") or {}
    about = report.get("model") or {}
    model += f" kept in {about['quantization']}" if about.get("quantization") else ""
    model += " with random weights" if about.get("weights") == "random" else ""
    if report.get("direct"):
        return subject(report, model)
    text = ways.get(method, f"{method} on {{}}").replace("{}", model)
    found = report.get("context")
    stands = shown(found["chosen"]) if found else ""
    if method == "none" and (report.get("task") or {}).get("objective") == "best_of_n":
        return f"The best of several answers by {model}"
    if method == "none":
        return f"{stands} each question to {model}" if stands else f"Asking {model} in another wording"
    if train.get("rows"):
        text += f" with {count(train['rows'])} rows"
        text += f" of {file_name(str(train['source']))}" if train.get("source") else ""
    return f"{text}, {stands} each question," if stands else text


def _main_sentence(subject: str, c: Comparison, own: DataSet, base: str, side: str) -> str:
    places = c.decimals
    num_rows = c.rows or own.rows
    rows = f", on {count(num_rows)} test rows" if num_rows else ""
    if c.tuned is None:
        return f"{subject} gave no {c.title} that could be measured{rows}."
    if c.base is None or c.difference is None:
        return f"{subject} reached {c.title} {c.tuned.text(places)}{rows}; there is no base result to compare with."
    kind = " zero-shot" if base == _ZERO_SHOT else ""
    change = f"{c.difference.change_text(places)}{', ' + c.test_text if c.test_text else ''}{rows}"
    if c.verdict == "unclear":
        return (
            f"{subject} made no clear difference to {c.title}: {c.base.text(places)} base{kind}, {c.tuned.text(places)} {side}; {change}."
        )
    verb = "raised" if c.difference.value > 0 else "lowered"
    lower = f" ({c.direction})" if c.direction else ""
    text = f"{subject} {verb} {c.title}{lower} from {c.base.text(places)}{kind} to {c.tuned.text(places)}: {change}."
    worse = f" The {side} model is worse than the base." if side == "tuned" else " That is worse than the base alone."
    return text + (worse if c.verdict == "worse" else "")


def _majority_sentences(c: Comparison) -> list[str]:
    if c.majority is None or c.tuned is None:
        return []
    value = fixed(c.majority.value, c.decimals)
    simple = {"majority class": "always answering the most frequent label", "length alone": "going by the length of answers alone"}.get(
        c.constant, "always giving the best constant answer"
    )
    if c.against_majority == "worse":
        return [f"{simple.capitalize()} would score {value}: better than the tuned model."]
    if c.against_majority == "unclear":
        return [f"It is not clearly better than {simple} ({value})."]
    return [f"{simple.capitalize()} scores {value}."]


def _power_sentences(c: Comparison, own: DataSet) -> list[str]:
    """How small a difference the test rows can show: `With 200 test rows a difference of 5.8 points can be seen, hardly one of 1.9.`"""
    num_rows = c.rows or own.rows
    if c.difference is None or not num_rows:
        return []
    if c.test == "mcnemar" and num_rows < _FEWEST_ROWS:
        return [f"With {count(num_rows)} test rows no difference can be seen."]
    if c.detectable is None:
        return []
    scale, unit = (100, " points") if c.test == "mcnemar" else (1, f" in {c.title}")
    large, small = (significant(scale * part * c.detectable, 2) for part in (1, 1 / 3))
    return [f"With {count(num_rows)} test rows a difference of {large}{unit} can be seen, hardly one of {small}."]


def _other_metrics(own: DataSet) -> list[str]:
    """How the other metrics moved, by name."""
    phrases = []
    for verdict, what in (("better", "improved"), ("worse", "got worse"), ("changed", "changed"), ("unclear", "shows no clear difference")):
        names = [c.title for c in own.comparisons[1:] if c.verdict == verdict]
        if names:
            what = what.replace("shows", "show") if len(names) > 1 else what
            phrases.append(f"{listed(names)} {what}")
    return [f"Of the other metrics, {'; '.join(phrases)}."] if phrases else []


def _task_clause(c: Comparison) -> str:
    """How the first metric of a task moved."""
    places = c.decimals
    if c.tuned is None:
        return ""
    if c.base is None or c.difference is None:
        return f"{c.title} {c.tuned.text(places)}"
    word = {"better": "better", "worse": "worse", "changed": "changed"}.get(c.verdict, "no clear difference")
    p = f", {p_value(c.p)}" if c.p is not None else ""
    moved = f"{fixed(c.base.value, places)} to {fixed(c.tuned.value, places)}"
    text = f"{c.title} {word}, {moved} ({c.difference.change_text(places)}{p})"
    if c.against_majority in ("worse", "unclear") and c.majority is not None:
        text += f", not clearly above the majority class ({fixed(c.majority.value, places)})"
    return text


def _domain_clause(data: DataSet, metric: str) -> str:
    c = data.find(metric)
    if c is None or c.tuned is None:
        return ""
    places = c.decimals
    if c.base is None or c.difference is None:
        text = f"{c.title} {c.tuned.text(places)} on {data.name}"
    else:
        p = f", {p_value(c.p)}" if c.p is not None else ""
        moved = f"{fixed(c.base.value, places)} to {fixed(c.tuned.value, places)}"
        change = f"{c.difference.change_text(places)}{p}"
        words = {verdict: f"{verdict} on {data.name}, {moved}" for verdict in ("better", "worse", "changed")}
        text = f"{words.get(c.verdict, f'no clear difference on {data.name}, {moved}')}: {change}"
    if c.against_majority == "worse" and c.majority is not None:
        text += f", below the {c.constant} ({fixed(c.majority.value, places)})"
    return text


def _copied_sentences(copied: Mapping[str, Any] | None) -> list[str]:
    """The longest run of words that was written and stands in the training texts."""
    tuned, base, held_out = ((copied or {}).get(side) for side in ("tuned", "base", "held_out"))
    if not tuned:
        return []
    others = [
        f"{other['words']} {what}" for other, what in ((base, "by the base"), (held_out, "in the held-out texts themselves")) if other
    ]
    text = f"The longest run of words that it wrote and that stands in the training texts has {tuned['words']} words"
    text += f" ({', '.join(others)})" if others else ""
    return [f"{text}: “{tuned['passage']}”." if tuned["words"] else f"{text}."]
