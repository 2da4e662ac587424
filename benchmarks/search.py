"""`python -m benchmarks search`: how long a search of an index takes, how much of what an exact one finds it finds, and how fast documents are indexed. Imports no torch: legs do."""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.markdown import table
from benchmarks.running import Say, python
from benchmarks.workload import BenchmarkError
from tunesmith.core.files import write_text

__all__ = ["LEAST_RECALL", "MOST_MILLISECONDS", "TITLE", "compare_searches", "main", "section"]

TITLE = "Search of an index of 100,000 chunks: milliseconds, recall against exact search, and how fast documents are indexed"
MOST_MILLISECONDS, LEAST_RECALL = 50.0, 0.95
"""What a fused search may take, the 95th percentile of the questions; and the mean recall@10 of its vectors."""
_NUM_CHUNKS, _LEAST_CHUNKS, _REPEATS = 100_000, 10_000, 3
_LIMIT_SECONDS = 3600.0
_WAYS = {
    "vector": "by meaning: the vectors",
    "words": "by words: BM25",
    "fused": "both, and made one",
    "whole": "all of a search: the question is read by the model too",
}


def compare_searches(facts: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """The document of what was prepared and what was searched."""
    taken, indexing, workload = measured["milliseconds"], facts["indexing"], facts["workload"]
    ways = {way: {"median": statistics.median(taken[way]), "p95": statistics.quantiles(taken[way], n=20)[-1]} for way in _WAYS}
    mean_recall = statistics.fmean(measured["recall"])
    rates = [workload["num_real_chunks"] / seconds for seconds in indexing["seconds"]]
    embedding_rates = [workload["num_real_chunks"] / seconds for seconds in indexing["embedding_seconds"]]
    return {
        "schema": "tunesmith/benchmark-search/1",
        "workload": {"title": TITLE, **workload, "num_questions": len(taken["fused"])},
        "machine": facts["machine"],
        "load": facts["load"],
        "passed": ways["fused"]["p95"] < MOST_MILLISECONDS and mean_recall >= LEAST_RECALL,
        "ways": ways,
        "first_milliseconds": measured["first"],
        "recall_at_10": {"mean": mean_recall, "least": min(measured["recall"])},
        "indexing": {
            "chunks_per_second": statistics.median(rates),
            "embedding_chunks_per_second": statistics.median(embedding_rates),
            "storing_chunks_per_second": (workload["num_chunks"] - workload["num_real_chunks"])
            / (indexing["storing_seconds"] + indexing["tidying_seconds"]),
        },
    }


def section(document: Mapping[str, Any], today: date) -> str:
    """The document for people, as a section of RESULTS.md."""
    workload, indexing, recall = document["workload"], document["indexing"], document["recall_at_10"]
    rows = [[said, *(f"{document['ways'][way][name]:.1f}" for name in ("median", "p95"))] for way, said in _WAYS.items()]
    return "\n".join(
        [
            f"## `search`, {workload['data']}",
            "",
            f"{workload['title']}.",
            "",
            f"{today.isoformat()}; load of the machine before and after: {document['load'][0]:.1f}, {document['load'][1]:.1f}.",
            "",
            *results.machine_lines(document["machine"]),
            f"- workload: {workload['num_chunks']:,} chunks, {workload['num_real_chunks']:,} of them read by {workload['model']} and the others made of these; {workload['num_questions']} questions",
            "",
            *table(["milliseconds of a search", "median", "95th percentile"], rows),
            "",
            f"- the first fused search of a process, which reads all vectors into memory: {document['first_milliseconds']:.0f} ms",
            f"- recall@10 against exact search: {recall['mean']:.4f}, the least of a question {recall['least']:.1f}",
            f"- indexing: {indexing['chunks_per_second']:.0f} chunks/s, where the embedding engine alone reads {indexing['embedding_chunks_per_second']:.0f}; the store alone takes {indexing['storing_chunks_per_second']:.0f}",
            f"- asked for: fused under {MOST_MILLISECONDS:g} ms, recall@10 of {LEAST_RECALL:g} or more: {'reached' if document['passed'] else 'not reached'}",
            "",
        ]
    )


def _measure(num_chunks: int, repeats: int, say: Say) -> dict[str, Any]:
    """Raises: BenchmarkError."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-benchmark-") as name:
        folder, before = Path(name), os.getloadavg()[0]
        say(f"indexing {repeats} times, then filling up to {num_chunks:,} chunks")
        python(sys.executable, "benchmarks.prepare_search", name, str(num_chunks), str(repeats), limit_seconds=_LIMIT_SECONDS)
        say("searching")
        python(sys.executable, "benchmarks.legs.searching", name)
        facts, measured = (json.loads((folder / f"{one}.json").read_text(encoding="utf-8")) for one in ("facts", "result"))
        return compare_searches({**facts, "load": [before, os.getloadavg()[0]]}, measured)


def main(arguments: Sequence[str], say: Say) -> int:
    """Returns: 1 where what is asked for is not reached, or it did not end. A run with the default number of chunks is written to RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks search", description=__doc__)
    parser.add_argument("--chunks", type=int, default=_NUM_CHUNKS, metavar="N", help=f"default {_NUM_CHUNKS:,}")
    parser.add_argument("--quick", action="store_true", help="index once in place of three times")
    parser.add_argument("--json", action="store_true", help="print the document in place of the table")
    options = parser.parse_args(arguments)
    if options.chunks < _LEAST_CHUNKS:
        parser.error(f"--chunks: expected at least {_LEAST_CHUNKS:,}, of which a part is real.")
    try:
        document = _measure(options.chunks, 1 if options.quick else _REPEATS, say)
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    written = section(document, date.today())
    if document["passed"] and options.chunks == _NUM_CHUNKS and not options.quick:
        text = results.FILE.read_text(encoding="utf-8")
        write_text(results.FILE, results.with_section(text, "search", document["workload"]["data"], written))
        say(f"written: {results.FILE}")
    print(json.dumps(document, indent=2) if options.json else written, flush=True)
    return 0 if document["passed"] else 1
