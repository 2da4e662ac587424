"""Raw text, end to end on tiny models: a folder of documents, held-out bits per byte, copied passages, and masked words."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tunesmith.app.run import Run
from tunesmith.app.tune import plan, tune
from tunesmith.core.errors import ModelError, RecipeError, UsageError
from tunesmith.recipe import from_mapping
from tunesmith.report.summary import sentences


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """20 documents in three kinds of files."""
    folder, draw = tmp_path / "corpus", random.Random(0)
    folder.mkdir()
    for number in range(20):
        words = [f"the {draw.choice(['cat', 'dog', 'film'])} is very {draw.choice(['good', 'bad'])} on" for _ in range(8 + number)]
        text = " ".join(words)
        kind = (".txt", ".md", ".html")[number % 3]
        (folder / f"{number}{kind}").write_text(f"<p>{text}</p>" if kind == ".html" else text)
    return folder


def recipe(model: Path, corpus: Path, out: Path, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "model": {"source": str(model), "max_length": 32},
        "data": {"train": str(corpus), "chunk": changes.pop("chunk", {})},
        "method": "full",
        "train": {"epochs": 4, "learning_rate": 1e-2, "examples_per_step": 8},
        "output_dir": str(out),
    }
    return from_mapping({**given, **changes}, name="tiny")


def test_a_folder_of_documents_lowers_held_out_bits_per_byte(decoder_folder: Path, corpus: Path, tmp_path: Path) -> None:
    evaluate = {"metrics": ["bits_per_byte"], "continuations": 2, "max_new_tokens": 6}
    report = tune(recipe(decoder_folder, corpus, tmp_path / "out", evaluate=evaluate, chunk={"length": 24, "overlap": 8})).report
    assert report["task"]["objective"] == "causal_lm"
    bits = report["metrics"]["bits_per_byte"]
    assert bits["tuned"]["high"] < bits["base"]["low"]
    copied = report["copied"]
    assert copied["texts"] == 2
    assert 0 < copied["tuned"]["words"] <= 6
    assert copied["tuned"]["passage"]
    assert copied["held_out"]["words"] <= 6
    assert [sample["prompt"] for sample in report["samples"]] != []
    assert report["changed"] is None
    assert "The longest run of words that it wrote and that stands in the training texts has" in " ".join(sentences(report))


def test_windows_overlap_as_the_recipe_says(decoder_folder: Path, corpus: Path, tmp_path: Path) -> None:
    apart = plan(recipe(decoder_folder, corpus, tmp_path / "out"))
    overlapping = plan(recipe(decoder_folder, corpus, tmp_path / "out", chunk={"overlap": 16}))
    assert overlapping.num_tokens_per_epoch > 1.4 * apart.num_tokens_per_epoch
    with pytest.raises(RecipeError, match="data.chunk: windows of 32 tokens that overlap by 40"):
        plan(recipe(decoder_folder, corpus, tmp_path / "out", chunk={"overlap": 40}))


@pytest.fixture(scope="session")
def masked_folder(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Path:
    """A BERT of two layers with its masked-LM head."""
    folder = tmp_path_factory.mktemp("models") / "tiny-mlm"
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(encoder_folder)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder_folder)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    assert len(tokenizer) <= config.vocab_size
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("method", ["full", {"name": "lora", "r": 4}])
def test_an_encoder_learns_to_fill_in_masked_words(method: Any, masked_folder: Path, corpus: Path, tmp_path: Path) -> None:
    changes = {"objective": {"name": "masked_lm", "whole_words": True}, "method": method, "evaluate": {"prompts": ["the cat"]}}
    run = tune(recipe(masked_folder, corpus, tmp_path / "out", **changes))
    report = run.report
    assert report["task"]["kind"] == "masked_language_modelling"
    assert list(report["metrics"]) == ["masked_perplexity"]  # bits per byte are not claimed of it
    perplexity = report["metrics"]["masked_perplexity"]
    assert perplexity["tuned"]["high"] < perplexity["base"]["low"]
    assert report["samples"] == []
    with pytest.raises(UsageError, match="fill in masked words: it writes no text"):
        run.generate(["the cat"])
    with pytest.raises(UsageError, match="it writes no text"):
        run.predict_file(corpus / "0.txt", tmp_path / "said.csv")


def test_a_classifier_starts_from_an_encoder_that_learned_a_corpus(
    masked_folder: Path, corpus: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tune(recipe(masked_folder, corpus, out, objective="masked_lm", method={"name": "lora", "r": 4}, train={"max_steps": 2}))
    given = {
        "model": f"run:{out}",
        "data": {"train": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}},
        "train": {"max_steps": 2},
        "output_dir": str(tmp_path / "classifier"),
    }
    tune(from_mapping(given, name="tiny"))
    assert Run(tmp_path / "classifier").predict(["the cat is good"])[0]["label"] in ("positive", "negative")


def test_models_that_cannot_fill_in_words_are_refused(encoder_folder: Path, decoder_folder: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="was saved without a masked-LM head"):
        plan(recipe(encoder_folder, corpus, tmp_path / "out", objective="masked_lm"))
    with pytest.raises(ModelError, match="fills in no masked words"):
        plan(recipe(decoder_folder, corpus, tmp_path / "out", objective="masked_lm"))


def _about(folder: Path) -> Path:
    file = folder / "questions.csv"
    file.write_text("question,answer\n" + "\n".join(f"what is number {n},the cat is very good" for n in range(30)) + "\n")
    return file


def test_documents_are_learned_in_place_of_the_rows_that_judge_them(decoder_folder: Path, corpus: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"data": {"train": str(_about(tmp_path))}, "evaluate": {"metrics": ["bits_per_byte"], "generate_limit": 2}}
    rows = tune(recipe(decoder_folder, corpus, tmp_path / "rows", **changes)).report
    changes["data"] = {**changes["data"], "documents": str(corpus), "chunk": {"length": 24, "overlap": 8}}
    learned = tune(recipe(decoder_folder, corpus, tmp_path / "out", **changes)).report
    assert learned["task"]["objective"] == "sft"
    assert learned["data"]["splits"]["test"] == rows["data"]["splits"]["test"]
    assert learned["data"]["splits"]["train"]["source"] == str(corpus)
    assert learned["data"]["splits"]["train"]["rows"] == 20
    assert learned["metrics"]["bits_per_byte"]["base"] == rows["metrics"]["bits_per_byte"]["base"]
    assert learned["metrics"]["bits_per_byte"]["tuned"]["value"] < learned["metrics"]["bits_per_byte"]["base"]["value"]
    windows = plan(recipe(decoder_folder, corpus, tmp_path / "none", **changes, train={"epochs": 1, "examples_per_step": 1})).num_steps
    assert windows > 2 * 20  # none of the texts is cut


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "none", "context": "zero_shot"}, "data.documents: is for a method to learn, and none trains nothing"),
        ({"data": {"train": "reviews.csv", "documents": "corpus"}}, "data.documents: the objective classify does not learn raw text"),
        ({"data": {"mix": {"small-talk": 1}, "documents": "corpus"}}, "data.documents: stands in place of the rows of one source"),
    ],
)
def test_documents_that_nothing_learns_are_refused_in_one_line(
    changes: dict[str, Any], told: str, decoder_folder: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"the cat number {n} is,{('good', 'bad')[n % 2]}" for n in range(30)]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    given = {"data": {"train": str(_about(tmp_path)), "documents": "corpus"}, **changes}
    with pytest.raises(RecipeError, match=told):
        tune(recipe(decoder_folder, corpus, tmp_path / "out", **given))
    assert not (tmp_path / "out").exists()
