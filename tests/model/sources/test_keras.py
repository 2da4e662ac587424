"""Networks that Keras saved: they predict what Keras predicts, go back into a file as they came, and what does not fit is said in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from keras_files import GOLDEN, NAMES, golden_rows, load_file, predicted, words_file
from transformers import AutoTokenizer

from tunesmith.core.batch import collate
from tunesmith.core.errors import ModelError
from tunesmith.core.types import Origin, Row, Segment
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.model.export.keras import write_h5
from tunesmith.model.heads import Head
from tunesmith.model.load import load
from tunesmith.model.word_tokenizer import read_words, save_word_tokenizer


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", NAMES)
def test_it_predicts_what_keras_predicts(name: str, tmp_path: Path) -> None:
    model, head, _ = load_file(GOLDEN / f"{name}.h5", tmp_path)
    rows, said = golden_rows(name)
    torch.testing.assert_close(predicted(model, head, rows), said, atol=1e-5, rtol=0)
    alone = torch.cat([predicted(model, head, [row]) for row in rows])
    torch.testing.assert_close(alone, said, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_again_to_the_bit(name: str, tmp_path: Path) -> None:
    model, head, labels = load_file(GOLDEN / f"{name}.h5", tmp_path)
    if name.startswith("keras2") and any("hard_sigmoid_fifth" in str(layer) for layer in model.trunk.config.layers):  # type: ignore[union-attr]
        with pytest.raises(ModelError, match="its hard_sigmoid is that of Keras 2, which Keras no longer has"):
            write_h5(model.trunk, {head.name: head}, labels, model.tokenizer, tmp_path / "again-columns.h5")
        return
    file = tmp_path / f"again-{name}.h5"
    write_h5(model.trunk, {head.name: head}, labels, model.tokenizer, file)
    again, other, other_labels = load_file(file, tmp_path, **({} if "columns" in name else {"words": None}))
    assert other_labels == labels
    configs: list[dict[str, Any]] = [one.trunk.config.to_dict() | {"_name_or_path": ""} for one in (again, model)]  # type: ignore[union-attr,operator]
    assert configs[0] == configs[1]
    for mine, theirs in ((again.trunk, model.trunk), (other, head)):
        found = theirs.state_dict()
        assert all(torch.equal(tensor, found[key]) for key, tensor in mine.state_dict().items())
    rows, said = golden_rows(name)
    torch.testing.assert_close(predicted(again, other, rows), said, atol=1e-5, rtol=0)


def test_a_head_of_two_layers_with_a_unit_is_written_as_dense_layers(tmp_path: Path) -> None:
    model, _, _ = load_file(GOLDEN / "columns.h5", tmp_path)
    torch.manual_seed(0)
    head = Head("number", model.facts.hidden_size, 1, num_layers=2, shift=3.0, scale=2.0).eval()
    write_h5(model.trunk, {"number": head}, (), model.tokenizer, tmp_path / "columns.h5")
    with h5py.File(tmp_path / "columns.h5") as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
        assert [one["config"].get("activation") for one in layers[-2:]] == ["tanh", "linear"]
        kernel, bias = (file["model_weights/head/head"][f"weight_{number}"][()] for number in range(2))
    last: Any = head.layers[-1]
    np.testing.assert_allclose(kernel, 2 * last.weight.detach().numpy().T, rtol=1e-6)
    np.testing.assert_allclose(bias, 2 * last.bias.detach().numpy() + 3, rtol=1e-6)


def test_classes_are_called_as_the_recipe_calls_them_else_by_their_numbers(tmp_path: Path) -> None:
    assert load_file(GOLDEN / "columns.h5", tmp_path)[2] == ("0", "1", "2")
    assert load_file(GOLDEN / "columns.h5", tmp_path, labels=["a", "b", "c"])[2] == ("a", "b", "c")
    with pytest.raises(ModelError, match=r"names 3 classes, and model\.labels has 2 \(a, b\)"):
        load_file(GOLDEN / "columns.h5", tmp_path, labels=["a", "b"])


def _edited(file: Path, change: Callable[[h5py.File, dict[str, Any]], None]) -> None:
    with h5py.File(file, "a") as content:
        config = json.loads(content.attrs["model_config"])
        change(content, config)
        if "model_config" in content.attrs:
            content.attrs["model_config"] = json.dumps(config)


def _first_dense(config: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in config["config"]["layers"] if one["class_name"] == "Dense")


def _renamed(kind: str, **settings: Any) -> Callable[[h5py.File, dict[str, Any]], None]:
    def change(_: h5py.File, config: dict[str, Any]) -> None:
        layer = _first_dense(config)
        layer["class_name"] = kind
        layer["config"] |= settings

    return change


def _replaced(array: Callable[[tuple[int, ...]], Any]) -> Callable[[h5py.File, dict[str, Any]], None]:
    """The first Dense layer's kernel, made another."""

    def change(content: h5py.File, config: dict[str, Any]) -> None:
        group = content["model_weights"][_first_dense(config)["config"]["name"]]
        name = group.attrs["weight_names"][0]
        shape = group[name].shape
        del group[name]
        made = array(shape)
        if isinstance(made, h5py.ExternalLink | h5py.SoftLink):
            group[name] = made
        else:
            group.create_dataset(name, data=made, dtype=h5py.string_dtype() if made.dtype.kind == "O" else None)

    return change


