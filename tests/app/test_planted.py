"""Verdicts on data in which the best way to adapt is known. All seeds: `make test-planted`."""

import random
from pathlib import Path

import pytest
import torch
import transformers
from planted import PLANTS, is_found
from reader import WORDS, reader

_SEEDS, _FOUND = 20, 17
"""Where a right verdict is given in 95 of 100, fewer than 17 of 20 are right in 2 of 100."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reader(tmp_path_factory.mktemp("models") / "reader")


@pytest.mark.parametrize("num_words", [10, 60, 200])
def test_the_reader_goes_on_as_what_it_reads_did(model: Path, num_words: int) -> None:
    said, tokenizer = transformers.AutoModelForCausalLM.from_pretrained(model), transformers.AutoTokenizer.from_pretrained(model)
    draw, num_right = random.Random(0), 0
    for _ in range(100):
        words = draw.sample(WORDS, num_words)
        place = draw.randrange(1, num_words - 1)
        tokens = tokenizer(" ".join([*words, words[place]]), return_tensors="pt")["input_ids"]
        with torch.no_grad():
            num_right += tokenizer.decode(said(input_ids=tokens).logits[0, -1].argmax()) == words[place + 1]
    assert num_right > 95


@pytest.mark.parametrize("plant", PLANTS)
def test_a_verdict_finds_what_was_planted(plant: str, model: Path, tmp_path: Path) -> None:
    assert is_found(plant, 0, model, tmp_path / plant)


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS)
def test_verdicts_find_what_was_planted_by_most_seeds(plant: str, model: Path, tmp_path: Path) -> None:
    found = [seed for seed in range(_SEEDS) if is_found(plant, seed, model, tmp_path / str(seed))]
    print(f"{plant}: found with {len(found)} of {_SEEDS} seeds")  # noqa: T201 - `make test-planted` shows it
    assert len(found) >= _FOUND
