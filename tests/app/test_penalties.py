"""A recipe that scales what its network adds to its loss, of networks that add something and of those that do not."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.task import prepare
from tunesmith.core.errors import RecipeError
from tunesmith.recipe import from_mapping


def _prepare(folder: Path, architecture: dict[str, Any], scale: float) -> None:
    file = folder / "rows.jsonl"
    rows = [{"text": f"{noun} {verb}", "label": verb} for noun in "cat dog fox hen cow pig".split() for verb in ("sits", "runs")]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    small = {"embedding_size": 4, "hidden_size": 4, "num_layers": 1}
    recipe = {
        "model": {"architecture": small | architecture, "vocabulary": {"size": 300, "of": "words"}},
        "data": str(file), "method": "full", "train": {"penalty_scale": scale}, "evaluate": {"retention": "none"},
    }  # fmt: skip
    prepare(from_mapping(recipe, name="scaled"), lambda _: None)


@pytest.mark.parametrize("options", [{"activation_penalty": 0.0}, {"temporal_penalty": 0.0}])
def test_a_network_with_one_penalty_may_have_it_scaled(options: dict[str, Any], tmp_path: Path) -> None:
    _prepare(tmp_path, {"name": "awd_lstm", **options}, 0.0)


@pytest.mark.parametrize("architecture", [{"name": "lstm"}, {"name": "awd_lstm", "activation_penalty": 0.0, "temporal_penalty": 0.0}])
def test_a_scale_of_penalties_that_are_not_there_is_refused_in_a_line(architecture: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^scaled: train\.penalty_scale: found 0, and \S+ adds nothing to its loss .* Leave it out\.$"):
        _prepare(tmp_path, architecture, 0.0)
    _prepare(tmp_path, architecture, 1.0)


def test_a_network_of_transformers_adds_none(encoder_folder: Path, reviews: Path, tmp_path: Path) -> None:
    recipe = {"model": str(encoder_folder), "data": {"train": str(reviews), "columns": {"text": "review", "label": "sentiment"}}}
    with pytest.raises(RecipeError, match=r"train\.penalty_scale: found 0\.5"):
        prepare(from_mapping({**recipe, "train": {"penalty_scale": 0.5}}, name="scaled"), lambda _: None)
