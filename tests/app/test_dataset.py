"""Data that several trainings share."""

from pathlib import Path

import pytest
from tiny_recipes import classifier

from tunesmith.app import dataset
from tunesmith.app.dataset import prepare_data, reading_once


def test_within_a_block_data_are_read_once_and_parts_of_them_are_their_own(
    encoder_folder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = classifier(encoder_folder, reviews, tmp_path / "out")
    half = recipe.model_copy(update={"data": recipe.data.model_copy(update={"train_fraction": 0.5})})
    other = recipe.model_copy(update={"data": recipe.data.model_copy(update={"system": "Be brief."})})
    apart = [prepare_data(one) for one in (recipe, half)]
    reads, read = list[str](), dataset.read
    monkeypatch.setattr(dataset, "read", lambda source, **options: reads.append(str(source)) or read(source, **options))
    with reading_once():
        together = [prepare_data(one) for one in (recipe, half, recipe)]
        assert len(reads) == 1
        prepare_data(other)
        assert len(reads) == 2
    assert [len(one.train) for one in together] == [len(apart[0].train), len(apart[1].train), len(apart[0].train)]
    assert together[:2] == apart
    prepare_data(recipe)
    assert len(reads) == 3
