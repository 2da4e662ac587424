"""Recurrent networks: cells are torch's own, and every regularizer of AWD-LSTM does what its equation says, worked by hand."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from tunesmith.core.errors import ModelError
from tunesmith.core.registry import create
from tunesmith.data.new_tokenizer import learn_tokenizer
from tunesmith.model.architecture import make_new
from tunesmith.model.facts import count_parts
from tunesmith.model.load import load_folder
from tunesmith.model.networks.recurrent import RecurrentConfig, RecurrentForCausalLM, RecurrentModel, dropped_weight, locked_dropout

TORCH = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SIZES: dict[str, Any] = dict(
    vocab_size=11, embedding_size=3, inner_size=5, hidden_size=4, num_hidden_layers=2, pad_token_id=0, eos_token_id=1
)
TOKENS = torch.tensor([[3, 5, 2, 9], [4, 4, 8, 7]])


def _model(**changes: Any) -> RecurrentModel:
    torch.manual_seed(0)
    return RecurrentModel(RecurrentConfig(**SIZES | changes)).eval()


def _writer(**changes: Any) -> RecurrentForCausalLM:
    torch.manual_seed(0)
    return RecurrentForCausalLM(RecurrentConfig(**SIZES | changes)).eval()


@pytest.mark.parametrize("cell", TORCH)
def test_layers_are_torchs_own(cell: str) -> None:
    model = _model(cell=cell)
    x: Tensor = model.embedding(TOKENS)
    for layer in model.layers:
        own = TORCH[cell](x.shape[-1], layer.width, batch_first=True)  # type: ignore[arg-type]
        own.load_state_dict({f"{name}_l0": p for name, p in layer.state_dict().items()})
        x = own(x)[0]
    torch.testing.assert_close(model(TOKENS).last_hidden_state, x, atol=0, rtol=0)


@pytest.mark.parametrize("cell", TORCH)
def test_a_row_is_read_the_same_beside_longer_ones_wherever_its_padding_stands(cell: str) -> None:
    model = _model(cell=cell)
    alone = model(TOKENS[:1, :2]).last_hidden_state[0]
    for places in (slice(0, 2), slice(2, 4)):
        tokens, mask = TOKENS.clone(), torch.ones_like(TOKENS)
        mask[0] = 0
        mask[0, places], tokens[0, places] = 1, TOKENS[0, :2]
        read = model(tokens, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(read[0, places], alone)
        torch.testing.assert_close(read[1], model(TOKENS[1:]).last_hidden_state[0])


@pytest.mark.parametrize("cell", TORCH)
def test_it_goes_on_from_what_it_remembers_as_if_it_had_read_all(cell: str) -> None:
    model = _model(cell=cell)
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])
    whole = model(TOKENS, attention_mask=mask).last_hidden_state
    state = model(TOKENS[:, :2], attention_mask=mask[:, :2], use_cache=True).state
    for place in (2, 3):
        step = model(TOKENS[:, place : place + 1], attention_mask=mask[:, : place + 1], state=state, use_cache=True)
        torch.testing.assert_close(step.last_hidden_state[:, 0], whole[:, place])
        state = step.state


def test_generate_with_the_state_writes_what_it_writes_without() -> None:
    model = _writer()
    tokens, mask = torch.tensor([[0, 0, 3, 5], [4, 4, 8, 7]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    options: dict[str, Any] = dict(attention_mask=mask, max_new_tokens=6, do_sample=False)
    with_state, without = (model.generate(tokens, use_cache=use_cache, **options) for use_cache in (True, False))  # type: ignore[operator]
    assert torch.equal(with_state, without)
    alone = model.generate(tokens[:1, 2:], max_new_tokens=6, do_sample=False)  # type: ignore[operator]
    written = with_state[0, 4:].tolist()
    assert written[: len(alone[0]) - 2] == alone[0, 2:].tolist()


def test_locked_dropout_is_one_mask_for_all_tokens_of_a_row() -> None:
    torch.manual_seed(3)
    dropped = locked_dropout(torch.ones(2, 50, 400), 0.25)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert not torch.equal(dropped[0], dropped[1])
    assert float((dropped[:, 0] == 0).float().mean()) == pytest.approx(0.25, abs=0.05)


def test_weight_drop_drops_hidden_to_hidden_weights_alone_and_keeps_the_parameter() -> None:
    model = _model(weight_dropout=0.5, num_hidden_layers=1, hidden_size=4).train()
    layer: Any = model.layers[0]
    before = layer.weight_hh.detach().clone()
    torch.manual_seed(5)
    output = model(TOKENS).last_hidden_state
    torch.manual_seed(5)
    dropped = dropped_weight(before, 0.5)
    assert bool(((dropped == 0) | torch.isclose(dropped, 2 * before)).all())
    own = nn.LSTM(3, 4, batch_first=True)
    own.load_state_dict({f"{name}_l0": dropped if name == "weight_hh" else p for name, p in layer.state_dict().items()})
    torch.testing.assert_close(output, own(model.embedding(TOKENS))[0])
    assert torch.equal(layer.weight_hh, before)


def test_embedding_dropout_drops_words_wherever_they_stand_and_scales_the_others() -> None:
    model = _model(embedding_dropout=0.5).train()
    torch.manual_seed(1)
    x = model._embedded(TOKENS)
    share = x / model.embedding(TOKENS)
    kept = share[:, :, 0].detach().round(decimals=4)
    assert torch.allclose(share, share[:, :, :1].expand_as(share))
    assert set(kept.flatten().tolist()) == {0.0, 2.0}
    assert kept[1, 0] == kept[1, 1]  # the same word, 4


def test_penalties_are_those_of_section_4_6_worked_by_hand() -> None:
    model = _model(activation_penalty=2.0, temporal_penalty=3.0)
    raw = torch.tensor([[[1.0, 2.0], [3.0, 0.0]]])
    dropped = torch.tensor([[[2.0, 0.0], [6.0, 0.0]]])
    # AR: 2 (2^2 + 0) / 2 = 4 and 2 (6^2 + 0) / 2 = 36; TAR: nothing before the first, then 3 ((3 - 1)^2 + (0 - 2)^2) / 2 = 12
    assert model._penalty(raw, dropped).tolist() == [[4.0, 48.0]]  # type: ignore[union-attr]
    assert model(TOKENS).penalty is None  # it is not training
    assert model.train()(TOKENS).penalty.shape == TOKENS.shape


def test_a_tied_head_is_the_embedding_and_stays_so_when_it_is_loaded(tmp_path: Path) -> None:
    model = _writer(tie_word_embeddings=True, embedding_size=4)
    assert model.lm_head.weight is model.model.embedding.weight
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.model.embedding.weight
    torch.testing.assert_close(again.eval()(TOKENS).logits, model(TOKENS).logits, atol=0, rtol=0)


@pytest.mark.parametrize(("name", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4), ("awd_lstm", 4)])
def test_parameters_are_as_many_as_the_formula_says(name: str, gates: int) -> None:
    tokenizer = learn_tokenizer(["the cat sat on the mat", "the cat ran"], size=300, of="words")
    e, h, v = 6, 10, len(tokenizer)
    loaded = load_folder(make_new(name, {"embedding_size": e, "hidden_size": h, "num_layers": 2}, [], 1, tokenizer))
    last = e if name == "awd_lstm" else h
    layers = gates * h * (e + h + 2) + gates * last * (h + last + 2)
    head = v if name == "awd_lstm" else v * h + v
    assert loaded.facts.num_parameters == v * e + layers + head
    assert count_parts(loaded.trunk)["feed_forward"] == layers
    assert loaded.facts.hidden_size == last


def test_the_same_seed_draws_the_same_weights_and_another_others() -> None:
    tokenizer = learn_tokenizer(["a cat", "a cat"], size=300, of="words")
    drawn = [load_folder(make_new("lstm", {"hidden_size": 4}, [], seed, tokenizer)).trunk.lm_head.weight for seed in (1, 1, 2)]  # type: ignore[union-attr]
    assert torch.equal(drawn[0], drawn[1])  # type: ignore[arg-type]
    assert not torch.equal(drawn[0], drawn[2])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hidden_size": 0}, "model.hidden_size: expected at least 1, found 0"),
        ({"weight_dropout": 1.0}, "weight_dropout: expected a share from 0 to below 1, found 1"),
        ({"activation_penalty": math.inf}, "activation_penalty: expected 0 or more, found inf"),
    ],
)
def test_sizes_out_of_range_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelError, match=text):
        create("architecture", "awd_lstm", **options)
