from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from torch import nn

from tests.families import make
from tests.model.tiny import save
from tunesmith.model.facts import count_parts, flops_per_token, lora_parameters, training_memory
from tunesmith.model.load import LoadedModel, load


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))


def _wide(kind: str, tmp_path: Path) -> LoadedModel:
    """Wide enough that small things do not count: 4 layers of 64, 8 heads."""
    torch.manual_seed(0)
    common = dict(vocab_size=97, hidden_size=64, num_hidden_layers=4, num_attention_heads=8, max_position_embeddings=128)
    model: Any = (
        transformers.LlamaForCausalLM(transformers.LlamaConfig(**common, intermediate_size=192, num_key_value_heads=8, pad_token_id=0))  # type: ignore[arg-type]
        if kind == "llama"
        else transformers.BertModel(
            transformers.BertConfig(**common, intermediate_size=256, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        )  # type: ignore[arg-type]
    )
    return load(str(save(model, tmp_path / kind)))


def test_the_parts_of_a_llama_are_those_counted_by_hand() -> None:
    h, ff, kv, vocab, layers = 32, 48, 16, 97, 2
    assert count_parts(make("llama")) == {
        "embeddings": vocab * h,
        "attention": layers * (2 * h * h + 2 * h * kv),
        "feed_forward": layers * 3 * h * ff,
        "norms": (2 * layers + 1) * h,
        "head": vocab * h,
        "other": 0,
    }


def test_the_parts_of_a_bert_are_those_counted_by_hand() -> None:
    h, ff, vocab, layers = 32, 48, 97, 2
    model = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=vocab,
            hidden_size=h,
            intermediate_size=ff,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=66,
        )
    )  # the pooler is "other"
    assert count_parts(model) == {
        "embeddings": (vocab + 66 + 2) * h,
        "attention": layers * 4 * (h * h + h),
        "feed_forward": layers * (2 * h * ff + ff + h),
        "norms": (2 * layers + 1) * 2 * h,
        "head": 0,
        "other": h * h + h,
    }


def test_a_tied_head_counts_once() -> None:
    parts = count_parts(make("gpt2"))
    assert parts["head"] == 0
    assert parts["embeddings"] == (97 + 64) * 32


@pytest.mark.parametrize("kind", ["llama", "bert"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_predicted_activations_are_near_what_autograd_keeps(kind: str, method: str, tmp_path: Path) -> None:
    loaded = _wide(kind, tmp_path)
    trunk: nn.Module = loaded.trunk
    if method == "lora":
        trunk = peft.get_peft_model(trunk, peft.LoraConfig(r=4, target_modules="all-linear"))  # type: ignore[arg-type,assignment]
    own = {p.untyped_storage().data_ptr() for p in trunk.parameters()}
    kept: dict[int, int] = {}

    def keep(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        held.append(x)
        return x

    held: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        output = trunk.train()(input_ids=torch.randint(0, 97, (4, 128)))
    assert output is not None
    predicted = training_memory(loaded.facts, num_trainable=0, micro_batch_tokens=512, method=method).activations_bytes  # type: ignore[arg-type]
    assert 0.6 < predicted / sum(kept.values()) < 1.6, (predicted, sum(kept.values()))


def test_memory_is_the_formula_worked_by_hand(tmp_path: Path) -> None:
    facts = load(str(save(make("llama"), tmp_path / "m"))).facts
    full = training_memory(facts, num_trainable=facts.num_parameters, micro_batch_tokens=10, method="full", optimizer="adamw")
    assert full.weights_bytes == 4 * facts.num_parameters
    assert full.gradients_bytes == 4 * facts.num_parameters
    assert full.optimizer_bytes == 8 * facts.num_parameters
    attention, feed_forward = 2 * 32 * 32 + 2 * 32 * 16, 3 * 32 * 48
    assert full.activations_bytes == int(10 * 2 * 4 * (attention / 32 + feed_forward / 32 * 4 / 3 + 4 * 32))
    assert full.total_bytes == sum(
        (
            full.weights_bytes,
            full.gradients_bytes,
            full.optimizer_bytes,
            full.activations_bytes,
            full.allocator_bytes,
            full.process_bytes,
        )
    )
    whole = training_memory(facts, num_trainable=facts.num_parameters, micro_batch_tokens=10, method="full", scatters=False)
    assert (full.allocator_bytes, whole.allocator_bytes) == (int(0.7 * full.activations_bytes), int(0.2 * full.activations_bytes))
    again = training_memory(facts, num_trainable=facts.num_parameters, micro_batch_tokens=10, method="full", recomputed=True)
    assert again.activations_bytes == full.activations_bytes // 2 + 10 * 2 * 4 * 32  # one of two layers, and what both read
    assert again.allocator_bytes == full.allocator_bytes
    ours = training_memory(
        facts, num_trainable=facts.num_parameters, micro_batch_tokens=10, method="full", scatters=False, num_made_again=(2 * 64, 2 * 96)
    )
    assert ours.activations_bytes == full.activations_bytes - 10 * 4 * 2 * (64 + 96)
    assert ours.allocator_bytes == int(0.05 * ours.activations_bytes)
    deep = replace(facts, num_layers=8, parts={name: 4 * number for name, number in facts.parts.items()})
    thin = training_memory(
        deep, num_trainable=0, micro_batch_tokens=10, method="full", recomputed="feed_forward", num_made_again=(8 * 64, 8 * 96)
    )
    attended = attention / 32 + 4 * 32 - 64  # numbers a token and layer, but for the four as wide as the feed-forward block
    assert thin.activations_bytes == int(10 * 4 * (attended + 4 * 48 - 96 + 8 * attended))
    head = training_memory(facts, num_trainable=66, micro_batch_tokens=10, method="head", optimizer="sgd")
    assert head.activations_bytes == full.activations_bytes // 2
    assert head.optimizer_bytes == 4 * 66


def test_flops_are_six_a_parameter_and_token_where_everything_trains(tmp_path: Path) -> None:
    facts = load(str(save(make("llama"), tmp_path / "m"))).facts
    matrices = facts.parts["attention"] + facts.parts["feed_forward"] + 97 * 32
    attention = 4 * (10 / 2) * 32 * 2
    assert flops_per_token(facts, sequence_length=10, method="full") == 6 * matrices + 3 * attention
    assert flops_per_token(facts, sequence_length=10, method="head") == 2 * matrices + attention
    layers = 2 * (facts.parts["attention"] + facts.parts["feed_forward"]) + attention
    assert flops_per_token(facts, sequence_length=10, method="full", recomputed=True) == 6 * matrices + 3 * attention + layers


@pytest.mark.parametrize("name", ["llama", "bert", "gpt2"])
def test_lora_parameters_are_as_many_as_peft_makes(name: str, tmp_path: Path) -> None:
    trunk = load(str(save(make(name), tmp_path / "m"))).trunk
    predicted = lora_parameters(trunk, 4)
    adapted = peft.get_peft_model(trunk, peft.LoraConfig(r=4, target_modules="all-linear", fan_in_fan_out=name == "gpt2"))  # type: ignore[arg-type]
    assert predicted == adapted.get_nb_trainable_parameters()[0]
