"""One `tune` of a recipe with changes: what it learned, and what each retention row contributed before and after."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.legs.tuning import losses
from tunesmith.app.task import learning_rate
from tunesmith.app.tune import tune
from tunesmith.core import registry
from tunesmith.core.errors import Diverged
from tunesmith.core.files import write_json
from tunesmith.core.types import Method
from tunesmith.recipe import load

__all__ = ["leg"]


def leg(asked: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train below `folder` and measure. `asked["target"]` names the set of a mixture whose test rows count. A training that diverged is a result too."""
    recipe = load(asked["recipe"], [*asked["overrides"], f"output_dir={folder / 'run'}"])
    method: Method = registry.create("method", recipe.method.name, **recipe.method.options)
    begun = {"learning_rate": learning_rate(recipe, method), "recipe": recipe.model_dump(mode="json", exclude={"output_dir"})}
    try:
        run = tune(recipe, progress=lambda _event: None)
    except Diverged as error:
        return {**begun, "diverged": str(error)}
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
