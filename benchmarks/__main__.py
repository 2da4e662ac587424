"""`python -m benchmarks NAME`: measure tunesmith against other programs on this machine."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence

from benchmarks.sft import BenchmarkError, Plan, run_sft, table


def _rows(text: str) -> int:
    count = int(text)
    if count % 8 or count < 24:
        raise argparse.ArgumentTypeError(f"{text}: expected a multiple of 8, at least 24: steps of 8 rows, two of them to warm up")
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark and print it. Returns: 1 where a gate failed or a leg did not finish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=["sft"], help="sft: supervised tuning with LoRA, against transformers' Trainer with peft")
    parser.add_argument("--quick", action="store_true", help="two repeats in place of five")
    parser.add_argument("--json", action="store_true", help="print the document in place of the table")
    parser.add_argument("--rows", type=_rows, metavar="N", help="training rows a leg, a multiple of 8")
    options = parser.parse_args(arguments)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    # a polite end, as Ctrl-C is: the leg at hand ends too, and its folder is removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        document = run_sft(Plan.of(quick=options.quick, num_rows=options.rows), say)
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(document, indent=2) if options.json else table(document))
    if not document["passed"]:
        say("error: the two sides did not do the same work: no ratio is given. Differences: see the gate above.")
    return 0 if document["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
