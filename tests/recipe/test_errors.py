"""Every mistake in a recipe is one line: where, what was found, what was expected."""

from pathlib import Path
from typing import Any

import pytest

from tunesmith import recipe
from tunesmith.core.errors import RecipeError

TRAIN_KEYS = (
    "betas, checkpoint_every_steps, early_stopping_patience, epochs, evaluations_per_epoch, examples_per_step, head_first, learning_rate, max_grad_norm, max_steps, "
    "momentum, optimizer, schedule, select_by, warmup_ratio, weight_decay"
)
TOP_KEYS = "arms, budget, budget_memory, budget_usd, context, data, description, engine, evaluate, export, method, model, name, objective, output_dir, prefer, rewards, search, seed, train"


def message(mapping: dict[str, Any], *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe.from_mapping({"model": "m", "data": "d.csv", **mapping}, name="small", where="small.yaml", overrides=overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        # unknown keys, at every level, with the nearest one, or what another program's key is called here
        ({"train": {"epoch": 3}}, f'train.epoch: unknown key. Did you mean "epochs"? Known: {TRAIN_KEYS}.'),
        ({"train": {"num_train_epochs": 3}}, f'train.num_train_epochs: unknown key. Did you mean "epochs"? Known: {TRAIN_KEYS}.'),
        ({"train": {"lr": 3}}, f'train.lr: unknown key. Did you mean "learning_rate"? Known: {TRAIN_KEYS}.'),
        ({"lr": 3}, f'lr: unknown key. Did you mean "train.learning_rate"? Known here: {TOP_KEYS}.'),
        ({"lora_alpha": 3}, f'lora_alpha: unknown key. Did you mean "method.lora_alpha"? Known here: {TOP_KEYS}.'),
        ({"model_name_or_path": "x"}, f'model_name_or_path: unknown key. Did you mean "model"? Known: {TOP_KEYS}.'),
        ({"qqqq": 3}, f"qqqq: unknown key. Known: {TOP_KEYS}."),
        (
            {"evaluate": {"domains": {"a": {"sourc": "x"}}}},
            'evaluate.domains.a.sourc: unknown key. Did you mean "source"? Known: columns, format, labels, limit, source.',
        ),
        (
            {"data": {"train": "x", "limit": {"tests": 1}}},
            'data.limit.tests: unknown key. Did you mean "test"? Known: test, train, validation.',
        ),
        # plug-ins
        (
            {"method": {"name": "lora", "lora_rank": 3}},
            'method.lora_rank: unknown option. Did you mean "r"? Known: alpha_pattern, base_precision, lora_alpha, lora_dropout, modules_to_save, r, rank_pattern, target_modules, use_dora, use_rslora.',
        ),
        ({"method": {"name": "lora", "r": "big"}}, 'method.r: expected a whole number, found "big".'),
        ({"method": {"name": "lora", "r": True}}, "method.r: expected a whole number, found true."),
        ({"method": {"name": "lora", "target_modules": 3}}, "method.target_modules: expected a list, found 3."),
        ({"method": 3}, "method: expected a name, or a mapping with `name`, found 3."),
        ({"method": {"name": 3}}, "method.name: expected text, found 3."),
        # values of the wrong kind
        ({"train": {"epochs": "many"}}, 'train.epochs: expected a number, found "many".'),
        ({"train": {"epochs": 0}}, "train.epochs: expected a number > 0, found 0."),
        ({"train": {"epochs": float("nan")}}, "train.epochs: expected a finite number, found nan."),
        ({"train": {"max_steps": 2.5}}, "train.max_steps: expected a whole number, found 2.5."),
        ({"train": {"max_steps": 0}}, "train.max_steps: expected a number >= 1, found 0."),
        ({"train": {"optimizer": "adan"}}, 'train.optimizer: expected one of adamw, adam, sgd, rmsprop, nt_asgd, found "adan".'),
        ({"train": {"betas": [0.9, 0.99, 0.999]}}, "train.betas: expected 2 values, found 3."),
        ({"train": {"betas": [0.9, 1]}}, "train.betas: expected two numbers from 0 to below 1, found [0.9, 1.0]."),
        ({"train": {"warmup_ratio": 2}}, "train.warmup_ratio: expected a number <= 1, found 2."),
        ({"train": 5}, "train: expected a mapping, found 5."),
        ({"model": 5}, "model.source: expected text, found 5."),
        ({"model": None}, "model.source: missing."),
        ({"data": {"limit": 5}}, "data.train: missing."),
        ({"model": {"source": "x.h5", "labels": ["good", "bad", "good"]}}, 'model.labels: "good" is listed twice. Leave one out.'),
        ({"data": {"train": "x", "labels": {0: ["a"]}}}, "data.labels.0: expected text, found a list."),
        (
            {"data": {"train": "x", "split": {"test": 1.5}}},
            "data.split.test: expected a share below 1 or a whole number of rows, found 1.5.",
        ),
        ({"engine": {"device": "gpu"}}, 'engine.device: expected auto, cpu, cuda, cuda:0, ... or mps, found "gpu".'),
        ({"name": "a/b"}, 'name: expected a word that can begin a folder\'s name, found "a/b".'),
        ({"seed": -1}, "seed: expected a number >= 0, found -1."),
        (
            {"model": {"source": "x", "trust_remote_code": True}},
            "model.trust_remote_code: needs model.revision, a commit that you have read: code that comes with a model runs on this machine.",
        ),
    ],
)
def test_mistakes_in_a_file(mapping: dict[str, Any], text: str) -> None:
    assert message(mapping) == f"small.yaml: {text}"


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("train.epochs", '"train.epochs": expected key=value, such as train.epochs=3.'),
        ("=3", '"=3": expected key=value, such as train.epochs=3.'),
        ("train..epochs=3", '"train..epochs=3": expected key=value, such as train.epochs=3.'),
        ("train.epochs=x", 'train.epochs: expected a number, found "x".'),
        ("train.epoch=3", f'train.epoch: unknown key. Did you mean "epochs"? Known: {TRAIN_KEYS}.'),
        ("train.betas=[1", "train.betas:1: not valid YAML: expected ',' or ']', but got '<stream end>'."),
        (
            "method.lr=3",
            'method.lr: unknown option. Did you mean "train.learning_rate"? Known here: alpha_pattern, base_precision, lora_alpha, lora_dropout, modules_to_save, r, rank_pattern, target_modules, use_dora, use_rslora.',
        ),
        ("seed.x=3", "seed: 7 has no keys of its own."),
    ],
)
def test_mistakes_on_the_command_line(override: str, text: str) -> None:
    assert message({"seed": 7}, override) == f"command line: {text}"


