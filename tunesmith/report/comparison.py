"""What a comparison of arms says, for people: the verdict in plain words, and a row an arm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.numbers import (
    MISSING,
    compact,
    count,
    decimals_for,
    duration,
    fixed,
    listed,
    numbered,
    p_value,
    significant,
    size,
    usd,
)
from tunesmith.report.results import Estimate, OfMetric
from tunesmith.report.searched import outlook_sentences

__all__ = ["WHY", "ArmRow", "Compared", "comparison_reason", "comparison_verdict", "read_comparison"]

WHY = {
    "cost": "the cheapest to train and to ask",
    "accuracy": "the best by its value",
    "latency": "the quickest to answer",
    "memory": "the one that takes the least memory",
    "privacy": "the cheapest of those whose questions stay on this machine",
    "freshness": "the one that is brought up to date with the least training",
}
"""What may be preferred -> why an arm was taken."""


@dataclass(frozen=True, slots=True)
class ArmRow:
    """An arm, for a table."""

    name: str
    standing: str
    """chosen, may be best, or worse than another."""
    value: Estimate | None
    against: Estimate | None
    """Minus the chosen arm."""
    train_seconds: float | None
    seconds_per_answer: float | None
    memory_bytes: float | None
    saved_bytes: float | None
    trainable_parameters: int | None
    prompt_tokens: float | None
    usd_per_answer: float | None
    index_seconds: float | None
    """Of the index that it searches, where that was made for it."""
    domains: Mapping[str, Estimate | None]
    fell: tuple[str, ...]
    """Tasks that it certainly forgot something of."""

    @property
    def is_chosen(self) -> bool:
        """Whether the verdict takes it."""
        return self.standing == "chosen"

    @property
    def training(self) -> str:
        """How long it trained, or its documents were indexed, as a table's cell."""
        if self.index_seconds and not self.train_seconds:
            return f"{duration(self.index_seconds)} (index)"
        return duration(self.train_seconds) if self.train_seconds else MISSING

    @property
    def thousand_answers(self) -> str:
        """How long a thousand answers take, as a table's cell."""
        return MISSING if self.seconds_per_answer is None else duration(1000 * self.seconds_per_answer)

    @property
    def thousand_answers_usd(self) -> str:
        """What an endpoint asks for a thousand answers, as a table's cell."""
        return MISSING if self.usd_per_answer is None else usd(1000 * self.usd_per_answer)

    @property
    def memory(self) -> str:
        """The most memory, as a table's cell."""
        return size(self.memory_bytes) if self.memory_bytes else MISSING

    @property
    def saved(self) -> str:
        """What has to be kept beside the base, as a table's cell."""
        return MISSING if self.saved_bytes is None else size(self.saved_bytes)

    @property
    def parameters(self) -> str:
        """How many parameters it trained, as a table's cell."""
        return compact(self.trainable_parameters) if self.trainable_parameters else MISSING


@dataclass(frozen=True, slots=True)
class Compared(OfMetric):
    """A document of schema `tunesmith/compare/1`, read."""

    metric: str
    higher_is_better: bool | None
    rows: tuple[ArmRow, ...]
    """The best value first."""

    @property
    def has_prices(self) -> bool:
        """Whether an arm's answers are paid, or may be."""
        return any(row.usd_per_answer != 0 for row in self.rows)

    @property
    def decimals(self) -> int:
        """Decimals that all values are shown with."""
        return decimals_for(*(row.value.ends for row in self.rows if row.value))

    @property
    def domains(self) -> list[str]:
        """The other data that arms were measured on."""
        return list(dict.fromkeys(name for row in self.rows for name in row.domains))


def read_comparison(document: Mapping[str, Any]) -> Compared:
    """The arms of a comparison, the best value first."""
    metric, verdict = document["metric"], document["verdict"]
    rows = list[ArmRow]()
    for name, arm in document["arms"].items():
        rows.append(
            ArmRow(
                name, _standing(name, arm, verdict), Estimate.read(arm["metrics"].get(metric)), Estimate.read(arm["against_choice"]), arm["train_seconds"],
                arm["seconds_per_answer"], arm["memory_bytes"], arm["saved_bytes"], arm.get("trainable_parameters"), arm.get("prompt_tokens"),
                arm.get("usd_per_answer", 0.0),
                arm.get("index_seconds"), {domain: Estimate.read(value) for domain, value in arm.get("domains", {}).items()}, tuple(arm.get("fell") or ()),
            )
        )  # fmt: skip
    sign = 1.0 if document["higher_is_better"] else -1.0
    rows.sort(key=lambda row: -sign * row.value.value if row.value else float("inf"))
    return Compared(metric, document["higher_is_better"], tuple(rows))


