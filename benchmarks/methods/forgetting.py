"""`python -m benchmarks forgetting`: what full tuning, LoRA, rehearsal and several tasks at once cost a model, and the figures of docs/forgetting.md."""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.markdown import between, interval, table
from benchmarks.methods.command import seeds_of
from benchmarks.methods.named import chosen
from benchmarks.methods.stored import Leg, Results, commit, run_leg, run_missing
from benchmarks.running import ROOT, Say
from benchmarks.workload import BenchmarkError
from tunesmith.core import registry
from tunesmith.core.crossed import Stats, difference
from tunesmith.core.files import cache_folder, hash_of, write_text
from tunesmith.core.statistics import Value
from tunesmith.core.types import Metric
from tunesmith.data import limited, read
from tunesmith.evaluation.forgetting import first_words
from tunesmith.evaluation.score import text_of

__all__ = ["FILE", "KEPT", "TITLE", "WAYS", "figures", "hashes_of", "legs_of", "main", "with_figures", "written"]

TITLE = "What tuning SmolLM2-135M on docstrings costs it elsewhere, by how it is tuned"
FILE = ROOT / "docs" / "forgetting.md"
BEGIN, END = "<!-- written by python -m benchmarks forgetting -->", "<!-- end of what it wrote -->"
KEPT = ("editorials", "tweets", "python-reference")
"""What is measured before and after; no way trains on any of it."""
_REHEARSED = "product-reviews"
_NUM_REHEARSED = 400
_NUM_KEPT, _NUM_LIKE = 100, 150
"""The most texts of a source that are measured, and that are like those."""
_WORDS_LIKE = 120
"""Of each text that is like what is measured."""
_SETS = json.dumps({name: {"source": f"ROWS/{name}.jsonl"} for name in KEPT})
_WORDS = 40
"""Of each text that is measured."""
_METRIC = "bits_per_byte"
_RATE = "train.learning_rate=1e-3"
"""High for full tuning, of which 2e-5 is usual."""
_STEPS = (
    "train.max_steps=16", "train.evaluations_per_epoch=1", "data.limit={train: 400, validation: 16, test: 50}", "evaluate.generate_limit=0",
    "evaluate.prompts=[]", "engine.compile=false",
    f"evaluate.retention={_SETS}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """The recipe `docstrings` with changes."""

    title: str
    changes: tuple[str, ...]


def _mix(**others: Mapping[str, Any]) -> tuple[str, ...]:
    """The recipe's data as one set among others."""
    template = "Write the docstring of this Python function.\n\n{source}"
    sets = {"docstrings": {"template": template, "weight": 1 - sum(other["weight"] for other in others.values())}, **others}
    return ("data.train=null", "data.template=null", f"data.mix={json.dumps(sets)}")


_LITTLE = {"validation": 4, "test": 4}
WAYS: Mapping[str, Way] = {
    "full_high": Way("full, at a high rate", ("method.name=full", _RATE)),
    "full": Way("full, at its own rate", ("method.name=full",)),
    "lora": Way("LoRA", ("method.name=lora",)),
    "rehearsal": Way(
        f"full, at the high rate, a fifth of the rows {_REHEARSED}",
        ("method.name=full", _RATE, *_mix(general={"source": "ROWS/general.jsonl", "weight": 0.2, "limit": _LITTLE})),
    ),
    "rehearsal_like": Way(
        "full, at the high rate, a fifth of the rows like what is measured",
        ("method.name=full", _RATE, *_mix(general={"source": "ROWS/like.jsonl", "weight": 0.2, "limit": _LITTLE})),
    ),
    "multi_task": Way(
        "full, at the high rate, four tasks at once",
        (
            "method.name=full",
            _RATE,
            *_mix(
                sentiment={
                    "source": "movie-reviews", "weight": 0.25, "limit": _LITTLE,
                    "template": "Is this sentence of a film review negative or positive?\n\n{text}",
                },
                talk={"source": "small-talk", "weight": 0.25, "limit": _LITTLE},
                choices={
                    "source": "docstring-choices", "weight": 0.25, "limit": _LITTLE,
                    "template": "Which sentence documents this Python function?\n\n{question}\n\n{choices}",
                },
            ),
        ),
    ),
}  # fmt: skip
"""All take as many steps of as many rows."""


def written() -> dict[str, list[str]]:
    """Lines of the files that the recipes name: `general` and `like`, of which all is learned, and what is measured, up to 100 texts each.

    `like` are other texts of the sources that are measured, and of a source with no others what follows the words that are measured.
    """
    measured, like = dict[str, list[str]](), list[str]()
    for name in KEPT:
        examples = read(name).examples
        texts = [text_of(example) for example in limited(examples, _NUM_KEPT)]
        begun, taken = [first_words(text, _WORDS) for text in texts], set(texts)
        others = [text for text in map(text_of, examples) if text not in taken][:_NUM_LIKE]
        rests = [text[len(read_of) :].strip() for text, read_of in zip(texts, begun, strict=True)]
        like += [first_words(text, _WORDS_LIKE) for text in others or rests if text]
        measured[name] = [json.dumps({"text": text}) for text in begun]
    general = [text_of(example) for example in limited(read(_REHEARSED).examples, _NUM_REHEARSED)]
    return {"general": _learned(general), "like": _learned(like), **measured}


def _learned(texts: Sequence[str]) -> list[str]:
    return [json.dumps({"segments": [{"label": True, "text": text}]}) for text in texts]


def hashes_of(files: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Of each way the hash of the files that it may read: `like` is one way's alone."""
    others = {name: lines for name, lines in files.items() if name != "like"}
    return {way: hash_of(files if way == "rehearsal_like" else others) for way in WAYS}


def legs_of(seed: int, ways: Sequence[str], rows_sha256: Mapping[str, str]) -> dict[str, Leg]:
    """A leg a way. `rows_sha256`: as `hashes_of` has it."""
    return {
        way: Leg(
            f"forgetting/{way}", seed, "docstrings", (*_STEPS, *WAYS[way].changes), (_METRIC,), rate_override=(), data_sha256=rows_sha256[way],
            module="benchmarks.legs.forgetting", more={"target": "docstrings"},
        )
        for way in ways
    }  # fmt: skip


Found = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Way -> seed -> what its leg measured."""


def figures(found: Found, changes: Sequence[str] = ()) -> list[str]:
    """The lines of the page: what each way learned and lost, and by how much high-rate full tuning lost more than the others."""
    done = {way: {seed: one for seed, one in legs.items() if "rows" in one} for way, legs in found.items()}
    done = {way: legs for way, legs in done.items() if legs}
    if not done:
        return ["Not measured yet.", ""]
    one = next(iter(next(iter(done.values())).values()))
    lines = [f"Changed for a trial, so that these figures mean nothing: {', '.join(changes)}.", ""] if changes else []
    lines += [
        f"`{one['model']['name']}` on the recipe `docstrings`, {one['num_steps']} steps of {one['recipe']['train']['examples_per_step']} rows, seeds {_seeds(done)}; {_about(one)}. "
        "Bits per byte after tuning minus before, over the same rows; in brackets the 95 % interval over rows and seeds. More is worse.",
        "",
        *table(["way", "learning rate", "docstrings (learned)", *KEPT], [_way_cells(way, legs) for way, legs in done.items()]),
        "",
    ]
    if "full_high" in done:
        rows = [_against(way, done) for way in done if way != "full_high"]
        lines += [
            "How much more full tuning at the high rate lost than each other way, bits per byte:",
            "",
            *table(["full, at a high rate, against", *KEPT], rows),
            "",
        ]
    missing = [way for way in WAYS if way not in done]
    return [*lines, *([f"**Not measured yet, or diverged**: {', '.join(missing)}.", ""] if missing else [])]


def _way_cells(way: str, legs: Mapping[int, Mapping[str, Any]]) -> list[str]:
    one = next(iter(legs.values()))
    learned = np.mean([leg["target"]["difference"]["value"] for leg in legs.values()])
    value = _value()
    lost = [interval(difference(_stats(legs, name, "tuned"), _stats(legs, name, "base"), value), signed=True) for name in KEPT]
    return [WAYS[way].title, f"{one['learning_rate']:.2g}", f"{learned:+.4f}", *lost]


def _against(way: str, done: Found) -> list[str]:
    value = _value()
    found = [
        interval(difference(_stats(done["full_high"], name, "tuned"), _stats(done[way], name, "tuned"), value), signed=True)
        for name in KEPT
    ]
    return [WAYS[way].title, *found]


def _stats(legs: Mapping[int, Mapping[str, Any]], name: str, side: str) -> Stats:
    return Stats.of({seed: one["rows"][name] for seed, one in legs.items()}, side)


def _value() -> Value:
    metric: Metric = registry.create("metric", _METRIC)
    return metric.value


def _seeds(done: Found) -> str:
    return ", ".join(map(str, sorted({seed for legs in done.values() for seed in legs})))


def _about(one: Mapping[str, Any]) -> str:
    machine, versions = one["machine"], one["versions"]
    return f"{machine['processor']}, {machine['num_threads']} threads; torch {versions['torch']}, transformers {versions['transformers']}; commit {one['commit']}, {one['date']}"


def with_figures(text: str, lines: Sequence[str]) -> str:
    """The page with these lines between its two marks. Raises: BenchmarkError, where it has none."""
    return between(text, (BEGIN, END), lines, f"{FILE}: the marks are missing, between which the figures stand")


def main(arguments: Sequence[str], say: Say) -> int:
    """Returns: 1 where a leg failed. Results of legs that ended are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks forgetting", description=__doc__)
    parser.add_argument("--seeds", default="0", metavar="A,B", help="default 0")
    parser.add_argument("--ways", metavar="A,B", help=f"of {', '.join(WAYS)}; default all")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where results are kept; default: the user's cache")
    parser.add_argument("--document", action="store_true", help="run nothing; write the page from the results that there are")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change every recipe, for a trial; the figures are printed, not written",
    )
    options = parser.parse_args(arguments)
    results = Results(options.results or cache_folder("benchmarks", "methods"), tuple(options.set), commit())
    try:
        seeds, ways = seeds_of(options.seeds), chosen(options.ways.split(",") if options.ways else None, list(WAYS), "--ways")
        files = written()
        legs = {seed: legs_of(seed, ways, hashes_of(files)) for seed in seeds}
        failed = [] if options.document else _run([leg for of_seed in legs.values() for leg in of_seed.values()], files, results, say)
        found = {way: {seed: one for seed in seeds if (one := results.get(legs[seed][way]))} for way in ways}
        lines = figures(found, results.changes)
        if options.set:
            print("\n".join(lines), flush=True)
        else:
            write_text(FILE, with_figures(FILE.read_text(encoding="utf-8"), lines))
            say(f"written: {FILE}")
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    for line in failed:
        say(f"error: {line}")
    return 1 if failed else 0


def _run(legs: Sequence[Leg], files: Mapping[str, Sequence[str]], results: Results, say: Say) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="tunesmith-forgetting-") as name:
        for stem, lines in files.items():
            (Path(name) / f"{stem}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return run_missing(legs, results, say, lambda leg, kept: run_leg(leg, kept, Path(name)))
