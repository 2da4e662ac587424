"""What was trained on one base is refused on another; a run whose head is of another task is taken for its trunk, and said so."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_recipes import classifier, writer

from tunesmith.app.earlier import changed_labels, earlier_head
from tunesmith.app.many import load_many
from tunesmith.app.merge import merge_runs
from tunesmith.app.tune import tune
from tunesmith.app.tuned import load_tuned
from tunesmith.core import registry
from tunesmith.core.errors import MethodError, ObjectiveError
from tunesmith.core.events import Warned
from tunesmith.core.run import RunDirectory
from tunesmith.model._folder import weights_sha256
from tunesmith.model.heads import Head, save_heads
from tunesmith.recipe import Recipe

FEW = {"train": {"max_steps": 2, "examples_per_step": 8}}
FILES = {
    **dict.fromkeys(("lora", "peft", "ia3", "prompt", "prefix", "p_tuning"), "adapter/adapter_model.safetensors"),
    **dict.fromkeys(("bitfit", "layers", "adapter"), "adapter/selected.safetensors"),
    "new_tokens": "adapter/new_tokens.safetensors",
    "head": "heads.safetensors",
}
"""Method -> what its run keeps of it."""
UNFOLDABLE = ("adapter", "prompt", "prefix", "p_tuning")


def _other(folder: Path, to: Path) -> Path:
    """A model of the same shapes with other weights, in the place of the first."""
    if to != folder:
        shutil.copytree(folder, to)
    torch.manual_seed(9)
    transformers.BertModel(transformers.BertConfig.from_pretrained(folder)).save_pretrained(to)
    return to


def _recipe(name: str, base: Path, data: Path, out: Path) -> Recipe:
    recipe = classifier(base, data, out, method=name, evaluate={"metrics": ["accuracy"]}, **FEW)
    if name == "new_tokens":
        return recipe.model_copy(update={"model": recipe.model.model_copy(update={"add_tokens": ["the cat"]})})
    return recipe


@pytest.mark.parametrize("name", [name for name in registry.names("method") if name not in ("full", "direct")])
def test_a_run_whose_base_was_replaced_is_refused(name: str, encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(encoder_folder, tmp_path / "base"))
    run = tune(_recipe(name, base, reviews_csv, tmp_path / "run")).directory
    was = weights_sha256(base)
    for file in (FILES[name], "heads.safetensors"):
        with safe_open(run.path / file, framework="pt") as opened:
            assert opened.metadata()["base_sha256"] == was
    load_tuned(run)
    config = run.adapter / "adapter_config.json"
    assert not config.is_file() or json.loads(config.read_text())["base_model_name_or_path"] == str(base)
    _other(base, base)
    now = weights_sha256(base)
    why = rf"was trained on another base \({was[:12]}\), this model is {now[:12]}\. Name the base that it was trained on\."
    said = f"{FILES[name]}: {why}"
    for ask in (load_tuned, lambda run: load_many([run])):
        with pytest.raises(MethodError, match=said):
            ask(run)
    if name not in UNFOLDABLE:
        with pytest.raises(MethodError, match=why):
            merge_runs([run], tmp_path / "merged")
        with pytest.raises(MethodError, match=said):
            tune(classifier(run.path, reviews_csv, tmp_path / "next", **FEW))
    assert not (tmp_path / "next").exists()
    assert not (tmp_path / "merged").exists()


def test_a_head_that_says_nothing_of_its_base_is_taken_as_it_is(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(_recipe("head", encoder_folder, reviews_csv, tmp_path / "run")).directory
    save_file(load_file(run.heads), run.heads, metadata={"format": "pt"})  # as runs wrote it before
    assert load_tuned(run).forward.heads.keys() == {"label"}


def test_a_whole_model_needs_the_weights_that_it_began_with_no_more(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(encoder_folder, tmp_path / "base"))
    run = tune(_recipe("full", base, reviews_csv, tmp_path / "run"))
    before = load_tuned(run.directory).predict(["the cat is good"])
    _other(base, base)
    assert load_tuned(run.directory).predict(["the cat is good"]) == before


def test_a_copy_of_the_base_is_the_base(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    """Where the folder lies, what it is called, and files beside the weights make no other model."""
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "run", **FEW)).directory
    copied = Path(shutil.copytree(encoder_folder, tmp_path / "copied"))
    (copied / "notes.txt").write_text("mine", encoding="utf-8")
    config = run.adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": str(copied)}), encoding="utf-8")
    tune(classifier(run.adapter, reviews_csv, tmp_path / "on-copy", **FEW))
    wrong = _other(copied, tmp_path / "wrong")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": str(wrong)}), encoding="utf-8")
    with pytest.raises(MethodError, match="was trained on another base"):
        tune(classifier(run.adapter, reviews_csv, tmp_path / "on-wrong", **FEW))


def test_an_adapter_on_an_adapter_is_held_to_both(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first", **FEW)).directory
    second = tune(classifier(first.path, reviews_csv, tmp_path / "second", **FEW)).directory
    load_tuned(second)
    again = tune(classifier(encoder_folder, reviews_csv, tmp_path / "again", seed=3, **FEW)).directory
    shutil.copy(again.adapter / "adapter_model.safetensors", first.adapter / "adapter_model.safetensors")
    with pytest.raises(MethodError, match="second/adapter/adapter_model.safetensors: was trained on another base"):
        load_tuned(second)


def test_peft_passes_over_the_hash(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "run", **FEW)).directory
    base = transformers.AutoModel.from_pretrained(encoder_folder, add_pooling_layer=False)
    theirs = PeftModel.from_pretrained(base, str(run.adapter)).eval()
    ids = torch.arange(5, 20)[None]
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids)[0], load_tuned(run).model.trunk(ids)[0], atol=1e-5, rtol=1e-5)


def test_a_head_for_another_task_is_told_and_reported(
    encoder_folder: Path, decoder_folder: Path, reviews_csv: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    run = tune(classifier(decoder_folder, reviews_csv, tmp_path / "run", **FEW)).directory
    said: list[Any] = []
    writes = tune(writer(run.path, pairs_csv, tmp_path / "writes", **FEW), progress=said.append)
    assert not RunDirectory(tmp_path / "writes").heads.exists()
    (text,) = [event.text for event in said if isinstance(event, Warned) and "its head" in event.text]
    assert text == f"model.source: {run.path}: its head (label: negative, positive) is for another task than sft: it is left out."
    assert text in writes.report["warnings"]

    relabelled = tmp_path / "relabelled.csv"
    relabelled.write_text(reviews_csv.read_text().replace("positive", "yes").replace("negative", "no"), encoding="utf-8")
    said.clear()
    again = tune(classifier(run.path, relabelled, tmp_path / "relabelled", **FEW), progress=said.append)
    (text,) = [event.text for event in said if isinstance(event, Warned) and "its head" in event.text]
    assert text.endswith("(label: negative, positive) is for another task than classify, whose labels are no, yes: a new one is made.")
    assert text in again.report["warnings"]
    assert "whose labels are no, yes: a new one is made." in again.directory.report_html.read_text(encoding="utf-8")

    said.clear()
    tune(classifier(run.path, reviews_csv, tmp_path / "same", **FEW), progress=said.append)
    assert not any("its head" in event.text for event in said if isinstance(event, Warned))

    for option, wrong in (("head_layers 1, not 2", {"head_layers": 2}), ("pooling last, not mean", {"pooling": "mean"})):
        with pytest.raises(
            ObjectiveError, match=rf"its head is for this task, and has objective\.{option}\. Set it so to train that head on"
        ):
            tune(classifier(run.path, reviews_csv, tmp_path / "x", objective={"name": "classify", **wrong}, **FEW))

    alone = tune(classifier(decoder_folder, reviews_csv, tmp_path / "alone", method="head", **FEW)).directory
    for recipe in (writer(alone.path, pairs_csv, tmp_path / "x", **FEW), classifier(alone.path, relabelled, tmp_path / "x", **FEW)):
        with pytest.raises(
            ObjectiveError,
            match=r"trained nothing but a head \(label: negative, positive\), for which the objective (sft|classify, whose .*) has no use",
        ):
            tune(recipe)
    assert not (tmp_path / "x").exists()


def test_a_head_that_goes_on_keeps_the_layers_that_the_recipe_leaves_out(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    two = {"name": "classify", "head_layers": 2, "pooling": "first"}
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "run", objective=two, **FEW))
    was = run.report["metrics"]["accuracy"]["tuned"]
    direct: Any = {"name": "direct", "metric": "accuracy", "trials": 4}
    for name, changes in {"on": {"method": "head", "objective": "classify", **FEW}, "direct": {"method": direct}}.items():
        again = tune(classifier(run.path, reviews_csv, tmp_path / name, **changes))
        head = load_tuned(again.directory).forward.heads["label"]
        assert (head.num_layers, head.pooling) == (2, "first")
        if name == "on":
            assert again.report["metrics"]["accuracy"]["base"] == was


def test_a_head_goes_on_for_the_labels_that_it_knows(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    run = tune(classifier(encoder_folder, reviews_csv, tmp_path / "run", **FEW)).directory
    head, line = load_tuned(run).forward.heads["label"], reviews_csv.read_text(encoding="utf-8").splitlines()
    more = tmp_path / "more.csv"
    fewer = [row.replace("negative", "mixed") if number % 3 == 0 else row for number, row in enumerate(line)]
    more.write_text("\n".join(fewer).replace("negative", "bad"), encoding="utf-8")
    said: list[Any] = []
    again = tune(classifier(run.path, more, tmp_path / "more-run", train={"max_steps": 1, "learning_rate": 1e-12}), progress=said.append)
    (text,) = [event.text for event in said if isinstance(event, Warned) and "its head" in event.text]
    assert (
        text
        == f"model.source: {run.path}: its head has other labels: it goes on for positive; begins anew for bad, mixed, which the base never says; leaves out negative."
    )
    tuned = load_tuned(again.directory)
    own = tuned.forward.heads["label"]
    kept, new = tuned.encoder.labels.index("positive"), tuned.encoder.labels.index("mixed")
    torch.testing.assert_close(own.layers[-1].weight[kept], head.layers[-1].weight[1])  # type: ignore[index,union-attr]
    assert 0 < float(own.layers[-1].weight[new].detach().abs().max()) < 0.2  # type: ignore[index,union-attr,arg-type]
    report = again.report
    assert text in report["warnings"]
    assert report["task"]["base"] == "as_it_is"
    by_label = {one["label"]: one for one in report["confusion"]["by_label"]}
    assert {name: one["is_new"] for name, one in by_label.items()} == {"bad": True, "mixed": True, "positive": False}
    assert by_label["positive"]["base"]["value"] == 1.0  # all that its head can say here
    assert by_label["bad"]["base"]["value"] == 0.0
    assert sum(one["rows"] for one in by_label.values()) == report["data"]["splits"]["test"]["rows"]
    assert "never said them" in (again.path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("known", "wanted", "fills", "units", "is_kept"),
    [
        (("a", "b"), ("b", "c"), "label", {}, True),
        (("a", "b"), ("c", "d"), "label", {}, False),
        (("O", "B-x"), ("O", "B-y"), "tags", {}, False),
        (("O", "B-x"), ("O", "B-x", "B-y"), "tags", {}, True),
        (("a", "b"), ("b", "a"), "grades", {"shift": (1.0, 30.0), "scale": (1.0, 10.0)}, False),
        (("a", "b"), ("a",), "grades", {"shift": (1.0, 30.0), "scale": (1.0, 10.0)}, False),
    ],
)
def test_only_a_head_of_classes_goes_on_for_other_labels(
    known: tuple[str, ...], wanted: tuple[str, ...], fills: str, units: dict[str, Any], is_kept: bool, tmp_path: Path
) -> None:
    save_heads({"head": Head("head", 4, len(known), **units)}, known, tmp_path / "heads.safetensors", tmp_path / "heads.json")
    source = SimpleNamespace(name="run", heads=tmp_path / "heads.safetensors")
    objective = SimpleNamespace(fills=(fills,), heads=lambda _: {"head": None})
    task: Any = SimpleNamespace(model=SimpleNamespace(source=source), encoder=SimpleNamespace(labels=wanted), objective=objective)
    assert (earlier_head(task, "head") is not None) == is_kept
    assert bool(changed_labels(task)) == is_kept
    assert changed_labels(SimpleNamespace(**{**vars(task), "encoder": SimpleNamespace(labels=known)})) == ""  # type: ignore[arg-type]
