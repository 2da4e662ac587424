"""Draw docs/images/sentiment-*.svg: reward against distance, of finished runs of the chain `sentiment`, one a seed.

python scripts/draw_rewards.py runs/sentiment-0 runs/sentiment-1 runs/sentiment-2
"""

import sys
from pathlib import Path

from tunesmith.core.run import GroupDirectory
from tunesmith.report.reward_picture import reward_panels

OUT = Path(__file__).parents[1] / "docs" / "images"
NAMES = ("sentiment-judge.svg", "sentiment-reward.svg")
STYLE = """svg { background: #ffffff; font-family: sans-serif; }
text { font-size: 12px; fill: #5b6470; } .panel-title { font-size: 13.5px; font-weight: 650; fill: #1b1f24; }
.best-label { fill: #1b1f24; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; } .grid { stroke: #d9dde2; }
path { fill: none; } .raw { stroke: #1f6f8b; opacity: 0.35; } .validation-dot { fill: #1f6f8b; opacity: 0.5; }
.tuned-whisker { stroke: #1f6f8b; stroke-width: 2; } .tuned-dot { fill: #1f6f8b; }
.base-whisker { stroke: #b0722c; stroke-width: 2; } .base-dot { fill: #ffffff; stroke: #b0722c; stroke-width: 2; }"""


def main(folders: list[str]) -> None:
    """Write one picture for the held-out judge, one for the reward that is trained by."""
    groups = [GroupDirectory(Path(folder)) for folder in folders]
    panels = reward_panels([group.read_json(group.group_json) for group in groups])
    for name, panel in zip(NAMES, panels, strict=True):
        inside = panel.partition(">")[2]
        start = panel.partition(">")[0].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="690" ')
        (OUT / name).write_text(f"{start}><style>{STYLE}</style>{inside}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
