"""A model that is made anew for a recipe: trained from nothing, loaded again, gone on with, stopped and resumed, and asked in another process."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_recipes import classifier, stop_at, writer

import tunesmith
from tunesmith.app.compare import compare
from tunesmith.app.learned import learned
from tunesmith.app.merge import merge_runs
from tunesmith.app.quantize import quantize
from tunesmith.app.task import prepare
from tunesmith.app.tune import resume, tune
from tunesmith.app.tuned import load_untuned, saved_model
from tunesmith.core import registry
from tunesmith.core.errors import DataError, Interrupted, MethodError, RecipeError, RunError
from tunesmith.core.events import Event, Notice, Warned, silence
from tunesmith.model.load import load
from tunesmith.recipe import Recipe, dump, from_mapping
from tunesmith.recipe.text import parse_yaml

SMALL = {"embedding_size": 16, "hidden_size": 24, "num_layers": 2}
QUICK = {"epochs": 3, "learning_rate": 1e-2, "examples_per_step": 8}


def _new(recipe: Recipe, architecture: str = "lstm", **changes: Any) -> Recipe:
    values = parse_yaml(dump(recipe), "tiny")
    model = {"architecture": architecture, **SMALL, "max_length": 32, "vocabulary": {"size": 400, "of": "words"}, **changes}
    return from_mapping({**values, "model": model}, name="tiny")


def _raw(folder: Path, out: Path, architecture: str = "lstm", **changes: Any) -> Recipe:
    """Raw text of the sentences, to learn with the objective causal_lm."""
    data = {"train": str(folder), "format": "text", "columns": {"text": "review"}}
    made: Any = {"method": "full", "objective": "causal_lm", "train": QUICK, "data": data, "evaluate": {"retention": "none"}}
    return _new(from_mapping({"model": "none", **made, "output_dir": str(out), **changes}, name="tiny"), architecture)


@pytest.mark.parametrize("architecture", ["lstm", "awd-lstm"])
def test_before_tuning_a_network_that_was_made_anew_has_the_weights_that_it_was_drawn_with(
    architecture: str, reviews_csv: Path, tmp_path: Path
) -> None:
    done = tune(_raw(reviews_csv, tmp_path / "out", architecture, evaluate={"metrics": ["perplexity"], "retention": "none"}))
    known = learned(done.directory)
    objective = registry.create("objective", known.objective)
    base = load_untuned(known.recipe, objective, known.kind, known.format, saved_model(done.directory))
    begun = prepare(known.recipe, silence).model.trunk.state_dict()
    trained = load(f"run:{done.path}").trunk.state_dict()
    found = base.model.trunk.state_dict()
    assert found.keys() == begun.keys()
    assert all(torch.equal(found[name], begun[name]) for name in begun)
    assert not torch.equal(found["model.embedding.weight"], trained["model.embedding.weight"])


@pytest.mark.parametrize("architecture", ["rnn", "lstm", "gru", "awd-lstm"])
def test_every_architecture_learns_raw_text_and_is_loaded_as_it_was(architecture: str, reviews_csv: Path, tmp_path: Path) -> None:
    done = tune(_raw(reviews_csv, tmp_path / "out", architecture))
    metric = done.report["metrics"]["perplexity"]
    assert metric["tuned"]["value"] < metric["base"]["value"]
    assert done.report["model"]["name"] == f"new:{architecture.replace('-', '_')}"
    assert done.report["model"]["weights"] == "random"
    read: Any = load(str(done.directory.model)).trunk
    tokens = torch.tensor([[2, 5, 7, 6]])
    assert torch.equal(read(tokens).logits, load(f"run:{done.path}").trunk(tokens).logits)
    assert tunesmith.Run(done.path).generate(["the cat is", "a dog"], max_new_tokens=5) == done.generate(
        ["the cat is", "a dog"], max_new_tokens=5
    )


def test_the_three_stages_of_transfer_go_on_from_run_to_run(reviews_csv: Path, tmp_path: Path) -> None:
    general = tune(_raw(reviews_csv, tmp_path / "general"))
    spec = parse_yaml(dump(_raw(reviews_csv, tmp_path / "domain")), "tiny") | {"model": f"run:{general.path}"}
    domain = tune(from_mapping(spec, name="tiny"))
    assert domain.report["metrics"]["bits_per_byte"]["base"] == general.report["metrics"]["bits_per_byte"]["tuned"]
    gradual = {"name": "full", "layer_decay": 0.4, "unfreeze_every": 0.5}
    changes: Any = {
        "method": gradual,
        "train": QUICK | {"epochs": 12, "learning_rate": 3e-2, "schedule": "slanted_triangular", "warmup_ratio": 0.1},
    }
    done = tune(classifier(domain.path, reviews_csv, tmp_path / "classifier", **changes))
    assert done.report["metrics"]["accuracy"]["tuned"]["value"] > 0.9
    lines = [json.loads(line) for line in done.directory.predictions.read_text(encoding="utf-8").splitlines()]
    code = f"import json, tunesmith; print(json.dumps(tunesmith.Run({str(done.path)!r}).predict({[line['text'] for line in lines]!r})))"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [one["label"] for one in json.loads(again.stdout.splitlines()[-1])] == [line["tuned"]["label"] for line in lines]


def test_an_interrupted_run_goes_on_with_the_same_network_and_tokens(reviews_csv: Path, tmp_path: Path) -> None:
    def recipe(name: str) -> Recipe:
        return _raw(reviews_csv, tmp_path / name, "awd_lstm", train=QUICK | {"optimizer": "nt_asgd", "learning_rate": 2.0, "epochs": 8})

    whole = tune(recipe("whole"))
    with pytest.raises(Interrupted):
        tune(recipe("cut"), progress=stop_at(9))
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    resumed = resume(tmp_path / "cut")
    assert resumed.report["metrics"] == whole.report["metrics"]
    assert [one["loss"] for one in resumed.report["curves"]["train"]] == [one["loss"] for one in whole.report["curves"]["train"]]


def test_texts_that_the_vocabulary_does_not_cover_are_told_or_refused(reviews_csv: Path, tmp_path: Path) -> None:
    done = tune(_raw(reviews_csv, tmp_path / "out", train={"max_steps": 1}))
    words = reviews_csv.read_text().splitlines()
    other = tmp_path / "other.csv"
    for share, refused in ((1.0, True), (0.5, False)):
        cut = round(share * (len(words) - 1))
        strange = [
            f"{' '.join('xyz' + word for word in line.split(',')[0].split())} {n},{line.split(',')[1]}"
            for n, line in enumerate(words[1 : cut + 1])
        ]
        other.write_text("\n".join([words[0], *strange, *words[cut + 1 :]]) + "\n")
        heard = list[Event]()
        recipe = classifier(done.path, other, tmp_path / "next", method="head", train={"max_steps": 1})
        if refused:
            with pytest.raises(
                DataError, match=r"of the tokens of .*other.csv are unknown to the vocabulary of .*out: there is nothing to learn"
            ):
                tune(recipe)
        else:
            warned = tune(recipe, progress=heard.append).report["warnings"]
            (said,) = [event.text for event in heard if isinstance(event, Warned) and "are unknown to the vocabulary" in event.text]
            assert said in warned


def test_texts_whose_letters_a_vocabulary_of_pieces_lacks_are_told_to_be_cut_into_bytes(reviews_csv: Path, tmp_path: Path) -> None:
    recipe = _raw(reviews_csv, tmp_path / "out", train={"max_steps": 1})
    vocabulary = parse_yaml(dump(recipe), "tiny") | {
        "model": {"architecture": "lstm", **SMALL, "vocabulary": {"size": 400, "of": "pieces"}}
    }
    done = tune(from_mapping(vocabulary, name="tiny"))
    other = tmp_path / "other.txt"
    other.write_text("".join(f"кот на мате {letter}\n" for letter in "абвгдежзийклмнопрстуфхцчшщъыьэюя"), encoding="utf-8")
    for file, cut in ((reviews_csv, False), (other, True)):
        heard = list[Event]()
        data = {"train": str(file), "format": "text", **({} if cut else {"columns": {"text": "review"}})}
        changes: Any = {"model": f"run:{done.path}", "data": data, "output_dir": str(tmp_path / file.stem)}
        run = tune(from_mapping(vocabulary | changes, name="tiny"), progress=heard.append)
        said = [event.text for event in heard if isinstance(event, Warned)]
        assert any("tokens of 1.0 bytes: words that it lacks are read and written in parts" in text for text in said) == cut
        assert any("words that it lacks are read and written in parts" in text for text in run.report["warnings"]) == cut


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"architecture": "lstm", "source": "minilm-l6"}, "model.architecture: stands beside model.source"),
        ({"architecture": "lsmt"}, 'model.architecture.name: unknown architecture "lsmt". Did you mean "lstm"?'),
        (
            {"architecture": "lstmm", "embedding_size": 8, "hidden_size": 4},
            'model.architecture.name: unknown architecture "lstmm". Did you mean "lstm"?',
        ),
        ({"architecture": {"name": "lstm", "hiden_size": 4}}, "model.architecture.hiden_size: unknown option"),
        ({"architecture": "lstm", "quantization": "int8"}, "model.quantization: is for a model that was trained before"),
        ({"architecture": "lstm", "vocabulary": {"of": "letters"}}, "model.vocabulary.of: expected"),
    ],
)
def test_mistakes_are_one_line(model: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        from_mapping({"model": model, "data": "d.csv"}, name="tiny")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_sizes_stand_beside_the_architecture_or_in_it_and_are_written_out() -> None:
    beside = from_mapping({"model": {"architecture": "awd-lstm", "hidden_size": 48}, "data": "d.csv", "method": "full"}, name="tiny")
    within = from_mapping(
        {"model": {"architecture": {"name": "awd_lstm", "hidden_size": 48}}, "data": "d.csv", "method": "full"}, name="tiny"
    )
    assert beside == within
    assert beside.model.source == "new:awd_lstm"
    assert from_mapping(parse_yaml(dump(beside), "tiny"), name="tiny") == beside
    assert (
        from_mapping(
            {"model": "none", "data": "d.csv", "method": "full"}, name="tiny", overrides=["model={architecture: awd-lstm, hidden_size: 48}"]
        )
        == beside
    )


def test_networks_are_compared_as_arms(reviews: Path, tmp_path: Path) -> None:
    arms = {"gru": ["model.architecture=gru"], "full": None}
    recipe = _new(classifier(tmp_path, reviews, tmp_path / "out", arms=arms, search="none", method="full", train=QUICK | {"epochs": 1}))
    assert list(compare(recipe).report["arms"]) == ["gru", "full"]


@pytest.mark.parametrize("method", ["lora", {"name": "lora", "target_modules": ["q_proj"]}])
def test_lora_on_a_recurrent_model_is_refused_before_anything_is_written(method: Any, reviews_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"method: lora leaves weights as they are.*Use full\."):
        _new(classifier(tmp_path, reviews_csv, tmp_path / "out", method=method))
    trained = tune(_raw(reviews_csv, tmp_path / "trained", train={"max_steps": 1}))
    with pytest.raises(MethodError, match="use full, layers, bitfit, prompt or head") as raised:
        tune(classifier(trained.path, reviews_csv, tmp_path / "out", method=method))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_head_goes_on_a_trained_network_and_is_asked_again(reviews_csv: Path, tmp_path: Path) -> None:
    trained = tune(_raw(reviews_csv, tmp_path / "trained"))
    done = tune(classifier(trained.path, reviews_csv, tmp_path / "out", method="head", train=QUICK))
    texts = ["the cat is very good", "the dog was on a mat bad"]
    assert tunesmith.Run(done.path).predict(texts) == done.predict(texts)


@pytest.mark.parametrize("architecture", ["seq2seq-lstm", "seq2seq_gru"])
def test_an_encoder_decoder_learns_pairs_and_is_loaded_and_tuned_on(architecture: str, pairs_csv: Path, tmp_path: Path) -> None:
    train = QUICK | {"epochs": 25}
    sizes = {"hidden_size": 64, "embedding_size": 32, "num_layers": 1, "dropout": 0.0}
    evaluate = {"metrics": ["exact_match", "chrf", "rougeL", "perplexity"], "max_new_tokens": 4}
    done = tune(_new(writer(tmp_path, pairs_csv, tmp_path / "out", train=train, evaluate=evaluate), architecture, **sizes))
    metrics = done.report["metrics"]
    assert metrics["exact_match"]["tuned"]["value"] > 0.9
    assert metrics["rougeL"]["tuned"]["value"] > metrics["rougeL"]["base"]["value"]
    assert metrics["chrf"]["tuned"]["value"] > metrics["chrf"]["base"]["value"]
    assert done.report["model"]["attention"] == "padded"
    ends = [len(line["tuned"]["text"].split()) < 4 for line in map(json.loads, done.directory.predictions.read_text().splitlines())]
    assert any("had not ended" in text for text in done.report["warnings"]) == (
        not all(ends)
    )  # of one that has learned nothing it is no news
    prompts = ["the cat is very good", "a dog was on the mat bad"]
    assert tunesmith.Run(done.path).generate(prompts) == done.generate(prompts)
    tuned = tune(writer(done.path, pairs_csv, tmp_path / "next", method="lora", train={"max_steps": 2}, evaluate=evaluate))
    assert tuned.report["metrics"]["perplexity"]["base"]["value"] == pytest.approx(metrics["perplexity"]["tuned"]["value"], rel=1e-4)


def test_a_classifier_reads_an_encoder_decoders_encoder(pairs_csv: Path, reviews_csv: Path, tmp_path: Path) -> None:
    learned = tune(_new(writer(tmp_path, pairs_csv, tmp_path / "pairs", train=QUICK), "seq2seq_lstm"))
    done = tune(classifier(learned.path, reviews_csv, tmp_path / "out", method="full"))
    texts = ["the cat is very good", "the dog was on a mat bad"]
    assert [one["label"] for one in done.predict(texts)] == ["positive", "negative"]
    assert tunesmith.Run(done.path).predict(texts) == done.predict(texts)


def test_a_run_that_was_made_anew_is_merged_as_it_is_quantized_and_loaded_beside_no_other(reviews_csv: Path, tmp_path: Path) -> None:
    done = tune(_raw(reviews_csv, tmp_path / "lstm", train={**QUICK, "max_steps": 4}))
    summary = merge_runs([done.directory], tmp_path / "merged")
    assert summary["notes"] == [
        f"lstm: its network was made anew: {done.directory.model} holds all of its weights, and they are taken as they are."
    ]
    merged, saved = (load_file(folder / "model.safetensors") for folder in (tmp_path / "merged", done.directory.model))
    assert merged.keys() == saved.keys()
    assert all(torch.equal(merged[name], saved[name]) for name in saved)
    document = quantize(done.directory, "bf16", output=tmp_path / "bf16")
    assert document["notes"] == summary["notes"]
    before = document["metrics"]["bits_per_byte"]["before"]["value"]
    assert before == pytest.approx(done.report["metrics"]["bits_per_byte"]["tuned"]["value"], rel=1e-4)
    assert tunesmith.load_many([done]).keys() == {"lstm"}
    other = tune(_raw(reviews_csv, tmp_path / "other", seed=1, train={**QUICK, "max_steps": 4}))
    with pytest.raises(RunError, match=r"other: was tuned on new:lstm \(\w+\), lstm on new:lstm \(\w+\)\. Take runs of one base\."):
        merge_runs([done.directory, other.directory], tmp_path / "both")


def test_a_new_network_of_numbers_is_quantized(tmp_path: Path) -> None:
    recipe = {"model": {"architecture": "dense", "hidden": [8]}, "data": "iris", "method": "full", "output_dir": str(tmp_path / "run")}
    done = tune(from_mapping(recipe, name="flowers"))
    accuracy = quantize(done.directory, "int8", output=tmp_path / "int8", max_loss=1.0)["metrics"]["accuracy"]
    assert accuracy["before"]["value"] == pytest.approx(done.report["metrics"]["accuracy"]["tuned"]["value"])


def test_lora_goes_on_the_attention_of_an_encoder_decoder_by_its_default_rank(pairs_csv: Path, tmp_path: Path) -> None:
    """Additive attention scores by a vector, in which there is no room for a rank: it stays as it is."""
    made = writer(Path("none"), pairs_csv, tmp_path / "base", method="full", train={**QUICK, "max_steps": 2})
    base = tune(_new(made, "seq2seq_lstm", scoring="additive"))
    run = tune(writer(base.path, pairs_csv, tmp_path / "lora", method="lora", train={**QUICK, "max_steps": 2}))
    names = load_file(run.directory.adapter / "adapter_model.safetensors")
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in names} == {"query", "key", "combine"}
    assert not any("leaves out" in warning for warning in run.report["warnings"])
    merge_runs([run.directory], tmp_path / "merged")


def test_layers_that_the_default_rank_does_not_fit_are_told_and_left_out(tmp_path: Path) -> None:
    train = {"max_steps": 2}
    recipe = {"model": {"architecture": "dense", "hidden": [24, 16, 8]}, "data": "digits", "method": "full", "train": train}
    base = tune(from_mapping({**recipe, "output_dir": str(tmp_path / "base")}, name="digits"))
    said = list[Event]()
    changed = {**recipe, "model": f"run:{base.path}", "method": "lora", "output_dir": str(tmp_path / "lora")}
    run = tune(from_mapping(changed, name="digits"), progress=said.append)
    told = "method.target_modules: all-linear leaves out layers.2.linear: narrower than the default rank. Choose a rank: method.r, or method.rank_pattern for one."
    assert told in run.report["warnings"]
    assert [event.text for event in said if isinstance(event, Notice)] == [told]
    assert run.report["cost"]["trainable_parameters"] == 16 * (64 + 24) + 16 * (24 + 16) + 10 * (8 + 1)
