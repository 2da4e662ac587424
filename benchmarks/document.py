"""The document of a comparison, and the same for people. Pure functions over what legs measured."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from benchmarks.benches import OURS, PEER_NAMES, WAYS, Leg, Way
from benchmarks.comparison import FLOAT32, Gate, Target, Tolerance, gate, ratio, seconds_to
from benchmarks.workload import Measured

__all__ = ["COLUMNS", "ROUNDED", "SCHEMA", "compare", "gate_lines", "of_way", "peer_entry", "table", "tables", "whole"]

SCHEMA = "tunesmith/benchmark/2"
ROUNDED: Way = "int8"
COLUMNS = {
    "tokens_per_second": "all tokens/s",
    "scored_tokens_per_second": "scored tokens/s",
    "answer_tokens_per_second": "answers' tokens/s",
    "answers_per_second": "answers/s",
    "peak_memory": "peak memory",
    "time_to_target": "time to target",
    "seconds": "seconds",
    "rows_per_second": "rows/s",
}
"""Ratios, with their names for people: ours over theirs."""


def compare(
    legs: Sequence[Leg], measured: Mapping[str, Sequence[Measured]], facts: Mapping[str, Any], allowed: Tolerance = FLOAT32
) -> dict[str, Any]:
    """The document. It holds ratios only where every gate passed; what is rounded has a gate of its own kind, which keeps nothing back."""
    pairs = [(leg, way) for leg in legs if leg.program != OURS for way in WAYS if leg.against(way) in measured]
    gates = {(leg.name, way): gate(measured[leg.against(way)], measured[leg.name], allowed) for leg, way in pairs}
    exact = [found.passed for (_, way), found in gates.items() if way != ROUNDED]
    passed = bool(exact) and all(exact)
    peers = {of_way(leg, way): _peer(leg, way, measured, gates[leg.name, way], passed) for leg, way in pairs}
    raw = {name: [asdict(found) for found in all_found] for name, all_found in measured.items()}
    return whole(facts, peers, raw, passed=passed, shares=_shares(legs, measured) if passed else {})


def of_way(leg: Leg, way: Way) -> str:
    """The key of the entry that holds a peer's leg against ours in such a way."""
    return leg.name if way == "plain" else f"{leg.name}, {way}"


def _shares(legs: Sequence[Leg], measured: Mapping[str, Sequence[Measured]]) -> dict[Way, float]:
    """The median share of the matmul rate by the way that ours ran; none of what is rounded, whose products are not float32's."""
    found: dict[Way, list[float]] = {way: [] for way in WAYS if way != ROUNDED}
    for leg in legs:
        if leg.program == OURS and leg.way in found:
            found[leg.way] += _known_shares(measured[leg.name])
    return {way: statistics.median(shares) for way, shares in found.items() if shares}


def _known_shares(measured: Sequence[Measured]) -> list[float]:
    return [share for share in (one.share_of_matmul_rate for one in measured) if share is not None]


def whole(
    facts: Mapping[str, Any], peers: Mapping[str, Any], legs: Mapping[str, Any], *, passed: bool, shares: Mapping[Way, float] | None = None
) -> dict[str, Any]:
    """The document around the peers' entries; `legs` holds what was measured, by leg."""
    return {
        "schema": SCHEMA,
        "workload": facts["workload"],
        "machine": facts["machine"],
        "passed": passed,
        "peers": peers,
        "shares_of_matmul_rate": dict(shares or {}),
        "legs": legs,
    }


class Weighed(Protocol):
    """What a leg of any bench reports."""

    @property
    def version(self) -> str:
        """Of the program and what it rests on."""
        ...

    @property
    def peak_memory_bytes(self) -> int:
        """0 where the system does not say."""
        ...


Found = TypeVar("Found", bound=Weighed)


