"""The table of rewards: what it says of a stage."""

import json
from pathlib import Path

import pytest

from scripts.draw_rewards import distinct_pairs, kept_diversity, line


def test_pairs_are_counted_over_all_texts_together() -> None:
    assert distinct_pairs(["a good film", "A good plot"]) == pytest.approx(3 / 4)
    assert distinct_pairs(["a good film", "a good film", "one"]) == pytest.approx(2 / 4)


def test_a_model_that_always_says_the_same_keeps_little_diversity(tmp_path: Path) -> None:
    said = [("a fine and funny film", "a good film"), ("a dull and slow film", "a good film"), ("too long", None)]
    rows = [{"base": {"text": base}, "tuned": None if tuned is None else {"text": tuned}} for base, tuned in said]
    (tmp_path / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert kept_diversity(tmp_path) == pytest.approx(2 / 4)


def test_a_line_says_what_was_reached_and_what_it_took() -> None:
    tuned, gained = {"value": 0.7, "low": 0.65, "high": 0.75}, {"value": 0.2, "low": 0.1, "high": 0.3, "p": 0.001}
    metrics = {
        "held_out_reward": {"tuned": tuned, "difference": gained},
        "reward": {"tuned": {"value": 0.8}},
        "kl": {"tuned": {"value": 1.5}},
    }
    found = line("dpo", 2, {"metrics": metrics, "cost": {"total_seconds": 600.0}}, 0.953)
    assert found == "| dpo | 2 | 0.700 (0.650–0.750) | +0.200 (0.100–0.300) | 0.001 | 0.800 | 1.50 | 0.95 | 10 |"
