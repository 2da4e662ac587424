"""`python -m benchmarks NAME`: measure tunesmith against other programs on this machine."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import arms, choosing, prediction, results, search
from benchmarks.benches import BENCHES
from benchmarks.data import TITLE as DATA
from benchmarks.data import run_data
from benchmarks.document import table
from benchmarks.evaluation import TITLE as EVALUATION
from benchmarks.evaluation import run_evaluation
from benchmarks.gpu import TITLE as GPU
from benchmarks.gpu import Setup, run_gpu
from benchmarks.methods import command as methods
from benchmarks.methods import few_shot, forgetting
from benchmarks.preferences import TITLE as DPO
from benchmarks.preferences import run_preferences
from benchmarks.rewarding import TITLE as GRPO
from benchmarks.rewarding import run_rewarding
from benchmarks.running import Options, Say, run_bench
from benchmarks.startup import TITLE as STARTUP
from benchmarks.startup import run_startup
from benchmarks.workload import BenchmarkError
from tunesmith.core.errors import TunesmithError

TITLES = {
    **{name: bench.title for name, bench in BENCHES.items()},
    "dpo": DPO,
    "grpo": GRPO,
    "evaluation": EVALUATION,
    "startup": STARTUP,
    "data": DATA,
}
ON_GPU = {"gpu": f"{GPU}, 1B; python -m benchmarks.gpu has other sizes"}


ON_THEIR_OWN = {
    "arms": (arms.TITLE, arms.main),
    "choosing": (choosing.TITLE, choosing.main),
    "methods": (methods.TITLE, methods.main),
    "few-shot": (few_shot.TITLE, few_shot.main),
    "forgetting": (forgetting.TITLE, forgetting.main),
    "search": (search.TITLE, search.main),
    "prediction": (prediction.TITLE, prediction.main),
}
"""Commands with options of their own, and documents of their own kind."""


def run(name: str, options: Options, say: Say) -> dict[str, Any]:
    """The document of a benchmark. Raises: BenchmarkError, TunesmithError."""
    if name == "evaluation":
        return run_evaluation(options, say)
    if name == "data":
        return run_data(options, say)
    if name == "dpo":
        return run_preferences(options, say)
    if name == "grpo":
        return run_rewarding(options, say)
    if name == "gpu":
        return run_gpu(Setup("1b"), options, say)
    return run_startup(options, say) if name == "startup" else run_bench(BENCHES[name], options, say)


def _run_and_print(name: str, options: Options, as_json: bool, say: Say) -> bool:
    """Whether it ran and every gate passed. A whole run that did is written to RESULTS.md."""
    try:
        document = run(name, options, say)
        if document["passed"] and not options.num_rows and not options.peers:
            results.update(name, document)
            say(f"written: {results.FILE}")
    except (BenchmarkError, TunesmithError) as error:
        say(f"error: {error}")
        return False
    print(json.dumps(document, indent=2) if as_json else table(document), flush=True)
    if not document["passed"]:
        say("error: the two sides did not do the same work: no ratio is given. Differences: see the gate above.")
    return bool(document["passed"])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark, or all, and print it. Returns: 1 where a gate failed or a leg did not finish."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # a polite end, as Ctrl-C is: the leg at hand ends too, and its folder is removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if given and given[0] in ON_THEIR_OWN:
        return ON_THEIR_OWN[given[0]][1](given[1:], _say)
    own = {name: title for name, (title, _) in ON_THEIR_OWN.items()}
    described = "; ".join(f"{name}: {title}" for name, title in {**TITLES, **ON_GPU, **own}.items())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "name", choices=[*TITLES, *ON_GPU, "all"], metavar="NAME", help=f"{described}; all: those for a CPU beside other programs"
    )
    parser.add_argument("--quick", action="store_true", help="two repeats in place of five")
    parser.add_argument("--json", action="store_true", help="print the document in place of the table")
    parser.add_argument(
        "--rows",
        type=int,
        metavar="N",
        help="training rows a leg, whole steps of them; questions of `evaluation`; pairs of `dpo`; prompts of `grpo`",
    )
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="of sft and sft-full: docstrings, small-talk, or a .jsonl file of conversations; of dpo: a file of pairs, else they are made of docstrings; of grpo: a file of prompts, else small-talk; of evaluation: a folder with MMLU's files in mmlu/, else it is docstrings",
    )
    parser.add_argument("--peers", metavar="A,B", help="only these peers")
    options = parser.parse_args(given)
    if options.name == "all" and (options.rows or options.data or options.peers):
        parser.error("all: takes --quick and --json only")
    if options.data and options.name not in ("sft", "sft-full", "dpo", "grpo", "evaluation"):
        parser.error(f"{options.name}: has data of its own; --data is for sft, sft-full, dpo, grpo and evaluation")

    wanted = Options(options.quick, options.rows, options.data, options.peers.split(",") if options.peers else None)
    names = TITLES if options.name == "all" else [options.name]
    passed = [_run_and_print(name, wanted, options.json, _say) for name in names]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
