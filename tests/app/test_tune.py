"""Tune, end to end, on tiny models: what it learns and what it writes."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipes import classifier, writer

import tunesmith
from tunesmith.app.document import _risen
from tunesmith.app.preview import preview
from tunesmith.app.run import Run
from tunesmith.app.tune import plan, tune
from tunesmith.core.errors import DataError, MethodError, ModelError, ObjectiveError, RecipeError, UsageError
from tunesmith.core.events import Event
from tunesmith.recipe import from_mapping


def test_a_classifier_learns_from_a_csv_with_columns_of_other_names(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out"))
    report = run.report
    assert report["metrics"]["accuracy"]["tuned"]["value"] > 0.9
    assert report["metrics"]["accuracy"]["difference"]["test"] == "mcnemar"
    assert set(report["baselines"]) == {"majority", "zero_shot"}
    assert report["confusion"]["labels"] == ["negative", "positive"]
    assert sum(map(sum, report["confusion"]["tuned"])) == report["metrics"]["accuracy"]["rows"] == 32
    assert report["data"]["splits"]["train"]["rows"] == 112
    assert next(iter(report["metrics"])) == "accuracy"
    labels = [answer["label"] for answer in run.predict(["the cat is very on the good", "a dog was mat mat the bad"])]
    assert labels == ["positive", "negative"]


def test_the_report_agrees_with_the_predictions_that_are_kept(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"epochs": 2, "learning_rate": 5e-3}))
    lines = [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]
    accuracy = sum(line["tuned"]["label"] == line["reference"] for line in lines) / len(lines)
    assert accuracy == pytest.approx(run.report["metrics"]["accuracy"]["tuned"]["value"])
    base = sum(line["base"]["label"] == line["reference"] for line in lines) / len(lines)
    assert base == pytest.approx(run.report["baselines"]["zero_shot"]["accuracy"]["value"])


def test_the_tuned_model_loaded_again_says_what_it_said(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out"))
    lines = [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]
    rows = {f"{reviews_csv}:{n}": text for n, (text, _) in enumerate(csv.reader(reviews_csv.open()), start=1)}
    answers = Run(tmp_path / "out").predict([rows[line["row"]] for line in lines])
    for line, answer in zip(lines, answers, strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(line["tuned"]["probabilities"], abs=1e-5)


@pytest.mark.parametrize("method", ["full", "head", {"name": "lora", "r": 4}])
def test_every_method_runs_and_counts_what_it_trains(method: Any, encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", method=method, train={"max_steps": 3, "learning_rate": 1e-3}))
    cost = run.report["cost"]
    head = 32 * 2 + 2
    trunk = 64 * 32 + 64 * 32 + 2 * 32 + 2 * 32 + 2 * (4 * (32 * 32 + 32) + 32 * 48 + 48 + 48 * 32 + 32 + 4 * 32)
    lora = 2 * (4 * (4 * (32 + 32)) + 4 * (32 + 48) * 2)
    expected = {"full": trunk + head, "head": head}.get(method if isinstance(method, str) else "", lora + head)
    assert cost["trainable_parameters"] == expected
    assert cost["total_parameters"] == trunk + head + (0 if isinstance(method, str) else lora)
    assert cost["saved_bytes"] > 4 * expected
    assert cost["full_copy_bytes"] == (encoder_folder / "model.safetensors").stat().st_size
    assert run.directory.model.is_dir() == (method == "full")
    assert run.directory.adapter.is_dir() == (method not in ("full", "head"))
    assert len(run.predict(["the cat"])) == 1


def test_labels_are_named_and_end_up_in_the_models_config(encoder_folder: Path, tmp_path: Path) -> None:
    rows = [
        {"text": f"{a} {b} {'good' if n % 2 else 'bad'}", "label": n % 2}
        for n, (a, b) in enumerate([(a, b) for a in "the a cat dog".split() for b in "is was ran sat mat".split()] * 1)
    ]
    run = tunesmith.tune(
        model=str(encoder_folder), data={"train": rows, "labels": {0: "bad", 1: "good"}}, method="full", train={"max_steps": 2}, output_dir=str(tmp_path / "out")
    )  # fmt: skip
    config = json.loads((run.directory.model / "config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good"}
    assert config["label2id"] == {"bad": 0, "good": 1}


def test_a_language_model_learns_to_answer(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "out"))
    report = run.report
    assert report["task"]["kind"] == "generation"
    assert report["metrics"]["bits_per_byte"]["tuned"]["value"] < 0.5 * report["metrics"]["bits_per_byte"]["base"]["value"]
    assert report["metrics"]["rougeL"]["tuned"]["value"] > report["metrics"]["rougeL"]["base"]["value"]
    assert next(iter(report["metrics"])) == "rougeL"
    assert report["samples"][0]["prompt"] == "the cat is good"
    assert report["samples"][0]["tuned"] in ("yes yes", "no no")
    assert run.generate(["the cat is good"]) == [report["samples"][0]["tuned"]]


def test_perplexity_is_what_transformers_gives_on_the_scored_tokens(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    run = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", train={"max_steps": 1}))
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(decoder_folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(decoder_folder)
    tested = {json.loads(line)["row"] for line in run.directory.predictions.read_text().splitlines()}
    total, count = 0.0, 0
    for number, (question, answer) in enumerate(csv.reader(pairs_csv.open()), start=1):
        if f"{pairs_csv}:{number}" not in tested:
            continue
        prompt = tokenizer(f"<|user|>\n{question}</s>\n<|assistant|>\n".replace("</s>", " </s>"), add_special_tokens=False)["input_ids"]
        ids = prompt + tokenizer(f"{answer} </s>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        total -= sum(float(logprobs[i - 1, ids[i]]) for i in range(len(prompt), len(ids)))
        count += len(ids) - len(prompt)
    assert run.report["metrics"]["perplexity"]["base"]["value"] == pytest.approx(2.718281828459045 ** (total / count), rel=1e-4)


def test_an_encoder_decoder_learns_too(seq2seq_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    run = tune(writer(seq2seq_folder, pairs_csv, tmp_path / "out", train={"max_steps": 6, "learning_rate": 1e-2}))
    assert run.report["model"]["attention"] == "padded"
    assert run.report["metrics"]["perplexity"]["tuned"]["value"] < run.report["metrics"]["perplexity"]["base"]["value"]
    assert len(run.generate(["the cat is good"])) == 1


def test_raw_text_is_learned_whole(decoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "book.jsonl"
    texts = [" ".join(["the cat sat on a mat"] * 30 + [word]) for word in "cat dog mat film good bad is was yes no".split()]
    file.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    run = tune(writer(decoder_folder, file, tmp_path / "out", train={"max_steps": 5, "learning_rate": 1e-2}))
    assert run.report["task"] == {"objective": "causal_lm", "method": "full", "kind": "language_modelling", "base": "as_it_is"}
    assert run.report["data"]["splits"]["train"]["num_cut"] == 0  # 181 tokens on a model of 64: windows, nothing lost
    assert run.report["metrics"]["perplexity"]["tuned"]["value"] < run.report["metrics"]["perplexity"]["base"]["value"]
    assert set(run.report["metrics"]) == {"perplexity", "bits_per_byte"}


def test_a_classifier_on_a_language_model_is_judged_zero_shot_by_likelihood(
    decoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    run = tune(classifier(decoder_folder, reviews_csv, tmp_path / "out"))
    assert run.report["metrics"]["accuracy"]["tuned"]["value"] > 0.9
    lines = [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]
    assert all(sum(line["base"]["probabilities"]) == pytest.approx(1) for line in lines)


def test_another_run_is_a_model_to_start_from(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first"))
    second = tune(
        classifier(
            Path(f"run:{first.path}"), reviews_csv, tmp_path / "second", method="head", train={"max_steps": 8, "learning_rate": 1e-2}
        )
    )
    plain = tune(classifier(encoder_folder, reviews_csv, tmp_path / "third", method="head", train={"max_steps": 8, "learning_rate": 1e-2}))
    assert second.report["metrics"]["accuracy"]["tuned"]["value"] > plain.report["metrics"]["accuracy"]["tuned"]["value"]


def test_the_same_recipe_gives_the_same_report(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    one, other = (tune(classifier(encoder_folder, reviews_csv, tmp_path / name)).report for name in ("one", "other"))
    for part in ("metrics", "baselines", "confusion", "changed", "data"):
        assert one[part] == other[part], part


def test_the_plan_is_what_the_run_then_does(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    recipe = classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"epochs": 1.5, "examples_per_step": 8})
    planned = plan(recipe)
    assert not (tmp_path / "out").exists()
    run = tune(recipe)
    assert planned.num_steps == len(run.report["curves"]["train"]) == 21
    assert planned.trainable_parameters == run.report["cost"]["trainable_parameters"]
    assert planned.num_training_tokens == pytest.approx(run.report["cost"]["tokens"], rel=0.05)
    assert planned.num_rows == {"train": 112, "validation": 16, "test": 32}


def test_the_plan_says_whether_rows_are_padded_and_why(seq2seq_folder: Path, decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    padded, packed = (plan(writer(folder, pairs_csv, tmp_path / "out")) for folder in (seq2seq_folder, decoder_folder))
    assert (padded.attention, padded.attention_reason) == ("padded", "an encoder-decoder")
    assert packed.attention == "packed"


def test_the_preview_shows_what_is_learned(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    row = preview(writer(decoder_folder, pairs_csv, tmp_path / "out"), rows=1)[0]
    learned = "".join(text for text, scored in row["pieces"] if scored)
    assert learned.split() in (["yes", "yes", "</s>"], ["no", "no", "</s>"])
    assert not (tmp_path / "out").exists()


def test_a_domain_of_other_labels_is_left_out_and_said_so(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(json.dumps({"text": f"{noun} good", "label": label}) for noun in ["cat", "dog"] for label in ["yes", "no"]))
    run = tune(
        classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1}, evaluate={"domains": {"other": str(other)}})
    )
    assert run.report["domains"] == {}
    assert any("evaluate.domains.other: not measured: its labels (no, yes) are not those" in warning for warning in run.report["warnings"])


def test_a_domain_is_measured_and_never_learned_from(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(json.dumps({"text": f"{noun} {noun} good", "label": "positive"}) for noun in "cat dog mat film".split()))
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", evaluate={"domains": {"other": str(other)}}))
    assert run.report["domains"]["other"]["rows"] == 4
    assert run.report["domains"]["other"]["metrics"]["accuracy"]["tuned"]["value"] == 1.0
    assert run.report["data"]["splits"]["other"]["labels"] == {"positive": 4}


def test_python_takes_rows_that_are_in_memory(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(reviews_csv)
    run = tunesmith.tune(
        model=str(encoder_folder), data={"train": frame, "columns": {"text": "review", "label": "sentiment"}}, method={"name": "lora", "r": 4},
        train={"epochs": 6, "learning_rate": 1e-2, "examples_per_step": 8}, output_dir=str(tmp_path / "out"),
    )  # fmt: skip
    assert run.report["metrics"]["accuracy"]["tuned"]["value"] > 0.9
    assert run.path == tmp_path / "out"
    assert "accuracy" in run._repr_html_()


def test_python_needs_a_recipe_or_model_and_data() -> None:
    with pytest.raises(UsageError, match=r"needs a recipe, or model=... and data=..."):
        tunesmith.tune(model="minilm-l6")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"objective": "sft"}, ModelError, "is an encoder .* cannot write text"),
        ({"objective": "causal_lm"}, ObjectiveError, "causal_lm learns from Text, Tokens examples; the data gives Labelled"),
        ({"evaluate": {"metrics": ["rouge1"]}}, RecipeError, "evaluate.metrics: rouge1 does not fit the objective classify"),
        ({"train": {"select_by": "perplexity"}}, RecipeError, "train.select_by: perplexity is not computed at validation"),
        (
            {"method": {"name": "lora", "base_precision": "int8"}, "engine": {"exact_reference": True}},
            MethodError,
            "method.base_precision: int8 is not exact, as engine.exact_reference asks for",
        ),
        (
            {"method": {"name": "lora", "base_precision": "int8"}, "engine": {"precision": "bf16"}},
            MethodError,
            "method.base_precision: int8 goes with engine.precision: fp32, found bf16",
        ),
        ({"engine": {"device": "cuda"}}, UsageError, "torch sees no CUDA device"),
    ],
)
def test_what_does_not_fit_together_is_said_before_anything_is_written(
    changes: dict[str, Any], error: type[Exception], message: str, encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    if changes.get("engine") and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(error, match=message):
        tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_one_class_is_no_classification(encoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text(
        "review,sentiment\n" + "".join(f"the {a} {b},good\n" for a in "cat dog mat film".split() for b in "is was ran sat".split())
    )
    with pytest.raises(DataError, match="at least two classes; found only 'good'"):
        tune(classifier(encoder_folder, file, tmp_path / "out"))


def test_the_base_model_is_asked_the_same_only_once(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    said = list[str]()

    def listener(event: Event) -> None:
        said.append(str(event))

    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "one", train={"max_steps": 1}), progress=listener)
    assert not any("come from the cache" in text for text in said)
    again = tune(classifier(encoder_folder, reviews_csv, tmp_path / "two", train={"max_steps": 2}), progress=listener)
    assert any("come from the cache" in text for text in said)
    assert again.report["baselines"]["zero_shot"] == first.report["baselines"]["zero_shot"]
    said.clear()
    words = {"label_texts": {"positive": "the cat", "negative": "no dog"}}
    other = classifier(encoder_folder, reviews_csv, tmp_path / "three", train={"max_steps": 1})
    tune(other.model_copy(update={"data": other.data.model_copy(update=words)}), progress=listener)
    assert not any("come from the cache" in text for text in said), "other words for the labels are another question"


def test_a_damaged_cache_is_asked_again(encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "one", train={"max_steps": 1}))
    for file in (tmp_path / "cache" / "base").iterdir():
        file.write_text("{}")
    for file in (tmp_path / "cache" / "encoded").iterdir():
        file.write_bytes(b"no zip file")
    again = tune(classifier(encoder_folder, reviews_csv, tmp_path / "two", train={"max_steps": 1}))
    assert again.report["metrics"] == first.report["metrics"]


def test_the_head_of_an_earlier_run_is_taken_over_and_judged_as_the_base(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first"))
    again = tune(classifier(Path(f"run:{first.path}"), reviews_csv, tmp_path / "second", train={"max_steps": 1, "learning_rate": 1e-9}))
    tuned = first.report["metrics"]["accuracy"]["tuned"]["value"]
    assert again.report["metrics"]["accuracy"]["base"]["value"] == pytest.approx(tuned, abs=0.04)
    assert again.report["metrics"]["accuracy"]["tuned"]["value"] == pytest.approx(tuned, abs=0.04)
    config = json.loads((again.directory.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == f"run:{first.path}"  # not the first base, on which peft would load it silently


def test_a_text_longer_than_the_model_is_judged_zero_shot_too(decoder_folder: Path, tmp_path: Path) -> None:
    rows = [{"text": " ".join(["cat"] * 80 + [str(n), mood]), "label": mood} for n in range(12) for mood in ("good", "bad")]
    (tmp_path / "long.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = {
        "model": str(decoder_folder),
        "data": str(tmp_path / "long.jsonl"),
        "train": {"max_steps": 1},
        "output_dir": str(tmp_path / "out"),
    }
    report = tune(from_mapping(recipe, name="long")).report
    assert report["baselines"]["zero_shot"]["accuracy"]["value"] >= 0
    assert any("cut to 64 tokens" in warning for warning in report["warnings"])


def test_the_end_of_a_taught_answer_ends_a_written_one(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    """A chat template that closes turns with another token than the tokenizer's end of sequence."""
    import shutil

    shutil.copytree(decoder_folder, tmp_path / "model")
    for name in ("tokenizer_config.json", "tokenizer.json", "chat_template.jinja"):
        file = tmp_path / "model" / name
        if file.exists():
            file.write_text(file.read_text().replace("{{ m.content }}</s>", "{{ m.content }} <|system|>"))
    config = json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())
    config["additional_special_tokens"] = ["<|system|>"]
    (tmp_path / "model" / "tokenizer_config.json").write_text(json.dumps(config))
    run = tune(writer(tmp_path / "model", pairs_csv, tmp_path / "out", train={"epochs": 8, "learning_rate": 1e-2, "examples_per_step": 8}))
    assert run.report["samples"][0]["tuned"] in ("yes yes", "no no")
    assert run.report["metrics"]["exact_match"]["tuned"]["value"] > 0.8


