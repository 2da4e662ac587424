"""`python -m benchmarks methods`: run what has no result yet, and write the page."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.methods.named import METHODS, WORKLOADS, chosen
from benchmarks.methods.page import page
from benchmarks.methods.plans import (
    LONGER,
    LONGER_EPOCHS,
    SEEDS,
    chosen_leg,
    first_leg,
    grid_legs,
    longer_leg,
    methods_of,
    prompt_legs,
    timed_leg,
)
from benchmarks.methods.stored import Leg, Results, commit, next_rates, run_missing, tries, with_rate
from benchmarks.running import ROOT, Say
from benchmarks.workload import BenchmarkError
from tunesmith.core.files import cache_folder, write_text

__all__ = ["FILE", "TITLE", "main", "pairs_of", "run_methods"]

TITLE = "Every method on the recipes `reviews` and `docstrings`"
FILE = ROOT / "docs" / "method-table.md"


def main(arguments: Sequence[str], say: Say) -> int:
    """Returns: 1 where a leg failed, or the folder holds something else. Results of legs that ended are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks methods", description=__doc__)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), metavar="A,B", help="default 0,1,2")
    parser.add_argument("--workload", metavar="A,B", help=f"of {', '.join(WORKLOADS)}; default both")
    parser.add_argument("--methods", metavar="A,B", help=f"of {', '.join(METHODS)}; default all")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where results are kept; default: the user's cache")
    parser.add_argument(
        "--tune-rates",
        action="store_true",
        help="try lower and higher learning rates than each method's own with seed 0, in steps of three, until the best lies between two that are worse; the validation loss decides",
    )
    parser.add_argument("--lora-grid", action="store_true", help="LoRA's rank and scale on reviews, in place of the table")
    parser.add_argument(
        "--longer",
        action="store_true",
        help=f"methods that change few numbers, and full tuning, for {LONGER_EPOCHS} epochs of reviews, in place of the table",
    )
    parser.add_argument(
        "--prompts", action="store_true", help="hand-written prompts against learned ones on docstrings, in place of the table"
    )
    parser.add_argument("--times", action="store_true", help="the legs that are timed and no others; let nothing else run beside them")
    parser.add_argument("--document", action="store_true", help="run nothing; write the page from the results that there are")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change every recipe, for a trial; the page is printed, not written"
    )
    options = parser.parse_args(arguments)
    try:
        seeds = seeds_of(options.seeds)
        results = Results(options.results or cache_folder("benchmarks", "methods"), tuple(options.set), commit())
        failed = list[str]()
        if not options.document:
            if options.lora_grid:
                failed += run_missing(list(grid_legs(seeds).values()), results, say)
            if options.prompts:
                failed += run_missing([leg for legs in prompt_legs(seeds).values() for leg in legs], results, say)
            if options.longer:
                failed += run_missing([longer_leg(results, method, seed) for seed in seeds for method in LONGER], results, say)
            if not options.lora_grid and not options.prompts and not options.longer:
                pairs = pairs_of(split_names(options.workload), split_names(options.methods))
                if options.times or SEEDS[0] in seeds:
                    failed += run_missing([timed_leg(*pair) for pair in pairs], results, say)
                if not options.times:
                    failed += run_methods(results, seeds, pairs, options.tune_rates, say)
        text = page(results, sorted({*SEEDS, *seeds}))
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    if options.set:
        print(text, flush=True)
    else:
        write_text(FILE, text)
        say(f"written: {FILE}")
    for line in failed:
        say(f"error: {line}")
    return 1 if failed else 0


def seeds_of(text: str) -> list[int]:
    """Raises: BenchmarkError."""
    try:
        found = list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise BenchmarkError(f"--seeds: {text}: expected whole numbers from 0 on, such as 0,1,2.")
    return found


def split_names(text: str | None) -> list[str] | None:
    """The names in `a,b`."""
    return None if text is None else [name for name in text.split(",") if name]


def pairs_of(workloads: Sequence[str] | None, methods: Sequence[str] | None) -> list[tuple[str, str]]:
    """Workload and method of each row that is asked for. Raises: BenchmarkError, for a name that is not known."""
    pairs = [
        (workload, method) for workload in chosen(workloads, list(WORKLOADS), "--workload") for method in methods_of(workload, methods)
    ]
    if not pairs:
        raise BenchmarkError("--methods: none of these has a row on this workload.")
    return pairs


def run_methods(results: Results, seeds: Sequence[int], pairs: Sequence[tuple[str, str]], tune_rates: bool, say: Say) -> list[str]:
    """Run what is missing of the table, a seed after the other. Returns: what failed."""
    failed = list[str]()
    if tune_rates:
        for pair in pairs:
            failed += _try_rates(first_leg(*pair), results, say)
    for seed in seeds:
        failed += run_missing([chosen_leg(results, *pair, seed) for pair in pairs], results, say)
    return failed


def _try_rates(first: Leg, results: Results, say: Say) -> list[str]:
    failed = run_missing([first], results, say)
    while not failed and (rates := next_rates(found := tries(first, results))):
        failed = run_missing([with_rate(first, rate, found["own"]["learning_rate"]) for rate in rates], results, say)
    return failed
