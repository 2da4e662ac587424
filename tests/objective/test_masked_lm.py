"""Masked language modelling: which tokens are hidden, and the loss, which is transformers' own."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from families import facts_of
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tunesmith.core.batch import collate
from tunesmith.core.errors import ObjectiveError
from tunesmith.core.types import ModelFacts, Origin, Row, Segment, Text
from tunesmith.data import TextEncoder, encode
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.probe import probe
from tunesmith.objective.masked_lm import MaskedLM

HERE = Origin("a", 1)
WORDS = "play ##ing ##er the film was good bad dull a cat sat on mat".split()
SHAPE = dict(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
    pad_token_id=0,
)
TEXT = Text("the player was playing the film " * 9, HERE)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """WordPiece, as BERT's."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.WordPiece({word: number for number, word in enumerate([*names, *WORDS])}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), names, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def facts(model: Any = None, **changes: Any) -> ModelFacts:
    model = model or transformers.BertForMaskedLM(transformers.BertConfig(**SHAPE))
    found = facts_of("bert", model)
    values = {name: getattr(found, name) for name in found.__slots__}
    return ModelFacts(**{**values, "has_lm_head": True, "vocab_size": 64, **changes})


@pytest.fixture(scope="module")
def encoder(tokenizer: Any) -> TextEncoder:
    return TextEncoder(tokenizer, facts(), max_length=24)


def originals(row: Row) -> list[int]:
    tokens = list(row.segments[0].tokens)
    for position, label in zip(row.targets.positions, row.targets.labels, strict=True):
        tokens[position] = label
    return tokens


def test_every_window_has_the_special_tokens_and_none_of_them_is_hidden(encoder: TextEncoder) -> None:
    rows = MaskedLM().encode(TEXT, encoder)
    tokens = encoder.tokenizer(TEXT.text, add_special_tokens=False)["input_ids"]
    assert [token for row in rows for token in originals(row)[1:-1]] == tokens
    assert all(originals(row)[0] == 2 and originals(row)[-1] == 3 and len(originals(row)) <= 24 for row in rows)
    assert all(0 not in row.targets.positions and len(originals(row)) - 1 not in row.targets.positions for row in rows)


def test_a_share_of_the_tokens_is_hidden(encoder: TextEncoder) -> None:
    for share, count in ((0.15, 3), (0.5, 11), (0.001, 1)):  # of the 22 tokens of the first window
        assert len(MaskedLM(mask_share=share).encode(TEXT, encoder)[0].targets.positions) == count


def test_whole_words_are_hidden_with_all_their_tokens(encoder: TextEncoder) -> None:
    objective = MaskedLM(whole_words=True, mask_share=0.3)
    row = objective.encode(TEXT, encoder)[0]
    for seed in range(30):
        drawn = objective.draw(row, np.random.default_rng(seed))
        hidden = set(drawn.targets.positions)
        words = {drawn.words[position] for position in hidden}
        assert hidden == {position for position, word in enumerate(drawn.words) if word in words}
        assert 1 <= len(hidden) <= 7  # 30 % of 22, rounded