def _standing(name: str, arm: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    if name == verdict["choice"]:
        return "chosen"
    return "may be best" if name in verdict["best"] else f"worse than {arm['beaten']['by']}"


def comparison_verdict(document: Mapping[str, Any]) -> tuple[str, str]:
    """(kind, words) of the badge."""
    choice = document["verdict"]["choice"]
    arm = document["arms"][choice]
    if choice == "majority":
        return "worse", "Nothing beats the most frequent label"
    if choice == "base":
        return "unclear", "Do not fine-tune: take the model as it is"
    if not arm["train_seconds"]:
        return "unclear", f"Do not fine-tune: {choice}"
    return "unclear" if "base" in document["verdict"]["best"] else "better", f"Take {choice}"


def comparison_reason(document: Mapping[str, Any]) -> str:
    """The verdict as a paragraph, made from the document's numbers."""
    return " ".join(_sentences(document))


def _sentences(document: Mapping[str, Any]) -> Iterator[str]:
    found, verdict, arms = read_comparison(document), document["verdict"], document["arms"]
    best, choice, places = verdict["best"], verdict["choice"], found.decimals
    value = next((row.value for row in found.rows if row.is_chosen), None)
    rows = numbered(_num_rows(document), "test row")
    if len(best) == 1:
        yield f"{choice} is certainly the best of {count(len(arms))} arms by {found.title}, on {rows}: {value.text(places) if value else MISSING}."
    else:
        names = listed([row.name for row in found.rows if row.name in best])
        yield f"By {found.title}, on {rows}, {names} cannot be told apart from the best{' ' if len(best) < len(arms) else ', and so no arm can be ruled out '}(each with each, paired, corrected by Holm)."
    worse = [f"{row.name} ({row.standing}, {p_value(arms[row.name]['beaten']['p_holm'])})" for row in found.rows if row.name not in best]
    if worse and len(best) > 1:
        yield f"Certainly worse: {listed(worse)}."
    if len(best) > 1:
        yield f"Of these {choice} is taken, {WHY[verdict['prefer']]} (prefer: {verdict['prefer']}): {value.text(places) if value else MISSING}."
    yield from _advice(document, found)
    yield from _pretraining(document, found)
    yield from _power(document, found)
    yield from outlook_sentences(document)
    if document["left_out"]:
        yield f"Left out: {listed([f'{name} ({why.rstrip(chr(46))})' for name, why in document['left_out'].items()])}."
    if any(arm["train_seconds"] for arm in arms.values()):
        yield "Each arm was trained once: how far another seed would move it is not in these intervals."


def _num_rows(document: Mapping[str, Any]) -> int:
    """Those that decide; documents of before name the test rows alone."""
    return int(document.get("decided_by_rows", document["data"]["test_rows"]))


def _advice(document: Mapping[str, Any], found: Compared) -> Iterator[str]:
    """Whether to train at all."""
    verdict, arms = document["verdict"], document["arms"]
    choice = verdict["choice"]
    if choice == "majority":
        yield f"Nothing that was tried is certainly better than always answering “{arms[choice]['label']}”: what the texts say did not help, so look at the labels, or bring more rows."
        return
    trained = [name for name in verdict["best"] if arms[name]["train_seconds"]]
    if not arms[choice]["train_seconds"]:
        beside = (
            f" {listed(trained)} may be as good, and cost{'s' if len(trained) == 1 else ''} a training."
            if trained
            else " Every training is certainly worse or was not tried."
        )
        yield "Do not fine-tune, as far as these rows show." + beside
        return
    base = next((row for row in found.rows if row.name == "base"), None)
    if base is not None and base.against is not None and base.name not in verdict["best"]:
        difference = Estimate(-base.against.value, *(None if end is None else -end for end in (base.against.high, base.against.low)))
        yield f"Against the model as it is that is {difference.change_text(found.decimals)}."
    forgot = arms[choice].get("fell") or []
    if forgot:
        yield f"It certainly lost something on {listed(list(forgot))}: its own report says how much, and what would help."


def _pretraining(document: Mapping[str, Any], found: Compared) -> Iterator[str]:
    """How far the same training lies behind that begins with random weights."""
    gap = Estimate.read(document.get("pretraining"))
    if gap is None:
        return
    rows = {row.name: row for row in found.rows}
    scratch, full = (
        f"{one.value.text(found.decimals) if one.value else MISSING} after {one.training} of training"
        for one in (rows["scratch"], rows["full"])
    )
    sign = 1.0 if found.higher_is_better else -1.0
    what = "what the pretrained weights gave does not show on these rows"
    if gap.low is not None and gap.high is not None and gap.low * gap.high > 0:
        what = (
            "that is what the pretrained weights gave, with so many rows and at these rates"
            if sign * gap.value < 0
            else "the pretrained weights did not help"
        )
    yield f"Random weights (scratch) reached {scratch}, the pretrained ones (full) {full}; the difference is {gap.change_text(found.decimals)}: {what}."


def _power(document: Mapping[str, Any], found: Compared) -> Iterator[str]:
    """How small a difference can be seen, and how many rows it would take to be certain of the one that the arm with the best value shows."""
    best, arms, num_rows = document["verdict"]["best"], document["arms"], _num_rows(document)
    against = {name: arms[name]["against_choice"] for name in best if arms[name]["against_choice"]}
    seen = [one["detectable"] for one in against.values() if one["detectable"]]
    if not seen:
        return
    yield f"With so many rows a difference of {fixed(max(seen), found.decimals)} to {document['verdict']['choice']} can be seen: arms that lie closer together may still differ."
    leader = found.rows[0].name
    shown = against.get(leader)
    if shown and shown["detectable"] and 0 < abs(shown["value"]) < shown["detectable"]:
        needed = num_rows * (shown["detectable"] / abs(shown["value"])) ** 2
        yield f"{leader} has the best value; to see a difference as large as it shows takes about {significant(needed, 2)} test rows."
