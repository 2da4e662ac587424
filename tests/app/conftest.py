"""Tiny models saved as a hub model would be, and small data that they can learn in seconds."""

import csv
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
import transformers
from remote_model import served
from whole_runs import quick_runs

from tunesmith.core import endpoint
from tunesmith.core.fetch import IndexSettings

__all__ = ["quick_runs"]


CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
NOUNS = "cat dog mat film".split()
_WORDS = [
    *NOUNS,
    "the",
    "a",
    "sat",
    "ran",
    "on",
    "good",
    "bad",
    "is",
    "was",
    "very",
    "says",
    "yes",
    "no",
    "negative",
    "positive",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
]


@pytest.fixture(scope="session")
def _session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(request: pytest.FixtureRequest, _session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tiny models say stays out of the user's cache; embedded models are fetched once and live there."""
    if request.node.get_closest_marker("embedded") is None:
        monkeypatch.setenv("TUNESMITH_CACHE", str(_session_cache))


@pytest.fixture(autouse=True)
def _no_general_texts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny models are not asked the general texts, which would have to be fetched."""
    if request.node.get_closest_marker("embedded") is None:
        monkeypatch.setattr("tunesmith.app.retention_sets.GENERAL", ())


def _tokenizer(chat: bool) -> transformers.PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "</s>", *_WORDS]
    built = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="[UNK]"))  # type: ignore[call-arg]
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=built, pad_token="[PAD]", unk_token="[UNK]", eos_token="</s>")
    if chat:
        made.chat_template = CHATML
    return made


_SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers."""
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**_SMALL)).save_pretrained(folder)
    _tokenizer(chat=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with a chat template."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**_SMALL, num_key_value_heads=2, eos_token_id=4, pad_token_id=0, bos_token_id=None)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    _tokenizer(chat=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def seq2seq_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 of two layers."""
    folder = tmp_path_factory.mktemp("models") / "tiny-t5"
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, eos_token_id=4, decoder_start_token_id=0
    )
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    _tokenizer(chat=False).save_pretrained(folder)
    return folder


def _sentences(count: int) -> list[tuple[str, str]]:
    """Distinct sentences; the word good or bad decides."""
    draw = random.Random(0)
    found = dict[str, str]()
    while len(found) < count:
        mood = draw.choice(["good", "bad"])
        words = [
            draw.choice(["the", "a"]),
            draw.choice(NOUNS),
            draw.choice(["is", "was", "ran", "sat"]),
            *draw.choices(["very", "on", "the", *NOUNS], k=3),
            mood,
        ]
        found[" ".join(words)] = "positive" if mood == "good" else "negative"
    return list(found.items())


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 sentences; the word good or bad decides."""
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    words = product("the a".split(), NOUNS, "is was ran sat on very".split(), "good bad".split())
    lines = [f"{' '.join(words)},{'positive' if words[-1] == 'good' else 'negative'}" for words in words]
    file.write_text("\n".join(["review,sentiment", *lines]) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def cache(_session_cache: Path) -> Iterator[None]:
    """As the fixture of each test, for those of the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNESMITH_CACHE", str(_session_cache))
        yield


@pytest.fixture
def reviews_csv(tmp_path: Path) -> Path:
    """160 labelled sentences under columns of other names."""
    file = tmp_path / "mine.csv"
    with file.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerows([("review", "sentiment"), *_sentences(160)])
    return file


@pytest.fixture
def pairs_csv(tmp_path: Path) -> Path:
    """80 questions and answers."""
    file = tmp_path / "pairs.csv"
    with file.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerows(
            [("question", "answer"), *((text, "yes yes" if label == "positive" else "no no") for text, label in _sentences(80))]
        )
    return file


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A model behind an endpoint, `openai:NAME@URL`, asked from an empty folder and with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(endpoint, "index_settings", IndexSettings)
    monkeypatch.setattr(endpoint, "_PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr("tunesmith.app.retention_sets.GENERAL", ())
    with served() as source:
        yield source
