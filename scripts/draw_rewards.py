"""Draw docs/images/sentiment-*.svg and write the table of docs/rewards.md, of finished runs of the chain `sentiment`, one a seed.

python scripts/draw_rewards.py runs/sentiment-0 runs/sentiment-1 runs/sentiment-2
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from tunesmith.core.run import GroupDirectory
from tunesmith.report.results import Estimate
from tunesmith.report.reward_picture import reward_panels

DOCS = Path(__file__).parents[1] / "docs"
PAGE, BEGIN, END = DOCS / "rewards.md", "<!-- sentiment -->\n", "<!-- end of sentiment -->\n"
NAMES = ("sentiment-judge.svg", "sentiment-reward.svg")
HEAD = ("stage", "seed", "judge", "over SFT", "p", "reward", "nats", "distinct-2, of SFT's", "min")
STYLE = """svg { background: #ffffff; font-family: sans-serif; }
text { font-size: 12px; fill: #5b6470; } .panel-title { font-size: 13.5px; font-weight: 650; fill: #1b1f24; }
.best-label { fill: #1b1f24; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; } .grid { stroke: #d9dde2; }
path { fill: none; } .raw { stroke: #1f6f8b; opacity: 0.35; } .validation-dot { fill: #1f6f8b; opacity: 0.5; }
.tuned-whisker { stroke: #1f6f8b; stroke-width: 2; } .tuned-dot { fill: #1f6f8b; }
.base-whisker { stroke: #b0722c; stroke-width: 2; } .base-dot { fill: #ffffff; stroke: #b0722c; stroke-width: 2; }"""


def distinct_pairs(texts: Sequence[str]) -> float:
    """Different pairs of neighbouring words over all of them, counted over all texts together.

    Source: Li et al. (2016), "A Diversity-Promoting Objective Function", https://arxiv.org/abs/1510.03055.
    """
    pairs = [pair for text in texts for pair in pairwise(text.lower().split())]
    return len(set(pairs)) / len(pairs)


def kept_diversity(folder: Path) -> float:
    """Distinct-2 of the tuned model's answers over that of the model's before: of rows that both answered."""
    with (folder / "predictions.jsonl").open(encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if all((row.get(side) or {}).get("text") for side in ("tuned", "base"))]
    tuned, base = (distinct_pairs([row[side]["text"] for row in rows]) for side in ("tuned", "base"))
    return tuned / base


def line(stage: str, seed: int, found: Mapping[str, Any], kept: float) -> str:
    """A row of the table: what a stage reached with a seed."""
    metrics = found["metrics"]
    judge, gained = metrics["held_out_reward"], metrics["held_out_reward"]["difference"]
    reached, over = Estimate.read(judge["tuned"]), Estimate.read(gained)
    assert reached is not None
    assert over is not None
    cells = (
        stage, str(seed), reached.text(3), over.change_text(3), f"{gained['p']:.3f}",
        f"{metrics['reward']['tuned']['value']:.3f}", f"{metrics['kl']['tuned']['value']:.2f}", f"{kept:.2f}", f"{found['cost']['total_seconds'] / 60:.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def table(documents: Sequence[Mapping[str, Any]], groups: Sequence[GroupDirectory]) -> Iterator[str]:
    """Lines of Markdown: each stage that was measured by rewards, with each seed."""
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{'---|' * len(HEAD)}"
    for stage, found in documents[0]["stages"].items():
        if "held_out_reward" in found["metrics"]:
            for document, group in zip(documents, groups, strict=True):
                run = group.by_value[stage]
                seed = yaml.safe_load(run.recipe.read_text(encoding="utf-8"))["seed"]
                yield line(stage, seed, document["stages"][stage], kept_diversity(run.path))


def main(folders: list[str]) -> None:
    """Write one picture for the held-out judge, one for the reward that is trained by, and the table."""
    groups = [GroupDirectory(Path(folder)) for folder in folders]
    documents = [group.read_json(group.group_json) for group in groups]
    for name, panel in zip(NAMES, reward_panels(documents), strict=True):
        inside = panel.partition(">")[2]
        start = panel.partition(">")[0].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="690" ')
        (DOCS / "images" / name).write_text(f"{start}><style>{STYLE}</style>{inside}\n", encoding="utf-8")
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{PAGE}: {BEGIN.strip()} and {END.strip()} are to stand around the table, in this order.")
    PAGE.write_text(before + begin + "\n".join(table(documents, groups)) + "\n" + end + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
