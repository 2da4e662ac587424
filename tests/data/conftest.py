"""Small tokenizers of several kinds, made here, and a cache of the test's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tunesmith.core.types import ModelFacts
from tunesmith.data import LAYOUTS

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named "
    "SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The chat template of SmolLM2-135M-Instruct, letter for letter."""

SENTENCES = [
    Path(__file__).read_text(encoding="utf-8"),
    "the film was good\n\nthe film was bad\n\n\nassistant\nuser\n  system",
    "Why not?\n Because!\n\n",
]


def byte_level(**special: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)  # merges run across spaces and line breaks
    tokenizer.decoder = decoders.ByteLevel()
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=names, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


@pytest.fixture(scope="session")
def every_token() -> Any:
    """A byte-level tokenizer that has the tokens of all named layouts."""
    made = byte_level(eos_token="</s>", pad_token="</s>")
    names = sorted({"</s>", *(token for layout in LAYOUTS.values() for token in layout.tokens)})
    made.add_tokens([AddedToken(name, special=True, normalized=False) for name in names], special_tokens=True)
    return made


@pytest.fixture(scope="session")
def chatml() -> Any:
    """As SmolLM2's: byte-level BPE, no token put before a text, ChatML."""
    tokenizer = byte_level(eos_token="<|im_end|>", bos_token="<|im_start|>", pad_token="<|im_end|>")
    tokenizer.chat_template = CHATML
    return tokenizer


@pytest.fixture(scope="session")
def base() -> Any:
    """A base model's: no chat template."""
    return byte_level(eos_token="<|endoftext|>", pad_token="<|endoftext|>")


@pytest.fixture(scope="session")
def sentencepiece() -> Any:
    """As Llama's: a bos token before, and a space in front of, every text."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="session")
def bert() -> Any:
    """As BERT's: words, [CLS] and [SEP], token types."""
    words = sorted({word for sentence in SENTENCES for word in sentence.lower().split() if word.isalpha()})
    vocab = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(5)  # as published sentence encoders come: their own truncation must not cut unseen
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]")


@pytest.fixture(scope="session")
def seq2seq() -> Any:
    """As T5's: an end token after every text."""
    words = sorted({word for sentence in SENTENCES for word in sentence.lower().split() if word.isalpha()})
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *words])}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=AddedToken("</s>"), pad_token="<pad>", unk_token="<unk>")


@pytest.fixture(scope="session")
def facts() -> Callable[..., ModelFacts]:
    """Facts of a made-up model; causal unless told otherwise."""

    def make(**changes: Any) -> ModelFacts:
        given = dict(
            name="tiny", architecture="Tiny", model_type="tiny", is_causal=True, is_encoder_decoder=False, has_lm_head=True, hidden_size=8, num_layers=1,
            vocab_size=400, max_length=512, first_position=0, has_token_types=False, pad_token_id=0, decoder_start_token_id=None, num_parameters=1, parts={},
        )  # fmt: skip
        return ModelFacts(**{**given, **changes})

    return make


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves anything in the user's cache; those of the embedded packages use it, so that nothing is fetched twice."""
    if "embedded" not in request.keywords:
        monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