def _standardized(**settings: Any) -> Callable[[h5py.File, dict[str, Any]], None]:
    """Mean and variance of the columns in the layer's settings, where Keras takes them too."""

    def change(_: h5py.File, config: dict[str, Any]) -> None:
        layer = next(one for one in config["config"]["layers"] if one["class_name"] == "Normalization")
        layer["config"] |= {"mean": [0.0] * 5, "variance": [1.0] * 5, **settings}

    return change


def _negative_variance(content: h5py.File, _: dict[str, Any]) -> None:
    group = content["model_weights"]["normalization"]
    group[group.attrs["weight_names"][1]][...] = -2.0


def _without_config(content: h5py.File, _: dict[str, Any]) -> None:
    del content.attrs["model_config"]


BROKEN: dict[str, tuple[Callable[[h5py.File, dict[str, Any]], None], str]] = {
    "lambda": (_renamed("Lambda", function="4wEAAAA="), r'its layer "dense.*": Lambda runs code that stands in the file, which is never done\. Read are: Embedding, Dense,'),
    "unknown": (_renamed("MyAttention"), r'its layer "dense.*": MyAttention is no layer that is read here'),
    "activation": (_renamed("Dense", activation="my_relu"), r"activation is 'my_relu'\. Read are: linear, relu,"),
    "activation of its own": (_renamed("Dense", activation={"class_name": "function"}), "only activations by name are read"),
    "shape": (_replaced(lambda shape: np.zeros((shape[0] + 1, shape[1]), np.float32)), r"kernel has the shape \(6, 6\), expected \(5, 6\)"),
    "objects": (_replaced(lambda shape: np.full(shape, "cos\nsystem", dtype=object)), "holds object, which could be anything, a pickle too: only numbers are read"),
    "not numbers": (_replaced(lambda shape: np.full(shape, np.nan, np.float32)), "holds values that are no finite numbers"),
    "another file": (_replaced(lambda shape: h5py.ExternalLink("/etc/passwd", "x")), r"lies in another file \(/etc/passwd\), which is not opened"),
    "a link": (_replaced(lambda shape: h5py.SoftLink("/model_weights")), "is a link to another place, which is not followed"),
    "weights alone": (_without_config, "holds no whole network, perhaps weights alone"),
    "no mean": (_standardized(mean=[float("nan")] * 5), r'its layer "normalization": its mean holds values that are no finite numbers'),
    "a mean of words": (_standardized(mean=["a"] * 5), r'its layer "normalization": its mean holds values that are no numbers'),
    "a mean beyond float32": (_standardized(mean=[1e300] * 5), r'its layer "normalization": its mean holds values that are no finite numbers'),
    "no variance": (_standardized(variance=None), r'its layer "normalization": its variance holds values that are no finite numbers'),
    "a variance below 0": (_standardized(variance=[1.0, 1.0, -0.5, 1.0, 1.0]), r'its layer "normalization": its variance holds -0\.5, and no variance is below 0'),
    "arrays of a variance below 0": (_negative_variance, r'its layer "normalization": its variance holds -2, and no variance is below 0'),
    "a variance of fewer": (_standardized(variance=[1.0, 1.0]), r'its layer "normalization": its variance is of 2 columns, and 5 come in'),
    "a flag": (_renamed("Dense", use_bias="no"), r"use_bias is 'no', expected true or false"),
    "a second embedding": (_renamed("Embedding", input_dim=5, output_dim=6), r'its layer "dense.*": Embedding stands behind another layer'),
    "units": (_renamed("Dense", units="many"), "units is 'many', expected a whole number of at least 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_fit_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    file = Path(shutil.copy(GOLDEN / "columns.h5", tmp_path / "columns.h5"))
    _edited(file, change)
    with pytest.raises(ModelError, match=rf"^model\.source: {file}: .*{message}") as error:
        load(str(file))
    assert "\n" not in str(error.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.name == "config.json"]


@pytest.mark.parametrize("epsilon", [None, [1], "small", True, -1.0, 0, 10**39, float("inf"), float("nan")])
def test_an_epsilon_that_is_no_number_above_0_is_told_with_its_layer(epsilon: Any, tmp_path: Path) -> None:
    def change(_: h5py.File, config: dict[str, Any]) -> None:
        next(one for one in config["config"]["layers"] if one["class_name"] == "LayerNormalization")["config"]["epsilon"] = epsilon

    file = Path(shutil.copy(GOLDEN / "functional.h5", tmp_path / "functional.h5"))
    _edited(file, change)
    with pytest.raises(ModelError, match=r'functional\.h5: its layer "layer_normalization": epsilon is .*, expected a number above 0\.$'):
        load(str(file), beside={"words": str(words_file(tmp_path))})


def test_a_second_embedding_is_told(tmp_path: Path) -> None:
    """Of a network of words: not left out in silence."""

    def change(_: h5py.File, config: dict[str, Any]) -> None:
        layers = config["config"]["layers"]
        place = next(place for place, one in enumerate(layers) if one["class_name"] == "Embedding")
        layers.insert(place + 1, {**layers[place], "config": {**layers[place]["config"], "name": "twice"}})

    file = Path(shutil.copy(GOLDEN / "averaged.h5", tmp_path / "averaged.h5"))
    _edited(file, change)
    with pytest.raises(ModelError, match=r'its layer "twice": Embedding stands behind another layer'):
        load(str(file), beside={"words": str(words_file(tmp_path))})


def test_a_convolution_whose_padding_hangs_on_a_texts_length_is_told(tmp_path: Path) -> None:
    def strided(_: h5py.File, config: dict[str, Any]) -> None:
        layer = next(one for one in config["config"]["layers"] if one["class_name"] == "Conv1D")
        layer["config"] |= {"padding": "same", "strides": [2]}

    file = Path(shutil.copy(GOLDEN / "convolved.h5", tmp_path / "convolved.h5"))
    _edited(file, strided)
    with pytest.raises(
        ModelError, match=r'its layer "conv1d.*": pads "same" with strides, so that what it says depends on the length of a text'
    ):
        load(str(file))


def test_a_file_whose_own_notes_are_damaged_is_told(tmp_path: Path) -> None:
    model, head, labels = load_file(GOLDEN / "columns.h5", tmp_path)
    write_h5(model.trunk, {head.name: head}, labels, model.tokenizer, tmp_path / "own.h5")
    for text in (b"[1]", b"{"):
        with h5py.File(tmp_path / "own.h5", "a") as content:
            del content["tunesmith"]["facts"]
            content["tunesmith"].create_dataset("facts", data=np.frombuffer(text, dtype=np.uint8))
        with pytest.raises(ModelError, match=r"own\.h5: (what tunesmith wrote beside it is damaged|its contents cannot be read)"):
            load(str(tmp_path / "own.h5"))


def test_what_no_keras_layer_says_is_refused_before_it_is_written(tmp_path: Path) -> None:
    model, _, labels = load_file(GOLDEN / "columns.h5", tmp_path)
    with pytest.raises(ModelError, match=r"has no layer that puts the last, the largest and the mean state side by side"):
        write_h5(model.trunk, {"label": Head("label", model.facts.hidden_size, 3, pooling="concat")}, labels, None, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_a_file_that_is_cut_short_and_one_of_another_format_are_told(tmp_path: Path) -> None:
    whole = (GOLDEN / "columns.h5").read_bytes()
    for size in (100, len(whole) // 2, len(whole) - 2000):
        (tmp_path / "cut.h5").write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"cut\.h5: is no whole HDF5 file|cannot be read"):
            load(str(tmp_path / "cut.h5"))
    (tmp_path / "new.keras").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(ModelError, match=r"is of Keras's newer format"):
        load(str(tmp_path / "new.keras"))
    with pytest.raises(ModelError, match=r"gone\.h5: no such file\."):
        load(str(tmp_path / "gone.h5"))


def test_a_network_of_words_needs_the_words_that_it_was_trained_with(tmp_path: Path) -> None:
    file = GOLDEN / "both-ways.h5"
    with pytest.raises(ModelError, match=r"does not say which: name the list that it was trained with, model\.words=FILE\."):
        load(str(file))
    short = tmp_path / "short.json"
    short.write_text(json.dumps({f"w{number}": number for number in range(2, 10)}))
    with pytest.raises(ModelError, match=r"has words for 8 of the 30 rows of the embedding"):
        load(str(file), beside={"words": str(short)})
    short.write_text(json.dumps({f"w{number}": min(number, 28) for number in range(2, 30)}))
    with pytest.raises(ModelError, match=r"'w28' and 'w29' are both 28\. Give each word a number of its own\."):
        load(str(file), beside={"words": str(short)})
    short.write_text("just a text")
    with pytest.raises(ModelError, match=r"expected a JSON object of words and their numbers"):
        load(str(file), beside={"words": str(short)})


def test_words_that_are_not_known_are_left_out_where_the_list_has_no_token_for_them(tmp_path: Path) -> None:
    index = tmp_path / "index.json"
    index.write_text(json.dumps({f"w{number}": number for number in range(1, 40)}))
    model, head, _ = load_file(GOLDEN / "convolved.h5", tmp_path, words=str(index))
    assert model.source.notes[1] == "10 of 39 words are beyond the 30 rows of its embedding, and unknown to it"
    assert model.tokenizer("w5 what, w35 W7!")["input_ids"] == [5, 0, 0, 7]
    texts = [model.tokenizer(text)["input_ids"] for text in ("w5 what w7 w35 w9 w3", "w5 w7 w9 w3")]
    said = [_said(model, head, tokens) for tokens in texts]
    torch.testing.assert_close(said[0], said[1])


def _said(model: Any, head: Head, tokens: list[int]) -> torch.Tensor:
    forward = PackedForward(model.trunk, {"label": head}, model.facts, probe(model.trunk, model.facts)).eval()
    with torch.no_grad():
        return forward.head("label", collate([Row((Segment(tuple(tokens)),), Origin("row", 1))], model.facts))


def test_the_lists_of_both_of_keras_tokenizers_are_read(tmp_path: Path) -> None:
    made = {
        "saved.json": json.dumps({"class_name": "Tokenizer", "config": {"word_index": json.dumps({"<OOV>": 1, "the": 2, "film": 3}), "num_words": 3, "oov_token": "<OOV>"}}),
        "vocabulary.txt": "\n[UNK]\nthe\nfilm\n",
    }  # fmt: skip
    tokens = {}
    for name, text in made.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        words = read_words(tmp_path / name)
        save_word_tokenizer(words, tmp_path / name[:5])
        assert AutoTokenizer.from_pretrained(tmp_path / name[:5])("the\nthe")["input_ids"] == [2, 2]
        tokens[name] = AutoTokenizer.from_pretrained(tmp_path / name[:5])("The-film the WHAT")["input_ids"]
        assert words.pads_on_left == (name == "saved.json")
    assert tokens["saved.json"] == [2, 1, 2, 1]  # film is beyond num_words
    assert tokens["vocabulary.txt"] == [1, 2, 1]  # thefilm, the, what


def test_texts_of_one_length_are_filled_up_on_the_side_that_is_asked_for(tmp_path: Path) -> None:
    rows, said = golden_rows("one-length")
    model, head, _ = load_file(GOLDEN / "one-length.h5", tmp_path, padding_side="right")
    right = predicted(model, head, rows)
    torch.testing.assert_close(right[0], said[0], atol=1e-5, rtol=0)  # as long as the network reads
    assert (right[1:] - said[1:]).abs().max() > 1e-3
    assert model.facts.max_length == 8
