"""The model card."""

import itertools
from typing import Any

import yaml

from tests.report.example_reports import classification, generation
from tunesmith.report.card import model_card


def _front(card: str) -> dict[str, Any]:
    assert card.startswith("---\n")
    found: dict[str, Any] = yaml.safe_load(card.removeprefix("---\n").split("\n---\n")[0])
    return found


def test_front_matter_is_what_hugging_face_reads() -> None:
    front = _front(model_card(classification()))
    assert front["base_model"] == "minilm-l6"
    assert front["library_name"] == "peft"
    assert front["license"] == "mit"
    assert front["tags"] == ["tunesmith", "lora", "classify"]
    assert front["pipeline_tag"] == "text-classification"
    assert front["metrics"] == ["accuracy", "macro_f1", "mcc"]
    [result] = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == "movie-reviews"
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.8455, "name": "accuracy"}


def test_whole_model_is_for_transformers() -> None:
    report = generation()
    assert (
        _front(model_card(report | {"task": {"method": "full", "objective": "sft", "kind": "generation"}}))["library_name"]
        == "transformers"
    )


def test_unknown_licence_is_said_to_be_unknown() -> None:
    report = classification()
    report["model"]["licence"] = None
    assert _front(model_card(report))["license"] == "unknown"


def test_card_holds_summary_results_of_every_data_set_and_how_to_run_it_again() -> None:
    card = model_card(classification()).replace("\u00a0", " ")
    assert "LoRA on minilm-l6 with 4,000 rows of movie-reviews raised accuracy from 0.680" in card
    assert (
        "| accuracy | 0.514 (0.492–0.536) | 0.680 (0.660–0.701) | 0.846 (0.829–0.862) | +0.165 (0.143–0.187) | < 0.001 |".replace(
            "<", "&lt;"
        )
        in card
    )
    assert "**tweets** (out of domain, 1,000 rows)" in card
    assert "```sh\ntunesmith tune reviews\n```" in card
    assert "```yaml\nmodel: minilm-l6\n" in card


def test_tables_are_rectangular() -> None:
    for report in (classification(), generation()):
        lines = model_card(report).splitlines()
        for above, below in itertools.pairwise(lines):
            if above.startswith("|") and below.startswith("|"):
                assert above.count("|") == below.count("|")


def test_hostile_text_stays_text() -> None:
    report = classification()
    report["name"] = "evil\n---\n# <script>alert(1)</script>"
    report["warnings"] = ["a | b `code` <img src=x onerror=alert(1)> [link](javascript:alert(1))"]
    report["data"]["splits"]["test"]["source"] = "x|y"
    report["command"] = "tunesmith tune a\n```\n<script>"
    card = model_card(report)
    assert [line for line in card.splitlines() if line == "---"] == ["---", "---"]
    outside = card.split("````sh")[0].split("\n---\n", 1)[1]
    assert "<script" not in outside
    assert "<img" not in outside
    assert "[link](" not in outside
    assert "a \\| b \\`code\\`" in outside
    assert "````sh\ntunesmith tune a\n```\n<script>\n````" in card
    assert _front(card)["base_model"] == "minilm-l6"


def test_bare_report_gives_a_card() -> None:
    card = model_card({"schema": "tunesmith/tune/1", "run": "r1", "model": {"name": "gpt2"}})
    assert _front(card)["base_model"] == "gpt2"
    assert "## Results" not in card
