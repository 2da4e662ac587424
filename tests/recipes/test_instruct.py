"""The recipe `instruct`: a base model without a chat template learns to answer, and to stop."""

import csv
from pathlib import Path

import pytest
import torch
import transformers

from tunesmith.app.tune import tune
from tunesmith.app.tuned import load_base, load_tuned
from tunesmith.core.errors import RecipeError
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Message, Origin, Prompt
from tunesmith.recipe import Recipe, load

_ANIMALS = "cat dog cow owl".split()
_ADJECTIVES = "old red big shy".split()
_WORDS = [*_ANIMALS, *_ADJECTIVES, *"what does the say it says meow woof moo hoo user assistant system".split()]
_SOUNDS = dict(zip(_ANIMALS, "meow woof moo hoo".split(), strict=True))


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    """A random Llama of two layers; its tokenizer has ChatML's tokens, ends texts with another one, and has no chat template."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {word: index for index, word in enumerate([*special, "[UNK]", *_WORDS])}
    built = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # type: ignore[call-arg]
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=built,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        unk_token="[UNK]",
        additional_special_tokens=special[1:],
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
        eos_token_id=0, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    folder = tmp_path / "base"
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(base_folder: Path, tmp_path: Path) -> Recipe:
    file = tmp_path / "animals.csv"
    with file.open("w", newline="") as target:
        rows = [
            (f"what does the {adjective} {other} {animal} say", f"it says {_SOUNDS[animal]}")
            for animal in _ANIMALS
            for adjective in _ADJECTIVES
            for other in _ADJECTIVES
        ]
        csv.writer(target).writerows([("source", "target"), *rows])
    changes = [
        f"model={base_folder}", "data.mix={}", f"data.train={file}", "data.limit={}", "evaluate.prompts=[what does the cat say]",
        "method.name=full",  # the head of a random model is too small to say anything while it is frozen
        "train.epochs=8", "train.learning_rate=1e-2", f"output_dir={tmp_path / 'out'}",
    ]  # fmt: skip
    return load("instruct", changes)


def test_the_tuned_models_answers_end_by_themselves_and_the_bases_do_not(recipe: Recipe, tmp_path: Path) -> None:
    report = tune(recipe).report
    (sample,) = [sample for sample in report["samples"] if sample["prompt"] == "what does the cat say"]
    assert sample["tuned"] == "it says meow"
    assert sample["base"] != sample["tuned"]
    asked = [Prompt((Message("user", f"what does the {animal} say"),), Origin("prompt", 1)) for animal in _ANIMALS]
    tuned = load_tuned(RunDirectory(tmp_path / "out")).ask(asked, 20)
    assert (tuned.num_cut, [output.text for output in tuned.outputs]) == (0, [f"it says {_SOUNDS[animal]}" for animal in _ANIMALS])
    assert load_base(recipe).ask(asked, 20).num_cut > 0


def test_a_base_without_the_layouts_tokens_is_told_which_layouts_need_none(recipe: Recipe, base_folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"data.chat_template: llama3 needs the token <\|start_header_id\|>.*These need none: .*zephyr"):
        tune(recipe.model_copy(update={"data": recipe.data.model_copy(update={"chat_template": "llama3"})}))
