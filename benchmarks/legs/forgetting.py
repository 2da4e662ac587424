"""One `tune` of a recipe with changes: what it learned, and what each retention row contributed before and after."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.legs.tuning import losses, trained
from tunesmith.core.files import write_json

__all__ = ["leg"]


def leg(asked: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train below `folder` and measure. `asked["target"]` names the set of a mixture whose test rows count. A training that diverged is a result too."""
    run, begun = trained(asked, folder)
    if run is None:
        return begun
    report = run.report
    return {
        **begun,
        "target": report["tasks"].get(asked["target"], report)["metrics"][asked["metrics"][0]],
        "retention": report["retention"],
        "rows": run.directory.read_json(run.directory.retention),
        "num_steps": len(report["curves"]["train"]),
        "losses": losses(report["curves"]),
        "cost": report["cost"],
        "versions": report["versions"],
        "machine": report["machine"],
        "model": {name: report["model"][name] for name in ("name", "sha256")},
    }


if __name__ == "__main__":
    place = Path(sys.argv[1])
    write_json(place / "result.json", leg(json.loads((place / "asked.json").read_text(encoding="utf-8")), place))
