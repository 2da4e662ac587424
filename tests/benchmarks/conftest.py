"""Workloads on tiny random models, with orders as the Trainer draws them."""

import random
from pathlib import Path

import pytest
import torch
import transformers
from model.tiny import tokenizer

from benchmarks.prepare import orders, save_start
from benchmarks.workload import Settings, TokenRow, Workload

_LLAMA = dict(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=4,
)  # fmt: skip
_BERT = dict(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip


def _model(task: str, folder: Path) -> str:
    torch.manual_seed(0)
    if task == "language_model":
        transformers.LlamaForCausalLM(transformers.LlamaConfig(**_LLAMA)).save_pretrained(folder)
    else:
        transformers.BertModel(transformers.BertConfig(**_BERT), add_pooling_layer=False).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def _row(draw: random.Random, task: str) -> TokenRow:
    length = draw.randint(5, 30)
    tokens = tuple(draw.randint(5, 63) for _ in range(length))
    return TokenRow(tokens, tuple(range(length - 3, length))) if task == "language_model" else TokenRow(tokens, label=draw.randint(0, 1))


def _make(folder: Path, task: str, method: str, epochs: int = 1, num_rows: int = 16) -> Workload:
    """Steps of four rows, two of them to warm up."""
    model = _model(task, folder / "model")
    settings = Settings(
        model, task, method, 2 if task == "classification" else 0, 1e-3, examples_per_step=4, epochs=epochs, num_checkpoints=2
    )
    draw, made = random.Random(0), Workload(folder / "workload")
    rows = [_row(draw, task) for _ in range(num_rows)]
    made.write(settings, rows, [_row(draw, task) for _ in range(4)], orders([len(row.tokens) for row in rows], settings))
    save_start(settings, made.start, r=4)
    return made


@pytest.fixture
def make():
    """Writes a workload and its model below a folder."""
    return _make


@pytest.fixture
def llama():
    """A tiny random Llama; torch's seed says which."""
    return lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**_LLAMA))
