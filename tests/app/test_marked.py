"""A run that learns from texts in parts."""

import json
from pathlib import Path

from tiny_recipes import writer

from tunesmith.app.tune import tune


def test_a_model_is_tuned_on_them(decoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "parts.jsonl"
    rows = [[{"label": False, "text": f"the cat is {word} "}, {"label": True, "text": f"{word} film"}] for word in map(str, range(40))]
    file.write_text("".join(json.dumps({"segments": row}) + "\n" for row in rows), encoding="utf-8")
    report = tune(writer(decoder_folder, file, tmp_path / "out", train={"max_steps": 2})).report
    assert report["task"]["objective"] == "sft"
    assert report["samples"]
