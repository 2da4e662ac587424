"""`python -m benchmarks few-shot --data FOLDER`: a few examples of each class, many times drawn; the way to learn from them chosen on the validation part.

FOLDER holds SST-5 as `stsa.fine.train`, `stsa.fine.dev` and `stsa.fine.test`: a row a line, its label 0 to 4, a space, its text, in latin-1.
"""

import argparse
import json
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.markdown import interval, table
from benchmarks.methods.named import chosen
from benchmarks.methods.stored import Leg, Results, commit, run_leg, run_missing
from benchmarks.running import Say
from benchmarks.workload import BenchmarkError
from tunesmith.core.crossed import Stats, mean
from tunesmith.core.files import cache_folder, hash_of, write_json
from tunesmith.core.statistics import Interval

__all__ = [
    "LABELS",
    "SUMMARY",
    "TITLE",
    "WAYS",
    "Drawn",
    "draw",
    "draw_to_choose",
    "few_shot_lines",
    "main",
    "read_rows",
    "summary",
    "way_of",
]

TITLE = "Few examples a class, ten splits of SST-5, with MiniLM"
SUMMARY = "few-shot/summary.json"
LABELS = ("very negative", "negative", "neutral", "positive", "very positive")
_PAIRS = ("objective.name=classify", "objective.contrastive=1", "train.epochs=40", "train.select_by=loss")
"""The trunk learns from pairs of texts alone. Of a few rows the loss tells more than the accuracy."""
WAYS: Mapping[str, tuple[str, ...]] = {
    "head": ("method.name=head",),
    "lora": ("method.name=lora",),
    "lora_head_first": ("method.name=lora", "train.head_first=true"),
    "bitfit_head_first": ("method.name=bitfit", "train.head_first=true"),
    "layers_head_first": ("method.name=layers", "train.head_first=true"),
    "full": ("method.name=full",),
    "full_head_first": ("method.name=full", "train.head_first=true"),
    "lora_pairs": ("method.name=lora", *_PAIRS),
    "full_pairs": ("method.name=full", *_PAIRS),
}
"""Ways to learn from the examples, each at its method's own learning rate."""
_RECIPE = """model: minilm-l6
data: {train: ROWS/train.jsonl, validation: ROWS/validation.jsonl, test: ROWS/test.jsonl, format: labelled}
objective: classify
train: {epochs: 10, examples_per_step: 8, evaluations_per_epoch: 1}
"""
CHOOSING = range(100, 105)
"""Draws by which the way is chosen, none of which is among those that are judged."""
_PART = {"train": "stsa.fine.train", "validation": "stsa.fine.dev", "test": "stsa.fine.test"}

Row = tuple[str, str]
"""Label and text."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of a split."""

    number: int
    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]

    @property
    def sha256(self) -> str:
        """Of the rows and of what is learned from them."""
        return hash_of(_RECIPE, self.train, self.validation, self.test)

    def write(self, folder: Path) -> None:
        """As the recipe reads them."""
        for name in _PART:
            lines = [json.dumps({"label": label, "text": text}) for label, text in getattr(self, name)]
            (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "recipe.yaml").write_text(_RECIPE.replace("ROWS/", f"{folder}/"), encoding="utf-8")


def read_rows(folder: Path) -> dict[str, list[Row]]:
    """The files of a folder, each text once; what stands in the test rows too is left out of the others. Raises: BenchmarkError."""
    found: dict[str, dict[str, str]] = {}
    for part, name in _PART.items():
        file = folder / name
        if not file.is_file():
            raise BenchmarkError(f"--data: {file}: no such file. Expected a folder with {', '.join(_PART.values())}.")
        texts: dict[str, str] = {}
        for number, line in enumerate(file.read_text(encoding="latin-1").splitlines(), 1):
            label, _, text = line.partition(" ")
            if label not in "01234" or len(label) != 1 or not text.strip():
                raise BenchmarkError(f"{file}:{number}: expected a label from 0 to 4, a space and a text, found {line[:40]!r}.")
            texts.setdefault(text, LABELS[int(label)])
        found[part] = texts
    kept = {"train": {**found["validation"], **found["test"]}, "validation": found["test"], "test": {}}
    return {part: [(label, text) for text, label in texts.items() if text not in kept[part]] for part, texts in found.items()}


def draw(rows: Mapping[str, Sequence[Row]], number: int, per_class: int) -> Drawn:
    """The split of a number: so many training rows and as many validation rows of each class, and every test row. Raises: BenchmarkError."""
    rng = random.Random(f"few-shot {number}")
    parts = dict[str, tuple[Row, ...]]()
    for part in ("train", "validation"):
        by_label: dict[str, list[Row]] = defaultdict(list)
        for row in rows[part]:
            by_label[row[0]].append(row)
        few = next((label for label in LABELS if len(by_label[label]) < per_class), None)
        if few is not None:
            raise BenchmarkError(f"--per-class: {per_class}: {_PART[part]} has {len(by_label[few])} rows of the class {few}.")
        parts[part] = tuple(row for label in LABELS for row in rng.sample(by_label[label], per_class))
    return Drawn(number, parts["train"], parts["validation"], tuple(rows["test"]))


def draw_to_choose(rows: Mapping[str, Sequence[Row]], number: int, per_class: int) -> Drawn:
    """As `draw`, judged on what is left of the validation part. Raises: BenchmarkError."""
    drawn = draw(rows, number, per_class)
    return replace(drawn, test=tuple(row for row in rows["validation"] if row not in drawn.validation))


