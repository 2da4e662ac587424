"""Many runs on one base: each answers as it does alone, over the same tensors."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipes import classifier, writer

import tunesmith
from tunesmith.app.tune import tune
from tunesmith.core.errors import RunError, UsageError
from tunesmith.engine.kernels.frozen import Int8Linear
from tunesmith.engine.kernels.quantized import QuantizedLayer
from tunesmith.engine.probe import probe

FEW = {"train": {"max_steps": 4, "examples_per_step": 8, "learning_rate": 3e-2}}
TEXTS = ["the cat was very good", "a dog ran on the bad", "the film is on the mat good"]
CLASSIFIERS: dict[str, Any] = {
    "lora": {"name": "lora", "r": 4},
    "dora": {"name": "lora", "r": 4, "use_dora": True, "modules_to_save": ["layer.1.output.dense"]},
    "vera": {"name": "peft", "r": 8},
    "adapter": "adapter",
    "ia3": "ia3",
    "prompt": {"name": "prompt", "num_virtual_tokens": 4},
    "prefix": {"name": "prefix", "num_virtual_tokens": 4},
    "bitfit": "bitfit",
    "layers": {"name": "layers", "last": 1},
    "head": "head",
    "full": "full",
}


def _pointers(model: Any) -> set[int]:
    return {p.data_ptr() for p in model.trunk.parameters()}


def test_each_run_answers_as_alone_over_the_same_tensors(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    directories = [
        tune(classifier(encoder_folder, reviews_csv, tmp_path / name, method=method, seed=number, **FEW)).directory
        for number, (name, method) in enumerate(CLASSIFIERS.items())
    ]
    alone = {directory.id: tunesmith.Run(directory) for directory in directories}
    expected = {name: run.predict(TEXTS) for name, run in alone.items()}
    many = tunesmith.load_many(directories)
    base = alone["head"].model.model.trunk.state_dict()
    assert list(many) == list(CLASSIFIERS)
    for _ in range(2):  # one after another, and again
        for name in many:
            assert many[name].predict(TEXTS) == expected[name], name
    assert len({str(answers) for answers in expected.values()}) == len(CLASSIFIERS)

    shared = _pointers(many["head"].model)
    total = sum(p.numel() for p in many["head"].model.trunk.parameters())
    for name, own_at_most in {
        "lora": 0.25,
        "dora": 0.4,
        "vera": 0.05,
        "adapter": 0.1,
        "ia3": 0.05,
        "prompt": 0.05,
        "prefix": 0.05,
        "bitfit": 0.05,
        "layers": 0.6,
    }.items():
        own = sum(p.numel() for p in many[name].model.trunk.parameters() if p.data_ptr() not in shared)
        assert 0 < own < own_at_most * total, name
    assert not shared & _pointers(many["full"].model)
    for key, tensor in many["head"].model.trunk.state_dict().items():
        assert torch.equal(tensor, base[key]), key
    assert not any(p.requires_grad for p in many["head"].model.trunk.parameters())


KEPT_IN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nf4": ({"quantization": "nf4"}, {}),
    "int8": ({"quantization": "int8"}, {}),
    "int4-bf16": ({"quantization": "int4"}, {"precision": "bf16"}),
    "bf16": ({}, {"precision": "bf16"}),
}


@pytest.mark.parametrize("kept_in", [*KEPT_IN, "int8-products"])
def test_a_base_in_fewer_bits_is_packed_and_tried_once(
    kept_in: str, encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = {"name": "lora", "r": 4}
    methods: dict[str, Any] = {
        "one": lora,
        "two": {**lora, "r": 2},
        "adapter": "adapter",
        "ia3": "ia3",
        "prompt": "prompt",
        "prefix": "prefix",
    }
    model, engine = KEPT_IN.get(kept_in, ({}, {}))
    if kept_in == "int8-products":
        methods = {name: {**lora, "r": rank, "base_precision": "int8"} for name, rank in (("one", 4), ("two", 2))}
    made = []
    for name, method in methods.items():
        recipe = classifier(encoder_folder, reviews_csv, tmp_path / name, method=method, engine=engine, **FEW)
        made.append(tune(recipe.model_copy(update={"model": recipe.model.model_copy(update=model)})))
    expected = {run.id: tunesmith.Run(run.directory).predict(TEXTS) for run in made}
    tried = []

    def counted(trunk: Any, *arguments: Any) -> Any:
        tried.append(next(trunk.parameters()).dtype)
        return probe(trunk, *arguments)

    monkeypatch.setattr("tunesmith.app.placing.probe", counted)
    many = tunesmith.load_many(made)
    assert tried == [torch.float32, torch.bfloat16][: 1 + ("bf16" in kept_in)]
    for name in many:
        assert many[name].predict(TEXTS) == expected[name], name
    packed = [
        {
            b.data_ptr()
            for module in one.model.trunk.modules()
            if isinstance(module, QuantizedLayer | Int8Linear)
            for b in module.state_dict().values()
        }
        for one in many.values()
    ]
    assert all(found == packed[0] for found in packed)
    assert bool(packed[0]) == (kept_in != "bf16")


def test_a_writer_and_a_classifier_share_a_decoder(decoder_folder: Path, reviews_csv: Path, pairs_csv: Path, tmp_path: Path) -> None:
    words = writer(decoder_folder, pairs_csv, tmp_path / "words", method={"name": "lora", "r": 4}, **FEW)
    words = words.model_copy(update={"model": words.model.model_copy(update={"add_tokens": ["very good", "yes yes"]})})
    made = [
        tune(writer(decoder_folder, pairs_csv, tmp_path / "writes", method={"name": "lora", "r": 4}, **FEW)),
        tune(classifier(decoder_folder, reviews_csv, tmp_path / "sorts", **FEW)),
        tune(words),
    ]
    expected = [made[0].generate(TEXTS, 6), made[1].predict(TEXTS), made[2].generate(TEXTS, 6)]
    many = tunesmith.load_many(made)
    for _ in range(2):
        assert many["writes"].answer(TEXTS, 6) == expected[0]
        assert many["run:sorts"].predict(TEXTS) == expected[1]
        assert many["words"].answer(TEXTS, 6) == expected[2]
    layer = "model.layers.0.mlp.up_proj.base_layer.weight"
    pointers = {dict(one.model.trunk.named_parameters())[layer].data_ptr() for one in many.values()}
    assert len(pointers) == 1
    assert len(many["words"].model.tokenizer) == len(many["writes"].model.tokenizer) + 2


def test_runs_that_do_not_go_together_are_told(encoder_folder: Path, decoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    one = tune(classifier(encoder_folder, reviews_csv, tmp_path / "one", **FEW))
    other = tune(classifier(decoder_folder, reviews_csv, tmp_path / "other", **FEW))
    with pytest.raises(
        RunError, match=r"other: was tuned on .*tiny-llama \(\w{12}\), one on .*tiny-bert \(\w{12}\)\. Take runs of one base"
    ):
        tunesmith.load_many([one, other])
    with pytest.raises(UsageError, match="needs at least one run"):
        tunesmith.load_many([])
    with pytest.raises(UsageError, match="one: two of the runs have this id"):
        tunesmith.load_many([one, one])
    with pytest.raises(RunError, match="three: is none of the loaded runs: one"):
        tunesmith.load_many([one])["three"]
    rounded = tune(classifier(encoder_folder, reviews_csv, tmp_path / "rounded", method={"name": "qlora", "r": 4}, **FEW))
    with pytest.raises(RunError, match=r"different numbers: one: float32 on cpu, rounded: nf4 and float32 on cpu\. Load them apart"):
        tunesmith.load_many([one, rounded])
    half = shutil.copytree(one.path, tmp_path / "half")
    recipe = half / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("precision: auto", "precision: bf16"), encoding="utf-8")
    with pytest.raises(RunError, match=r"different numbers: one: float32 on cpu, half: torch.bfloat16 on cpu"):
        tunesmith.load_many([one, half])


def test_a_chat_template_stays_with_its_run(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    first = writer(decoder_folder, pairs_csv, tmp_path / "first", method={"name": "lora", "r": 4}, **FEW)
    first = first.model_copy(update={"data": first.data.model_copy(update={"chat_template": "vicuna"})})
    made = [tune(first), tune(writer(decoder_folder, pairs_csv, tmp_path / "second", method={"name": "lora", "r": 4}, **FEW))]
    many = tunesmith.load_many(made)
    assert many["first"].model.tokenizer.chat_template != many["second"].model.tokenizer.chat_template
    assert [many[run.id].answer(TEXTS, 6) for run in made] == [run.generate(TEXTS, 6) for run in made]