def test_the_mask_is_drawn_anew_in_training_and_the_same_at_every_validation(encoder: TextEncoder) -> None:
    objective = MaskedLM()
    one, again = objective.encode(TEXT, encoder)[0], objective.encode(TEXT, encoder)[0]
    assert one == again
    drawn = [objective.draw(one, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(originals(row) == originals(one) for row in drawn)


def test_of_the_chosen_tokens_eight_in_ten_are_masked_one_is_random_and_one_stays() -> None:
    row = Row((Segment((7,) * 40_000),), HERE, values={"mask_token": (4.0,), "vocab_size": (1000.0,)}, words=tuple(range(40_000)))
    drawn = MaskedLM(mask_share=0.5).draw(row, np.random.default_rng(0))
    fates = Counter(
        "masked" if token == 4 else "stays" if token == 7 else "random"
        for token in (drawn.segments[0].tokens[position] for position in drawn.targets.positions)
    )
    shares = [fates[fate] / 20_000 for fate in ("masked", "random", "stays")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)  # three standard deviations are 0.008
    untouched = set(range(40_000)) - set(drawn.targets.positions)
    assert all(drawn.segments[0].tokens[position] == 7 for position in untouched)


def test_masked_rows_are_cached_with_their_words(encoder: TextEncoder, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path))
    objective = MaskedLM(whole_words=True)
    first, second = (encode([TEXT], objective, encoder, cache_key="k").rows for _ in range(2))
    assert first == second == objective.encode(TEXT, encoder)


FAMILIES: dict[str, Any] = {
    "bert": lambda: transformers.BertForMaskedLM(transformers.BertConfig(**SHAPE)),
    "roberta": lambda: transformers.RobertaForMaskedLM(transformers.RobertaConfig(**{**SHAPE, "pad_token_id": 1, "type_vocab_size": 1})),
    "distilbert": lambda: transformers.DistilBertForMaskedLM(
        transformers.DistilBertConfig(vocab_size=64, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=64)
    ),
    "electra": lambda: transformers.ElectraForMaskedLM(transformers.ElectraConfig(**SHAPE, embedding_size=16)),
    "albert": lambda: transformers.AlbertForMaskedLM(transformers.AlbertConfig(**SHAPE, embedding_size=16)),
    "modernbert": lambda: transformers.ModernBertForMaskedLM(
        transformers.ModernBertConfig(
            **SHAPE, local_attention=6, global_attn_every_n_layers=2, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3
        )
    ),
    "deberta_v2": lambda: transformers.DebertaV2ForMaskedLM(
        transformers.DebertaV2Config(**SHAPE, relative_attention=True, pos_att_type=["p2c", "c2p"], type_vocab_size=0)
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("attention", ["auto", "padded"])
def test_the_loss_and_its_gradient_are_transformers_own(name: str, attention: Any, encoder: TextEncoder) -> None:
    torch.manual_seed(0)
    model = FAMILIES[name]().double().eval()
    own = facts(model, first_position=2 if name == "roberta" else 0, pad_token_id=model.config.pad_token_id,
                has_token_types=name in ("bert", "electra", "albert"))  # fmt: skip
    rows = MaskedLM(mask_share=0.4).encode(TEXT, encoder)[:3]
    rows = [*rows[:2], MaskedLM(mask_share=0.4).encode(Text("a cat sat on", HERE), encoder)[0]]  # of unequal lengths
    paths: Paths = probe(model, own, attention)
    assert paths.attention == ("packed" if attention == "auto" and name != "deberta_v2" else "padded")
    forward = PackedForward(model, {}, own, paths)
    batch = collate(rows, own)
    loss = MaskedLM().loss(forward, batch).sums["target"]
    loss.backward()
    found = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        tokens = torch.tensor([row.segments[0].tokens])
        labels = torch.full_like(tokens, -100)
        labels[0, list(row.targets.positions)] = torch.tensor(row.targets.labels)
        total = total + model(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=labels).loss * len(row.targets.positions)
    total.backward()
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)
    assert batch.counts["target"] == sum(len(row.targets.positions) for row in rows)
    tolerance = 1e-4 if name == "modernbert" else 1e-6  # its own loss is made of float32 logits
    for key, gradient in found.items():
        assert torch.allclose(gradient, dict(model.named_parameters())[key].grad, rtol=tolerance, atol=1e-3 * tolerance), key


def test_a_tokenizer_without_a_mask_token_is_refused(tokenizer: Any) -> None:
    bare = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    with pytest.raises(ObjectiveError, match="has no mask token"):
        MaskedLM().encode(TEXT, TextEncoder(bare, facts(), max_length=24))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_that_hides_nothing_or_everything_is_refused(share: float) -> None:
    with pytest.raises(ObjectiveError, match=r"objective\.mask_share: expected more than 0 and less than 1"):
        MaskedLM(mask_share=share)
