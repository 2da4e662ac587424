"""The data sets that a run was judged on: where its report holds their metrics, and its predictions their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.app.predictions import stats_of

__all__ = ["Place", "places"]


@dataclass(frozen=True, slots=True)
class Place:
    """The test split, the part of it that is a task of a mixture, or a domain."""

    kind: Literal["test", "task", "domain"]
    name: str

    @property
    def split(self) -> str:
        """The split that its rows stand in."""
        return self.name if self.kind == "domain" else "test"

    def metrics(self, report: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """What report.json says of it, but for metrics that had no row to say anything of; empty where it says nothing."""
        part = report if self.kind == "test" else report[f"{self.kind}s"].get(self.name, {})
        return {name: entry for name, entry in part.get("metrics", {}).items() if entry["tuned"] is not None}

    def stats(self, lines: Sequence[Mapping[str, Any]], metric: str) -> dict[str, list[Any]]:
        """As `stats_of`, of its rows."""
        if self.kind == "domain":
            return stats_of(lines, metric, split=self.name)
        return stats_of(lines, metric, task=self.name if self.kind == "task" else "")


def places(report: Mapping[str, Any]) -> list[Place]:
    """Those of a report.json, the test split first."""
    return [
        Place("test", "test"),
        *(Place("task", name) for name in report["tasks"]),
        *(Place("domain", name) for name in report["domains"]),
    ]