def peer_entry(
    leg: Leg, ours: Sequence[Found], theirs: Sequence[Found], gate_found: Any, speeds: Mapping[str, Callable[[Found], float]],
    *, against: str, passed: bool, setting: str = "",
) -> dict[str, Any]:  # fmt: skip
    """A peer's entry: ratios of speeds by their column, and of peak memory, where the gates of all passed.

    Args:
        gate_found: what its gate found, a dataclass.
        against: the name of the leg of ours.
        setting: what was chosen for it, said behind its version.
    """
    has_memory = all(one.peak_memory_bytes for one in (*ours, *theirs))
    ratios = {name: asdict(ratio([speed(one) for one in ours], [speed(one) for one in theirs])) for name, speed in speeds.items()}
    memory = asdict(ratio([one.peak_memory_bytes for one in ours], [one.peak_memory_bytes for one in theirs])) if has_memory else None
    return {
        "name": PEER_NAMES[leg.program],
        "version": f"{theirs[0].version}; {setting}" if setting else theirs[0].version,
        "config": leg.config,
        "against": against,
        "gate": asdict(gate_found),
        "ratios": {**ratios, "peak_memory": memory} if passed else None,
    }


def _peer(leg: Leg, way: Way, measured: Mapping[str, Sequence[Measured]], found: Gate, passed: bool) -> dict[str, Any]:
    ours, theirs = measured[leg.against(way)], measured[leg.name]
    shares = _known_shares(theirs)
    target = Target.of(measured.get(f"{leg.program}_best", theirs))

    def of(value: Callable[[Measured], float | None]) -> dict[str, float] | None:
        """None, where one side cannot say."""
        sides = [[value(one) for one in side] for side in (ours, theirs)]
        if not all(number for side in sides for number in side):
            return None
        return asdict(ratio(*([number for number in side if number] for side in sides)))

    ratios = {
        "tokens_per_second": of(lambda one: one.tokens_per_second),
        "scored_tokens_per_second": of(lambda one: one.targets_per_second),
        "peak_memory": of(lambda one: float(one.peak_memory_bytes)),
        "time_to_target": of(lambda one: seconds_to(target, one)),
    }
    return {
        "name": PEER_NAMES[leg.program],
        "version": theirs[0].version,
        "config": leg.config,
        "way": way,
        "against": leg.against(way),
        "gate": asdict(found),
        "target": asdict(target),
        "ratios": ratios if passed else None,
        "share_of_matmul_rate": statistics.median(shares) if passed and shares else None,
    }


