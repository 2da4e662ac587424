"""What a chain's document says, for people: a line a stage, and the page that leads to their reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith import __version__
from tunesmith.core.files import write_text
from tunesmith.core.run import GroupDirectory
from tunesmith.report.numbers import MISSING, duration
from tunesmith.report.page import environment
from tunesmith.report.results import Comparison, comparisons
from tunesmith.report.reward_picture import reward_panels

__all__ = ["ChainStage", "chain_page", "chain_stages", "render_chain"]


@dataclass(frozen=True, slots=True)
class ChainStage:
    """One stage, as it is shown."""

    name: str
    did: str
    """Method and objective."""
    metric: str
    base: str
    tuned: str
    difference: str
    trained: str
    warnings: tuple[str, ...]
    page: str
    """Of its report, from the chain's own folder."""


def render_chain(group: GroupDirectory) -> None:
    """Write report.html of a chain whose stages are done. Raises: RunError, where group.json is missing or broken."""
    write_text(group.report_html, chain_page(group.read_json(group.group_json)))


def chain_page(document: Mapping[str, Any]) -> str:
    """The whole self-contained page of a document of schema `tunesmith/chain/1`."""
    seconds = duration(document["cost"]["total_seconds"])
    return (
        environment()
        .get_template("chain.html.j2")
        .render(chain=document, stages=chain_stages(document), panels=reward_panels([document]), seconds=seconds, version=__version__)
    )


def chain_stages(document: Mapping[str, Any]) -> list[ChainStage]:
    """A line a stage, in their order: the first metric of each, base and tuned."""
    return [_stage(name, one) for name, one in document["stages"].items()]


def _stage(name: str, one: Mapping[str, Any]) -> ChainStage:
    found = comparisons(one)
    first: Comparison | None = found[0].comparisons[0] if found else None
    base, tuned, difference = (
        MISSING if first is None else _text(getattr(first, side), first.decimals) for side in ("base", "tuned", "difference")
    )
    did = f"{one['task']['method']} · {one['task']['objective']}"
    trained = duration(one["cost"]["train_seconds"]) if one["cost"].get("train_seconds") else MISSING
    return ChainStage(
        name, did, first.title if first else MISSING, base, tuned, difference, trained, tuple(one["warnings"]), f"{name}/report.html"
    )


def _text(estimate: Any, decimals: int) -> str:
    return estimate.text(decimals) if estimate else MISSING
