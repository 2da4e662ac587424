"""Recurrent encoder-decoders: attention worked by hand, both directions as torch reads them, and one row as all others."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM

from tunesmith.core.errors import ModelError
from tunesmith.core.registry import create
from tunesmith.data.new_tokenizer import learn_tokenizer
from tunesmith.model.architecture import make_new
from tunesmith.model.load import load_folder
from tunesmith.model.networks.attending import AttendingConfig, AttendingForConditionalGeneration, Attention

SIZES: dict[str, Any] = dict(
    vocab_size=11, embedding_size=3, hidden_size=4, num_hidden_layers=1, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1
)  # fmt: skip
SOURCE, TARGET = torch.tensor([[3, 5, 2, 9], [4, 4, 8, 7]]), torch.tensor([[1, 6, 3], [1, 9, 9]])


def _model(**changes: Any) -> AttendingForConditionalGeneration:
    torch.manual_seed(0)
    return AttendingForConditionalGeneration(AttendingConfig(**SIZES | changes)).eval()


def test_multiplicative_attention_worked_by_hand() -> None:
    attention = Attention(2, "multiplicative")
    with torch.no_grad():
        attention.query.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        attention.combine.weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]]))
    source = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    state = torch.tensor([[[1.0, 2.0]]])
    # scores 2 * 1 and 1 * 2 are equal: half of each; the third is padding. context (0.5, 0.5), with h = (1, 2): tanh(0.5), tanh(0.5 + 2)
    found = attention(state, source, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(found, torch.tensor([[[0.5, 2.5]]]).tanh())


def test_additive_attention_worked_by_hand() -> None:
    attention = Attention(1, "additive")
    with torch.no_grad():
        for layer, value in ((attention.query, 1.0), (attention.key, 1.0), (attention.score, 2.0)):
            layer.weight.fill_(value)  # type: ignore[union-attr]
        attention.combine.weight.copy_(torch.tensor([[1.0, 0.0]]))
    source, state = torch.tensor([[[0.5], [-1.0]]]), torch.tensor([[[1.0]]])
    scores = torch.tensor([2 * torch.tanh(torch.tensor(1.5)), 2 * torch.tanh(torch.tensor(0.0))])
    share = scores.softmax(0)
    expected = torch.tanh(share[0] * 0.5 - share[1])
    torch.testing.assert_close(attention(state, source, torch.tensor([[True, True]]))[0, 0, 0], expected)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_encoder_is_torchs_own_in_both_directions(cell: str) -> None:
    model = _model(cell=cell)
    encoder: Any = model.get_encoder()
    own: Any = (nn.LSTM if cell == "lstm" else nn.GRU)(3, 2, batch_first=True, bidirectional=True)
    weights: dict[str, Tensor] = {}
    for half, end in ((encoder.layers[0].onward, ""), (encoder.layers[0].back, "_reverse")):
        weights |= {f"{name}_l0{end}": p for name, p in half.state_dict().items()}
    own.load_state_dict(weights)
    expected, after = own(encoder.embedding(SOURCE))
    found = encoder(SOURCE)
    torch.testing.assert_close(found.last_hidden_state, expected)
    last = after[0] if cell == "lstm" else after
    torch.testing.assert_close(found.state[0][0][0], torch.cat([last[0], last[1]], -1))


@pytest.mark.parametrize("attention", ["multiplicative", "additive"])
def test_a_row_says_the_same_beside_longer_ones(attention: str) -> None:
    model = _model(attention=attention)
    alone = model(input_ids=SOURCE[:1, :2], decoder_input_ids=TARGET[:1]).logits
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    both = model(input_ids=SOURCE, attention_mask=mask, decoder_input_ids=TARGET).logits
    torch.testing.assert_close(both[:1], alone)


def test_it_writes_with_what_it_remembers_as_it_does_without_and_embeddings_are_one(tmp_path: Path) -> None:
    model = _model()
    model.save_pretrained(tmp_path)
    again: Any = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert again.model.encoder.embedding.weight is again.model.decoder.embedding.weight
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    written = [again.generate(SOURCE, attention_mask=mask, max_new_tokens=6, do_sample=False, use_cache=use) for use in (True, False)]
    assert torch.equal(*written)
    tokens = torch.tensor([[1]])
    for _ in range(3):
        logits = model(input_ids=SOURCE[1:], decoder_input_ids=tokens).logits
        tokens = torch.cat([tokens, logits[:, -1:].argmax(-1)], 1)
    assert written[0][1, :4].tolist() == tokens[0].tolist()


@pytest.mark.parametrize(("name", "gates"), [("seq2seq_lstm", 4), ("seq2seq_gru", 3)])
@pytest.mark.parametrize("attention", ["multiplicative", "additive"])
def test_parameters_are_as_many_as_the_formula_says(name: str, gates: int, attention: str) -> None:
    tokenizer = learn_tokenizer(["the cat sat", "the cat ran"], size=300, of="words")
    e, h, v = 6, 8, len(tokenizer)
    options = {"embedding_size": e, "hidden_size": h, "num_layers": 2, "scoring": attention}
    facts = load_folder(make_new(name, options, [], 1, tokenizer)).facts
    half = h // 2
    encoder = 2 * (gates * half * (e + half + 2) + gates * half * (h + half + 2))
    decoder = gates * h * (e + h + 2) + gates * h * (h + h + 2)
    attending = h * h + 2 * h * h + (h * h + h if attention == "additive" else 0)
    assert facts.num_parameters == v * e + encoder + decoder + attending + h * v + v
    assert facts.parts["attention"] == attending
    assert (facts.is_encoder_decoder, facts.hidden_size) == (True, h)


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ModelError, match=r"model\.hidden_size: expected an even number, half of it for each direction, found 5"):
        create("architecture", "seq2seq_lstm", hidden_size=5)
