"""A tiny model that was supervised briefly learns two-digit addition from a verifiable reward: whether the sum is right."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tunesmith.app.tune import tune
from tunesmith.recipe import from_mapping

_CHARACTERS = ["<pad>", "<unk>", "</s>", *"0123456789+="]
_EVALUATION = {"retention": "none", "max_new_tokens": 4, "generate_limit": 500, "metrics": ["exact_match"]}
_NUM_SUPERVISED_STEPS = (550, 525, 575, 500, 600, 450)
"""What so brief a training comes to depends on the last bits of a machine's products: the first is taken that leaves something to learn."""


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder with a model of 100,000 parameters that reads characters, and all sums of two numbers of two digits, the last digit of a sum first."""
    tokenizer = Tokenizer(models.WordLevel({one: index for index, one in enumerate(_CHARACTERS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    whole.chat_template = "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}</s>{% endif %}{% endfor %}"
    config = LlamaConfig(
        vocab_size=len(_CHARACTERS), hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
        bos_token_id=None, eos_token_id=2, pad_token_id=0, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    whole.save_pretrained(tmp_path / "model")
    terms = [(first, second) for first in range(10, 100) for second in range(10, 100)]
    random.Random(0).shuffle(terms)
    rows = [{"source": f"{first}+{second}=", "target": f"{first + second:03d}"[::-1]} for first, second in terms]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def _recipe(folder: Path, model: Path, objective: Any, **others: Any) -> Any:
    data = {"train": str(folder / "sums.jsonl"), "split": {"validation": 100, "test": 500}}
    found = {
        "model": str(model),
        "data": data,
        "method": "full",
        "objective": objective,
        "evaluate": _EVALUATION,
        "engine": {"compile": False},
    }
    return from_mapping({**found, **others}, name="addition")


def _supervised(folder: Path) -> Path:
    """The run of a model that knows some of it."""
    for num_steps in _NUM_SUPERVISED_STEPS:
        steps = {"max_steps": num_steps, "learning_rate": 3e-3, "examples_per_step": 64, "schedule": "constant"}
        run = tune(_recipe(folder, folder / "model", "sft", train=steps, output_dir=str(folder / f"sft-{num_steps}")))
        if 0.2 < run.report["metrics"]["exact_match"]["tuned"]["value"] < 0.6:
            return run.path
    pytest.fail("no training was brief enough, or all were too brief")


@pytest.mark.slow
def test_grpo_lifts_two_digit_addition_from_below_60_percent_to_above_90(given: Path) -> None:
    steps = {"max_steps": 600, "learning_rate": 1.5e-3, "examples_per_step": 64, "schedule": "linear", "evaluations_per_epoch": 1}
    objective = {"name": "grpo", "num_answers": 8, "max_new_tokens": 4, "beta": 0.0}
    rewards = [{"name": "metric", "metric": "exact_match"}]
    run = tune(_recipe(given, _supervised(given), objective, rewards=rewards, train=steps, output_dir=str(given / "grpo")))
    found = run.report["metrics"]["exact_match"]  # of one answer to each of 500 sums that were not trained on, drawn at temperature 1
    assert found["base"]["value"] < 0.6
    assert found["tuned"]["value"] > 0.9
    assert found["tuned"]["low"] > found["base"]["high"]
