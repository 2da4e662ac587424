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

__all__ = ["ChainStage", "chain_page", "chain_stages", "changing_classes", "render_chain"]

_MOST_CLASSES = 12


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
    classes: Mapping[str, str]
    """Of a classifier each class, and how many of its rows are right before and after."""


def render_chain(group: GroupDirectory) -> None:
    """Write report.html of a chain whose stages are done. Raises: RunError, where group.json is missing or broken."""
    write_text(group.report_html, chain_page(group.read_json(group.group_json)))


def chain_page(document: Mapping[str, Any]) -> str:
    """The whole self-contained page of a document of schema `tunesmith/chain/1`."""
    seconds, stages = duration(document["cost"]["total_seconds"]), chain_stages(document)
    return (
        environment()
        .get_template("chain.html.j2")
        .render(
            chain=document,
            stages=stages,
            classes=changing_classes(stages),
            panels=reward_panels([document]),
            seconds=seconds,
            version=__version__,
        )
    )


def chain_stages(document: Mapping[str, Any]) -> list[ChainStage]:
    """A line a stage, in their order: the first metric of each, base and tuned."""
    return [_stage(name, one) for name, one in document["stages"].items()]


def _stage(name: str, one: Mapping[str, Any]) -> ChainStage:
    found = comparisons(one)
    first: Comparison | None = found[0].comparisons[0] if found else None
    base, tuned = (MISSING if first is None else _text(getattr(first, side), first.decimals) for side in ("base", "tuned"))
    difference = first.difference.change_text(first.decimals) if first and first.difference else MISSING
    did = f"{one['task']['method']} · {one['task']['objective']}"
    classes = {found["label"]: _right(found) for found in one.get("classes", ())}
    trained = duration(one["cost"]["train_seconds"]) if one["cost"].get("train_seconds") else MISSING
    return ChainStage(
        name,
        did,
        first.title if first else MISSING,
        base,
        tuned,
        difference,
        trained,
        tuple(one["warnings"]),
        f"{name}/report.html",
        classes,
    )


def changing_classes(stages: list[ChainStage]) -> list[str]:
    """The classes of all stages, in the order in which they come up, where the stages have different ones, and not too many for a table; else none."""
    sets = {tuple(stage.classes) for stage in stages if stage.classes}
    found = list(dict.fromkeys(label for stage in stages for label in stage.classes))
    return found if len(sets) > 1 and len(found) <= _MOST_CLASSES else []


def _right(found: Mapping[str, Any]) -> str:
    before = "" if found["base"] is None else f"{found['base']} → "
    return f"{before}{found['tuned']} of {found['rows']}"


def _text(estimate: Any, decimals: int) -> str:
    return estimate.text(decimals) if estimate else MISSING
