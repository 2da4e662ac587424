"""`python -m benchmarks NAME`: measure tunesmith against other programs on this machine."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence

from benchmarks.benches import BENCHES
from benchmarks.document import table
from benchmarks.running import Options, run_bench
from benchmarks.workload import BenchmarkError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark and print it. Returns: 1 where a gate failed or a leg did not finish."""
    described = "; ".join(f"{name}: {bench.title}" for name, bench in BENCHES.items())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHES], metavar="NAME", help=described)
    parser.add_argument("--quick", action="store_true", help="two repeats in place of five")
    parser.add_argument("--json", action="store_true", help="print the document in place of the table")
    parser.add_argument("--rows", type=int, metavar="N", help="training rows a leg, whole steps of them")
    parser.add_argument("--data", metavar="FILE", help="docstrings, small-talk, or a .jsonl file of conversations, for sft and sft-full")
    parser.add_argument("--peers", metavar="A,B", help="only these peers")
    options = parser.parse_args(arguments)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    # a polite end, as Ctrl-C is: the leg at hand ends too, and its folder is removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = Options(options.quick, options.rows, options.data, options.peers.split(",") if options.peers else None)
    try:
        document = run_bench(BENCHES[options.name], wanted, say)
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(document, indent=2) if options.json else table(document))
    if not document["passed"]:
        say("error: the two sides did not do the same work: no ratio is given. Differences: see the gate above.")
    return 0 if document["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