def legs_of(drawn: Drawn, ways: Sequence[str]) -> dict[str, Leg]:
    """A leg a way."""
    folder = "few-shot-choice" if drawn.number in CHOOSING else "few-shot"
    return {
        way: Leg(f"{folder}/{way}", drawn.number, "ROWS/recipe.yaml", WAYS[way], ("accuracy",), data_sha256=drawn.sha256) for way in ways
    }


def way_of(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The way with the best accuracy on the split's validation rows; of equal ones that with the least loss there. Test rows play no part."""

    def rank(way: str) -> tuple[float, float]:
        losses = found[way]["losses"]
        return -losses["kept_by"]["accuracy"], losses["kept_validation"]

    return min((way for way in found if "losses" in found[way]), key=rank)


Measured = Mapping[int, Mapping[str, Mapping[str, Any]]]
"""Split -> way -> what its leg measured."""


def summary(measured: Measured, choosing: Measured, per_class: int) -> dict[str, Any]:
    """Accuracy over the splits: of the way that is best over `choosing`, of the ways that each split's own validation rows chose, and of every way."""
    picked = {number: way_of(found) for number, found in measured.items()}
    ways = [way for way in WAYS if all("rows" in found.get(way, {}) for found in (*measured.values(), *choosing.values()))]

    def over(legs: Mapping[int, Mapping[str, Any]]) -> dict[str, float]:
        return asdict(mean(Stats.of({number: one["rows"]["accuracy"] for number, one in legs.items()}), np.mean))

    first = next(iter(next(iter(measured.values())).values()))
    on_validation = {way: over({number: found[way] for number, found in choosing.items()}) for way in ways}
    return {
        "per_class": per_class,
        "num_splits": len(measured),
        "num_test_rows": len(first["rows"]["accuracy"]["row"]),
        "model": first["model"],
        "chosen": over({number: measured[number][way] for number, way in picked.items()}),
        "picked": picked,
        "best": max(ways, key=lambda way: on_validation[way]["value"]),
        "num_choosing": len(choosing),
        "on_validation": on_validation,
        "ways": {way: over({number: found[way] for number, found in measured.items()}) for way in ways},
    }


def few_shot_lines(found: Mapping[str, Any]) -> list[str]:
    """The section of the page."""

    def said(one: Mapping[str, float]) -> str:
        return interval(Interval(**one))

    counts = Counter(found["picked"].values())
    rows = [
        [way, f"`{' '.join(WAYS[way])}`", said(found["on_validation"][way]), said(one), str(counts[way])]
        for way, one in found["ways"].items()
    ]
    return [
        "## Few examples",
        "",
        f"SST-5 (five classes), `{found['model']['name']}`, {found['per_class']} examples a class, {found['num_splits']} splits, {found['num_test_rows']:,} test rows. The way is chosen by "
        f"{found['num_choosing']} other draws, judged on what they leave of the validation part; beside it, one for each split by the accuracy on its own validation rows, {found['per_class']} others a class. Intervals are over splits and rows.",
        "",
        f"**Accuracy of the chosen way, {found['best']}: {said(found['ways'][found['best']])}**.",
        "",
        f"Accuracy where each split chooses by its own few rows: {said(found['chosen'])}. Chosen: {', '.join(f'{way} {n} times' for way, n in counts.most_common())}.",
        "",
        *table(["way", "changes", "on the validation part", "accuracy", "splits that chose it"], rows),
        "",
    ]


def main(arguments: Sequence[str], say: Say) -> int:
    """Returns: 1 where a leg failed or the data are not there. Results of legs that ended are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks few-shot", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where SST-5 lies; nothing of it is kept")
    parser.add_argument("--splits", type=int, default=10, metavar="N", help="default 10")
    parser.add_argument("--per-class", type=int, default=8, metavar="N", help="training rows of each class, and validation rows; default 8")
    parser.add_argument("--ways", metavar="A,B", help=f"of {', '.join(WAYS)}; default all")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where results are kept; default: the user's cache")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe, for a trial")
    options = parser.parse_args(arguments)
    results = Results(options.results or cache_folder("benchmarks", "methods"), tuple(options.set), commit())
    try:
        if not 1 <= options.splits <= CHOOSING.start or options.per_class < 1:
            raise BenchmarkError(f"--splits: expected 1 to {CHOOSING.start}; --per-class: at least 1.")
        ways = chosen(options.ways.split(",") if options.ways else None, list(WAYS), "--ways")
        rows = read_rows(options.data)
        choosing = [draw_to_choose(rows, number, options.per_class) for number in CHOOSING]
        drawn = [draw(rows, number, options.per_class) for number in range(options.splits)]
        failed = [line for one in (*choosing, *drawn) for line in _run(one, ways, results, say)]
        measured, chosen_by = (_measured(some, ways, results) for some in (drawn, choosing))
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    for line in failed:
        say(f"error: {line}")
    if failed:
        say("Start the command again: it goes on with what is missing.")
        return 1
    found = summary(measured, chosen_by, options.per_class)
    if not options.set and ways == list(WAYS):
        write_json(results.folder / SUMMARY, found)
    print("\n".join(few_shot_lines(found)), flush=True)
    return 0


def _measured(splits: Sequence[Drawn], ways: Sequence[str], results: Results) -> dict[int, dict[str, dict[str, Any]]]:
    return {one.number: {way: found for way, leg in legs_of(one, ways).items() if (found := results.get(leg))} for one in splits}


def _run(drawn: Drawn, ways: Sequence[str], results: Results, say: Say) -> list[str]:
    legs = list(legs_of(drawn, ways).values())
    if not results.missing(legs):
        return []
    with tempfile.TemporaryDirectory(prefix="tunesmith-few-shot-") as name:
        drawn.write(Path(name))
        return run_missing(legs, results, say, lambda leg, kept: run_leg(leg, kept, Path(name)))
