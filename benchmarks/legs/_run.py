"""How legs that learn from answers are run: `python -m benchmarks.legs.NAME WORKLOAD FOLDER CONFIG [OPTIONS]`, options as JSON."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from benchmarks.workload import Config

__all__ = ["main"]


def main(leg: Callable[..., Any]) -> None:
    """Run a leg by its command line; what it reports, a dataclass, is left in result.json in its folder, beside the adapter."""
    found = leg(Path(sys.argv[1]), Path(sys.argv[2]), cast(Config, sys.argv[3]), **json.loads(sys.argv[4] if len(sys.argv) > 4 else "{}"))
    (Path(sys.argv[2]) / "result.json").write_text(json.dumps(asdict(found)), encoding="utf-8")