def test_a_conversation_with_an_encoder_decoder_is_read(seq2seq_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    from tunesmith.core.types import Message

    run = tune(writer(seq2seq_folder, pairs_csv, tmp_path / "out", train={"epochs": 8, "learning_rate": 1e-2, "examples_per_step": 8}))
    streamed = "".join(run.model.stream([Message("user", "the cat is good")]))
    assert streamed.strip() == run.generate(["the cat is good"])[0] != ""


def test_a_domain_that_holds_training_texts_is_said(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    domains = {"same": {"source": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}}}
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1}, evaluate={"domains": domains}))
    assert "evaluate.domains.same: 112 of its 160 texts also stand in the training data." in run.report["warnings"]


def test_a_run_as_base_answers_with_what_it_learned_and_is_not_called_zero_shot(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path
) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first"))
    again = tune(classifier(f"run:{first.path}", reviews_csv, tmp_path / "again", train={"max_steps": 1, "learning_rate": 1e-9}))
    assert again.report["task"]["base"] == "as_it_is"
    assert set(again.report["baselines"]) == {"as_it_is", "majority"}
    assert again.report["metrics"]["accuracy"]["base"]["value"] > 0.9
    assert first.report["task"]["base"] == "zero_shot"


def test_a_finished_run_keeps_no_checkpoints(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 2}))
    assert not run.directory.checkpoints.exists()
    assert run.predict(["the film was good"])[0]["label"] in ("positive", "negative")


