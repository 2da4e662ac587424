"""`python -m benchmarks prediction`: what was predicted of the arms of comparisons, against what was measured."""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import table
from benchmarks.running import Say
from benchmarks.workload import BenchmarkError
from tunesmith.core.errors import TunesmithError
from tunesmith.core.run import GroupDirectory
from tunesmith.report.predicted import Prediction, arm_predictions, error_text

__all__ = ["TITLE", "document_of", "main"]

TITLE = "Predicted memory and time of the arms of comparisons, against what was measured"
_WITHIN: Mapping[str, float] = {"peak memory": 0.15, "in all": 0.25}
"""The error that is asked for, as a share of what was measured."""


def document_of(groups: Sequence[Path]) -> dict[str, Any]:
    """Every arm's predictions, and the share of arms within the error that is asked for. Raises: BenchmarkError, where a folder holds no finished comparison."""
    arms = {f"{group.name}/{name}": found for group in groups for name, found in _arms(group).items()}
    shares = {what: _share(what, error, list(arms.values())) for what, error in _WITHIN.items()}
    listed = {
        name: {one.name: {"predicted": one.predicted, "measured": one.measured, "error": one.error} for one in found}
        for name, found in arms.items()
    }
    return {"title": TITLE, "arms": listed, "within": shares}


def _arms(folder: Path) -> dict[str, list[Prediction]]:
    group = GroupDirectory(folder)
    try:
        document = group.read_json(group.group_json)
    except TunesmithError as error:
        raise BenchmarkError(f"{folder}: no finished comparison ({error})") from None
    if document.get("schema") != "tunesmith/compare/1":
        raise BenchmarkError(f"{folder}: is no comparison of arms.")
    return {name: arm_predictions(document).get(name, []) for name, arm in document["arms"].items() if arm.get("run")}


def _share(what: str, error: float, arms: Sequence[Sequence[Prediction]]) -> dict[str, Any]:
    """An arm of which that was not predicted is none that was predicted well."""
    within = sum(any(one.name == what and abs(one.error) <= error for one in found) for found in arms)
    return {"error": error, "arms": len(arms), "within": within, "share": within / len(arms) if arms else None}


def _compared(recipe: str, say: Say) -> Path:
    """Advise, then compare what it says: in a folder that goes when the process ends."""
    from tunesmith.app.advise import advise
    from tunesmith.app.compare import compare
    from tunesmith.recipe import load, parse

    folder = Path(tempfile.mkdtemp(prefix="tunesmith-prediction-"))
    say(f"{recipe}: probing, then comparing, in {folder}")
    advised = parse(advise(load(recipe))["recipe"], name=recipe)
    return compare(advised.model_copy(update={"output_dir": str(folder / recipe)})).path


def printed(document: Mapping[str, Any]) -> str:
    """The document as text."""
    rows = [
        [name, what, f"{one['predicted']:.4g}", f"{one['measured']:.4g}", error_text(one["error"])]
        for name, found in document["arms"].items()
        for what, one in found.items()
    ]
    said = [f"{what}: {one['within']} of {one['arms']} arms within {100 * one['error']:.0f} %" for what, one in document["within"].items()]
    return "\n".join([*table(["arm", "", "predicted (bytes, s)", "measured", "error"], rows), "", *said])


def main(arguments: Sequence[str], say: Say) -> int:
    """Print it. Returns: 1 where there is nothing to print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks prediction", description=__doc__)
    parser.add_argument(
        "runs", nargs="*", type=Path, metavar="FOLDER", help="of a finished comparison; none: `reviews` is advised on and compared"
    )
    parser.add_argument("--recipe", default="reviews", help="what is compared where no folder is named")
    parser.add_argument("--json", action="store_true", help="print the document in place of the table")
    options = parser.parse_args(arguments)
    try:
        document = document_of(options.runs or [_compared(options.recipe, say)])
    except (BenchmarkError, TunesmithError) as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(document, indent=2) if options.json else printed(document), flush=True)
    return 0