def tables(document: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """By their captions: what is exact, and what is rounded. Each has a head, then a row a configuration of a peer and way of ours."""
    exact = [peer for peer in document["peers"].values() if peer.get("way") != ROUNDED]
    rounded = [peer for peer in document["peers"].values() if peer.get("way") == ROUNDED]
    found = {"": _cells(exact, document["passed"])}
    if rounded and document["passed"]:
        found[f"Not exact: {WAYS[ROUNDED]}"] = _cells(rounded, True)
    return found


def _cells(peers: Sequence[Mapping[str, Any]], passed: bool) -> list[list[str]]:
    names = [name for name in COLUMNS if passed and any(name in (peer["ratios"] or {}) for peer in peers)]
    with_way = any("way" in peer for peer in peers)
    rows = [["peer", "configuration", *(["ours"] if with_way else []), "gate", *(COLUMNS[name] for name in names)]]
    for peer in peers:
        way = [peer["way"]] if with_way else []
        rows.append([peer["name"], peer["config"], *way, _said(peer), *(_ratio((peer["ratios"] or {}).get(name)) for name in names)])
    return rows


def _has_no_gate(peer: Mapping[str, Any]) -> bool:
    """Sides that learn the same are held against each other number by number, which what is rounded cannot pass; of sides that draw, only means are."""
    return peer.get("way") == ROUNDED and "first_rewards" not in peer["gate"]


def _said(peer: Mapping[str, Any]) -> str:
    if _has_no_gate(peer):
        return "none: see the losses"
    return "passed" if peer["gate"]["passed"] else "FAILED"


def _ratio(found: Mapping[str, float] | None) -> str:
    return f"{found['median']:.2f} ({found['min']:.2f} to {found['max']:.2f})" if found else "none"


def gate_lines(document: Mapping[str, Any]) -> list[str]:
    """How far the two sides were apart, a line a configuration."""
    lines = list[str]()
    for peer in document["peers"].values():
        if _has_no_gate(peer):
            continue
        found, who = peer["gate"], ", ".join([peer["name"], peer["config"], *([f"ours {peer['way']}"] if "way" in peer else [])])
        if "first_loss_difference" in found:
            lines.append(
                f"gate, {who}: first-step losses differ by {found['first_loss_difference']:.1e} nats (allowed {found['allowed']['first']:g}),"
                f" held-out losses by {found['held_out_loss_difference']:.2%} (allowed {found['allowed']['final']:.1%})"
            )
        elif "num_different" in found:
            lines.append(f"gate, {who}: {found['num_different']} of {found['num_items']} choices differ (allowed 0, ties apart)")
        elif "num_texts" in found:
            lines.append(f"gate, {who}: {found['num_texts_different']} of {found['num_texts']} texts differ (allowed 0)")
        elif "first_rewards" in found:
            lines += [f"gate, {who}: {line}" for line in _drawn_lines(found)]
        if "held_out_accuracies" in found:
            sides = [
                f"{loss:.4f} nats, {share:.0%} in order"
                for loss, share in zip(*(found[f"held_out_{of}"] for of in ("losses", "accuracies")), strict=True)
            ]
            lines.append(
                f"held-out pairs at the end, {who}: ours {sides[0]}; theirs {sides[1]} (untrained: 0.6931 nats, which both have to be below)"
            )
    lines += _memory_lines(document["legs"])
    rounded_legs = document["legs"].get(Leg(OURS, "best", ROUNDED).name)
    if document["passed"] and rounded_legs and "own_held_out_loss" in rounded_legs[-1]:
        exact, rounded = (document["legs"][Leg(OURS, "best", way).name][-1] for way in ("plain", ROUNDED))
        lines.append(
            f"held-out loss at the end, nats a target: trained exact {exact['curve'][-1]['loss']:.4f}; trained on an {ROUNDED} base"
            f" {rounded['own_held_out_loss']:.4f} on that base, {rounded['curve'][-1]['loss']:.4f} with its adapters on the exact one"
        )
    precision = document["workload"].get("precision", "float32")
    for way, share in document["shares_of_matmul_rate"].items():
        lines.append(f"share of the machine's {precision} matmul rate that ours, {way}, reaches: {share:.0%}")
    theirs = {f"{peer['name']}, {peer['config']}": peer.get("share_of_matmul_rate") for peer in document["peers"].values()}
    if any(theirs.values()):
        lines.append(f"by the same count: {'; '.join(f'{name}: {share:.0%}' for name, share in theirs.items() if share)}")
    return lines


def _drawn_lines(found: Mapping[str, Any]) -> list[str]:
    """Of sides that draw what they learn from; ours before theirs."""
    if math.isnan(found["mean_lengths"][0]):
        return [f"answers a leg: {found['num_answers'][0]} and {found['num_answers'][1]}: other steps, or other numbers of answers in them"]
    allowed, apart = found["allowed"], found["mean_lengths"][1] / found["mean_lengths"][0] - 1
    (our_rise, their_rise), (our_errors, their_errors) = found["rises"], found["rise_errors"]
    return [
        f"answers a leg: {found['num_answers'][0]} and {found['num_answers'][1]}, of {found['mean_lengths'][0]:.2f} and"
        f" {found['mean_lengths'][1]:.2f} tokens ({abs(apart):.1%} apart, allowed {allowed['length']:.0%})",
        f"mean rewards of the first step: {found['first_rewards'][0]:.4f} and {found['first_rewards'][1]:.4f}"
        f" ({abs(found['first_reward_errors']):.1f} standard errors apart, allowed {allowed['errors']:g})",
        f"from the first epoch to the last, the mean reward changed by {our_rise:+.4f} ({our_errors:+.1f} standard errors) and {their_rise:+.4f}"
        f" ({their_errors:+.1f}; neither may be below -{allowed['errors']:g})",
    ]


def _memory_lines(legs: Mapping[str, Any]) -> list[str]:
    """How memory grows with the rows, where a leg says."""
    if "ours_quarter" not in legs:
        return []
    sides = [(legs[name][0]["num_rows"], max(one["peak_memory_bytes"] for one in legs[name]) / 2**20) for name in ("ours_quarter", "ours")]
    return ["peak memory of ours: " + ", ".join(f"{memory:.0f} MiB for {rows:,} rows" for rows, memory in sides)]


def table(document: Mapping[str, Any]) -> str:
    """The document for people."""
    lines = list[str]()
    for caption, rows in tables(document).items():
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines += [caption] if caption else []
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if not document["passed"]:
        lines.append("no ratio is given: a gate failed")
    title = document["workload"]["title"] + (". Ratios, ours over theirs: median (least to greatest)" if document["passed"] else "")
    return "\n".join([title, *lines, *gate_lines(document)])
