"""`python -m benchmarks arms [RECIPE] [key=value ...]`: a comparison against its arms one by one, each by a command of its own that finds nothing computed before.

What belongs to the machine, as the models that were fetched, is there for both; answers, encoded rows and what else one arm could leave to another are not.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.running import Say, tunesmith_seconds
from benchmarks.workload import BenchmarkError
from tunesmith.core.files import cache_folder, write_json
from tunesmith.core.run import GroupDirectory
from tunesmith.report.numbers import duration, percent

__all__ = ["TITLE", "main", "shared_document", "shared_lines"]

TITLE = "A comparison of eight arms against the same arms one by one"
_OF_THE_MACHINE = ("downloads", "models", "kernels", "compiled", "probe", "hashes")
"""Folders of the cache that no arm fills for another."""


def main(arguments: Sequence[str], say: Say) -> int:
    """Time both and print the share. Returns: 1 where a command fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks arms", description=__doc__)
    parser.add_argument("recipe", nargs="?", default="compare-reviews")
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="of both, in turn")
    parser.add_argument("--json", action="store_true", help="print the document in place of the table")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the document there")
    options = parser.parse_args(arguments)
    try:
        recipe = Path(options.recipe)
        document = _timed(str(recipe.absolute()) if recipe.is_file() else options.recipe, options.changes, options.repeats, say)
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    if options.output:
        write_json(options.output, document)
    print(json.dumps(document, indent=2) if options.json else "\n".join(shared_lines(document)), flush=True)
    return 0


def _timed(recipe: str, changes: Sequence[str], repeats: int, say: Say) -> dict[str, Any]:
    together, alone = list[float](), dict[str, list[float]]()
    free = list[str]()
    for number in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            say(f"{number + 1} of {repeats}: {recipe} as a comparison")
            together.append(_seconds(folder, "together", "compare", recipe, *changes, "search=none"))
            group = GroupDirectory(folder / "together")
            arms: Mapping[str, Mapping[str, Any]] = group.read_json(group.group_json)["arms"]
            free = [arm for arm, told in arms.items() if arm not in group.values]
            for arm, told in arms.items():
                if arm in group.values:
                    say(f"{number + 1} of {repeats}: {arm} by itself")
                    own = ["arms=null", "budget=null", *told["changes"]]
                    alone.setdefault(arm, []).append(_seconds(folder, f"alone-{arm}", "tune", recipe, *changes, *own))
    return shared_document(recipe, changes, together, alone, free)


def shared_document(
    recipe: str, changes: Sequence[str], together: Sequence[float], alone: Mapping[str, Sequence[float]], free: Sequence[str]
) -> dict[str, Any]:
    """Seconds of the comparison and of each arm, a number a repeat, and the share of their sum that the comparison takes, repeat by repeat."""
    sums = [sum(found) for found in zip(*alone.values(), strict=True)]
    return {
        "schema": "tunesmith/benchmark-arms/1",
        "recipe": recipe,
        "changes": list(changes),
        "together_seconds": list(together),
        "alone_seconds": {arm: list(found) for arm, found in alone.items()},
        "free": list(free),
        "shares": [one / other for one, other in zip(together, sums, strict=True)],
    }


def shared_lines(document: Mapping[str, Any]) -> list[str]:
    """What was measured, for people."""
    each = "; ".join(f"{arm} {duration(sum(found) / len(found))}" for arm, found in document["alone_seconds"].items())
    sums = [sum(found) for found in zip(*document["alone_seconds"].values(), strict=True)]
    shares = sorted(document["shares"])
    return [
        f"{document['recipe']} {' '.join(document['changes'])}".rstrip(),
        f"together: {', '.join(duration(one) for one in document['together_seconds'])}; with it, at no cost: {', '.join(document['free']) or 'none'}",
        f"one by one: {', '.join(duration(one) for one in sums)} ({each})",
        f"a comparison takes {percent(shares[len(shares) // 2])} of that ({', '.join(percent(share) for share in document['shares'])})",
    ]


def _seconds(folder: Path, name: str, *arguments: str) -> float:
    """Of a command, with a cache of its own. Raises: BenchmarkError, with what it said last."""
    cache = folder / f"cache-{name}"
    cache.mkdir()
    for part in _OF_THE_MACHINE:
        (cache / part).symlink_to(cache_folder(part), target_is_directory=True)
    return tunesmith_seconds(*arguments, f"output_dir={folder / name}", variables={"TUNESMITH_CACHE": str(cache)})