@pytest.mark.parametrize(
    ("mapping", "kind"),
    [({"method": "lorra"}, "method"), ({"objective": "sfd"}, "objective"), ({"evaluate": {"metrics": ["acuracy"]}}, "metric")],
)
def test_unknown_plug_ins_are_named_with_the_known_ones(mapping: dict[str, Any], kind: str) -> None:
    right = {"method": "lora", "objective": "sft", "metric": "accuracy"}[kind]
    assert f'unknown {kind} "' in message(mapping)
    assert f'Did you mean "{right}"? Known: ' in message(mapping)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"model: m\ndata: [d\n", ":3: not valid YAML: expected ',' or ']', but got '<stream end>'."),
        (b"model: m\nmodel: n\n", ':2: not valid YAML: the key "model" stands here a second time.'),
        (b"model: m\n data: d\n", ":2: not valid YAML: mapping values are not allowed here."),
        (
            b"model: !!python/object/apply:os.system [x]\n",
            ":1: not valid YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.system'.",
        ),
        (b"model: \xff\n", ": not UTF-8 (byte 8). Save the file as UTF-8."),
        (
            b"- a\n",
            ": expected a mapping with the keys name, description, model, data, method, context, objective, rewards, train, evaluate, engine, arms, search, budget, budget_memory, budget_usd, prefer, export, seed, output_dir; found list.",
        ),
        (
            b"",
            ": expected a mapping with the keys name, description, model, data, method, context, objective, rewards, train, evaluate, engine, arms, search, budget, budget_memory, budget_usd, prefer, export, seed, output_dir; found nothing.",
        ),
        (b"model: m\n", ": data: missing."),
    ],
)
def test_mistakes_of_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        recipe.load("small.yaml")
    assert str(caught.value) == f"small.yaml{text}"


def test_an_unknown_recipe_is_told_with_the_nearest_shipped_one() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.load("review")
    assert str(caught.value).startswith('review: no such recipe file, and no shipped recipe of that name. Did you mean "reviews"? Known: ')


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot be read \(Is a directory\)"):
        recipe.load(tmp_path)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.txt"])
def test_a_file_of_data_is_no_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text('{"text": "a"}\n{"text": "b"}\n')
    with pytest.raises(RecipeError) as caught:
        recipe.load(name)
    assert (
        str(caught.value)
        == f"{name}: is a file of data, expected a recipe. Name one, and the data with it, as in `reviews data.train={name}`."
    )


def test_a_key_of_several_types_is_named_as_it_is_written() -> None:
    with pytest.raises(RecipeError, match=r"^command line: model\.add_tokens: expected a number >= 1, found 0\.$"):
        recipe.load("new-language", ["model.add_tokens=0"])