def test_one_step_with_easy_rows_is_no_rise() -> None:
    assert _risen([1.6, 2.5, 3.2, 1.5, 3.4, 3.2, 1.7, 3.4, 2.5, 3.3, 2.4, 1.9, 3.0, 2.5]) is None
    assert _risen([1.0, 2.0]) == (1.0, 2.0)
    assert _risen([1.0]) is None
    assert _risen([]) is None


def test_a_loss_that_rose_is_told(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    rising = {"max_steps": 8, "learning_rate": 3.0, "max_grad_norm": None, "optimizer": "sgd"}
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train=rising))
    assert any("The training loss rose from" in warning for warning in run.report["warnings"])


def test_the_plain_ways_give_the_same_losses(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"method": {"name": "lora", "r": 4}, "train": {"max_steps": 6}}
    fast = tune(writer(decoder_folder, pairs_csv, tmp_path / "fast", **settings))
    plain = tune(writer(decoder_folder, pairs_csv, tmp_path / "plain", **settings, engine={"exact_reference": True}))
    assert (fast.report["model"]["attention"], fast.report["model"]["head"]) == ("packed", "fused")
    assert (plain.report["model"]["attention"], plain.report["model"]["head"]) == ("padded", "model")
    assert (fast.model.forward.paths.attention, plain.model.forward.paths.attention) == ("packed", "padded")
    layers = [{type(m).__module__.partition(".")[0] for m in run.model.forward.modules() if hasattr(m, "lora_A")} for run in (fast, plain)]
    assert layers == [{"tunesmith"}, {"peft"}]
    found, expected = ([step["loss"] for step in run.report["curves"]["train"]] for run in (fast, plain))
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_head_on_a_frozen_trunk_learns_from_vectors_computed_once(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"method": {"name": "head"}, "train": {"epochs": 3, "learning_rate": 1e-2}}
    fast = tune(classifier(encoder_folder, reviews_csv, tmp_path / "fast", **settings))
    plain = tune(classifier(encoder_folder, reviews_csv, tmp_path / "plain", **settings, engine={"exact_reference": True}))
    assert fast.report["curves"]["train"][-1]["loss"] < fast.report["curves"]["train"][0]["loss"]
    assert fast.report["metrics"]["accuracy"]["tuned"]["value"] >= plain.report["metrics"]["accuracy"]["tuned"]["value"] - 0.05
