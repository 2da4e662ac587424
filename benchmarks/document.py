"""The document of a comparison, and the same for people. Pure functions over what legs measured."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.benches import OURS, PEER_NAMES, Leg
from benchmarks.comparison import FLOAT32, Gate, Target, Tolerance, gate, ratio, seconds_to
from benchmarks.workload import Measured

__all__ = ["COLUMNS", "SCHEMA", "cells", "compare", "gate_lines", "table", "whole"]

SCHEMA = "tunesmith/benchmark/1"
COLUMNS = {
    "tokens_per_second": "all tokens/s",
    "scored_tokens_per_second": "scored tokens/s",
    "peak_memory": "peak memory",
    "time_to_target": "time to target",
    "seconds": "seconds",
}
"""Ratios, with their names for people: ours over theirs."""


def compare(
    legs: Sequence[Leg], measured: Mapping[str, Sequence[Measured]], facts: Mapping[str, Any], allowed: Tolerance = FLOAT32
) -> dict[str, Any]:
    """The document. It holds ratios only where every gate passed."""
    theirs = [leg for leg in legs if leg.program != OURS]
    gates = {leg.name: gate(measured[leg.against], measured[leg.name], allowed) for leg in theirs}
    passed = bool(gates) and all(found.passed for found in gates.values())
    shares = [found.share_of_matmul_rate for leg in legs if leg.program == OURS for found in measured[leg.name]]
    known = [share for share in shares if share is not None]
    peers = {leg.name: _peer(leg, measured, gates[leg.name], passed) for leg in theirs}
    raw = {name: [asdict(found) for found in all_found] for name, all_found in measured.items()}
    return whole(facts, peers, raw, passed=passed, share=statistics.median(known) if passed and known else None)


def whole(
    facts: Mapping[str, Any], peers: Mapping[str, Any], legs: Mapping[str, Any], *, passed: bool, share: float | None = None
) -> dict[str, Any]:
    """The document around the peers' entries; `legs` holds what was measured, by leg."""
    return {
        "schema": SCHEMA,
        "workload": facts["workload"],
        "machine": facts["machine"],
        "passed": passed,
        "peers": peers,
        "share_of_matmul_rate": share,
        "legs": legs,
    }


def _peer(leg: Leg, measured: Mapping[str, Sequence[Measured]], found: Gate, passed: bool) -> dict[str, Any]:
    ours, theirs = measured[leg.against], measured[leg.name]
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
        "against": leg.against,
        "gate": asdict(found),
        "target": asdict(target),
        "ratios": ratios if passed else None,
    }


def cells(document: Mapping[str, Any]) -> list[list[str]]:
    """A table: its head, then a row a configuration of a peer."""
    names = [name for name in COLUMNS if any(peer["ratios"] is None or name in peer["ratios"] for peer in document["peers"].values())]
    if not document["passed"]:
        names = []
    rows = [["peer", "configuration", "gate", *(COLUMNS[name] for name in names)]]
    for peer in document["peers"].values():
        said = "passed" if peer["gate"]["passed"] else "FAILED"
        rows.append([peer["name"], peer["config"], said, *(_ratio(peer["ratios"][name]) for name in names)])
    return rows


def _ratio(found: Mapping[str, float] | None) -> str:
    return f"{found['median']:.2f} ({found['min']:.2f} to {found['max']:.2f})" if found else "none"


def gate_lines(document: Mapping[str, Any]) -> list[str]:
    """How far the two sides were apart, a line a configuration."""
    lines = list[str]()
    for peer in document["peers"].values():
        found, who = peer["gate"], f"{peer['name']}, {peer['config']}"
        if "first_loss_difference" in found:
            lines.append(
                f"gate, {who}: first-step losses differ by {found['first_loss_difference']:.1e} nats (allowed {found['allowed']['first']:g}),"
                f" held-out losses by {found['held_out_loss_difference']:.2%} (allowed {found['allowed']['final']:.1%})"
            )
        elif "num_different" in found:
            lines.append(f"gate, {who}: {found['num_different']} of {found['num_items']} choices differ (allowed 0, ties apart)")
    if document["share_of_matmul_rate"] is not None:
        precision = document["workload"].get("precision", "float32")
        lines.append(f"share of the machine's {precision} matmul rate that ours reaches: {document['share_of_matmul_rate']:.0%}")
    return lines


def table(document: Mapping[str, Any]) -> str:
    """The document for people."""
    rows = cells(document)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if not document["passed"]:
        lines.append("no ratio is given: a gate failed")
    title = document["workload"]["title"] + (". Ratios, ours over theirs: median (least to greatest)" if document["passed"] else "")
    return "\n".join([title, *lines, *gate_lines(document)])
