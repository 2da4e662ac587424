"""LLaMA-Factory's files: what they say is in the recipe, and what cannot be is listed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, dump, parse
from tunesmith.recipe.importing import Imported, import_recipe

DOCUMENTED = """\
### model
model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct
trust_remote_code: true

### method
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all

### dataset
dataset: identity,alpaca_en_demo
template: llama3
cutoff_len: 2048
max_samples: 1000
overwrite_cache: true
preprocessing_num_workers: 16

### output
output_dir: saves/llama3-8b/lora/sft
logging_steps: 10
save_steps: 500
plot_loss: true
overwrite_output_dir: true

### train
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
ddp_timeout: 180000000

### eval
# val_size: 0.1
"""
"""The keys and values of the example that LLaMA-Factory documents, examples/train_lora/llama3_lora_sft.yaml."""

INFO: dict[str, Any] = {
    "identity": {"file_name": "identity.json"},
    "alpaca_en_demo": {"file_name": "alpaca_en_demo.json"},
    "renamed": {
        "file_name": "rows.jsonl",
        "columns": {"prompt": "question", "query": "context", "response": "answer", "system": "persona"},
    },
    "raw": {"file_name": "wiki.txt", "columns": {"prompt": "text"}},
    "raw_renamed": {"hf_hub_url": "owner/wiki", "subset": "en", "split": "validation", "columns": {"prompt": "body"}},
    "human_gpt": {
        "hf_hub_url": "owner/chats",
        "formatting": "sharegpt",
        "columns": {"messages": "turns", "system": "persona", "tools": "tools"},
    },
    "openai": {
        "file_name": "chats.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"},
        "num_samples": 50,
    },
    "odd_tags": {"file_name": "x.jsonl", "formatting": "sharegpt", "tags": {"role_tag": "speaker", "content_tag": "says"}},
    "preferred": {"file_name": "p.json", "ranking": True, "columns": {"chosen": "chosen", "rejected": "rejected"}},
    "liked": {"file_name": "k.json", "columns": {"kto_tag": "label"}},
    "chinese": {"ms_hub_url": "owner/chats"},
    "nothing": {"formatting": "alpaca"},
}

MINIMAL = {"model_name_or_path": "m", "dataset": "identity"}


def imported(folder: Path, keys: dict[str, Any] | str) -> tuple[Recipe, Imported]:
    """The recipe of a file in `folder`, read again by tunesmith's own loader."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "dataset_info.json").write_text(json.dumps(INFO))
    file = folder / ("train.yaml" if isinstance(keys, str) else "train.json")
    file.write_text(keys if isinstance(keys, str) else json.dumps(keys))
    made = import_recipe(file)
    read = parse(made.text, name="train")
    assert parse(dump(read), name="train") == read
    return read, made


def left(made: Imported) -> dict[str, str]:
    return {one.key: f"{one.reason}. {one.cure}" for one in made.left}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_documented_example_is_carried_over(tmp_path: Path) -> None:
    recipe, made = imported(tmp_path, DOCUMENTED)
    assert made.program == "LLaMA-Factory"
    assert (recipe.model.source, recipe.model.max_length) == ("meta-llama/Meta-Llama-3-8B-Instruct", 2048)
    assert recipe.data.train == "data/identity.json"
    assert (recipe.data.format, recipe.data.limit.train, recipe.data.split.test) == ("alpaca", 1000, 0.1)
    assert recipe.method.name == "lora"
    assert {key: recipe.method.options[key] for key in ("r", "lora_alpha", "lora_dropout", "target_modules")} == {
        "r": 8, "lora_alpha": 16.0, "lora_dropout": 0.0, "target_modules": "all-linear",
    }  # fmt: skip
    assert recipe.objective is not None
    assert recipe.objective.name == "sft"
    train = recipe.train
    assert (train.epochs, train.learning_rate, train.schedule, train.warmup_ratio) == (3.0, 1e-4, "cosine", 0.1)
    assert (train.examples_per_step, train.optimizer, train.weight_decay, train.checkpoint_every_steps) == (8, "adamw", 0.0, 500)
    assert (recipe.engine.precision, recipe.seed, recipe.output_dir) == ("bf16", 42, "saves/llama3-8b/lora/sft")


def test_what_the_documented_example_says_and_a_recipe_does_not_is_listed(tmp_path: Path) -> None:
    _, made = imported(tmp_path, DOCUMENTED)
    found = left(made)
    assert "data.mix" in found["dataset"]
    assert "data/alpaca_en_demo.json" in found["dataset"]
    assert "model.revision" in found["trust_remote_code"]
    assert "chat template" in found["template"]
    assert {
        "do_train",
        "overwrite_cache",
        "preprocessing_num_workers",
        "logging_steps",
        "plot_loss",
        "overwrite_output_dir",
        "ddp_timeout",
    } <= set(found)
    assert "# Not carried over:" in made.text
    assert "alpaca_en_demo" in made.text


def test_every_key_is_in_the_recipe_or_in_the_list(tmp_path: Path) -> None:
    _, made = imported(tmp_path, {**MINIMAL, "made_up_key": 7, "another": {"a": [1]}})
    found = {one.key: one for one in made.left}
    assert found["made_up_key"].value == "7"
    assert "not known here" in found["made_up_key"].reason
    assert found["another"].value == '{"a": [1]}'


def test_defaults_are_those_of_llamafactory_and_of_transformers_and_are_said(tmp_path: Path) -> None:
    recipe, made = imported(tmp_path, MINIMAL)
    assert (recipe.model.max_length, recipe.method.options["r"], recipe.method.options["lora_alpha"]) == (2048, 8, 16.0)
    train = recipe.train
    assert (train.epochs, train.learning_rate, train.schedule, train.warmup_ratio, train.examples_per_step) == (3.0, 5e-5, "linear", 0.0, 8)
    assert recipe.seed == 42
    for key in ("cutoff_len", "lora_rank", "num_train_epochs", "learning_rate", "lr_scheduler_type", "seed"):
        assert f"# {key} is not given: the default there." in made.text


def test_the_scale_of_lora_is_twice_its_rank(tmp_path: Path) -> None:
    recipe, _ = imported(tmp_path, {**MINIMAL, "lora_rank": 32, "lora_target": "q_proj, v_proj"})
    assert (recipe.method.options["lora_alpha"], recipe.method.options["target_modules"]) == (64.0, ["q_proj", "v_proj"])


def test_columns_that_are_called_otherwise(tmp_path: Path) -> None:
    recipe, _ = imported(tmp_path, {**MINIMAL, "dataset": "renamed"})
    assert recipe.data.columns == {"instruction": "question", "input": "context", "output": "answer", "system": "persona"}


def test_pretraining_reads_its_text_from_the_column_prompt(tmp_path: Path) -> None:
    recipe, _ = imported(tmp_path, {**MINIMAL, "stage": "pt", "dataset": "raw", "template": "default"})
    assert (recipe.data.train, recipe.data.format, recipe.data.columns) == ("data/wiki.txt", "text", {})
    assert recipe.objective is not None
    assert recipe.objective.name == "causal_lm"
    recipe, _ = imported(tmp_path, {**MINIMAL, "stage": "pt", "dataset": "raw_renamed"})
    assert (recipe.data.train, recipe.data.columns) == ("owner/wiki/en:validation", {"text": "body"})


def test_conversations_of_human_and_gpt_and_of_openai(tmp_path: Path) -> None:
    recipe, made = imported(tmp_path, {**MINIMAL, "dataset": "human_gpt"})
    assert (recipe.data.train, recipe.data.format) == ("owner/chats", "sharegpt")
    assert recipe.data.columns == {"conversations": "turns", "system": "persona"}
    assert "tools are not read" in left(made)["human_gpt.columns.tools"]
    recipe, _ = imported(tmp_path, {**MINIMAL, "dataset": "openai", "max_samples": 900})
    assert (recipe.data.format, recipe.data.columns, recipe.data.limit.train) == ("messages", {}, 50)


def test_messages_that_are_written_otherwise_are_listed(tmp_path: Path) -> None:
    _, made = imported(tmp_path, {**MINIMAL, "dataset": "odd_tags"})
    assert "rename the keys" in left(made)["odd_tags.tags"]
    assert next(one.value for one in made.left if one.key == "odd_tags.tags") == '"speaker, says, human, gpt"'


@pytest.mark.parametrize("stage", ["rm", "ppo", "dpo", "kto"])
def test_stages_that_are_not_trained_here_are_refused_in_one_line(stage: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=rf"train\.yaml:2: stage: {stage}: such recipes .* are not imported yet") as caught:
        imported(tmp_path, f"model_name_or_path: m\nstage: {stage}\ndataset: preferred\n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"dataset": "preferred"}, r"preferred\.ranking: recipes of preferences are not imported yet"),
        ({"dataset": "liked"}, r"liked\.columns\.kto_tag: recipes of preferences are not imported yet"),
        ({"dataset": "chinese"}, r"chinese\.ms_hub_url: ModelScope's hub is not read here"),
        ({"dataset": "nothing"}, r"nothing\.file_name: missing"),
        ({"dataset": "identiti"}, r'describes no "identiti"\. Did you mean "identity"'),
        ({"dataset": ""}, "dataset: missing"),
        ({"finetuning_type": "freeze"}, "finetuning_type: freeze is not imported"),
        ({"lora_rank": "eight"}, 'lora_rank: expected a whole number of at least 1, found "eight"'),
        ({"lora_rank": 1.5}, "lora_rank: expected a whole number"),
        ({"bf16": "true", "pure_bf16": 3}, "pure_bf16: expected true or false, found 3"),
        ({"learning_rate": 0}, r"train\.learning_rate: expected a number > 0"),
        ({"dataset_dir": "elsewhere", "dataset": ["a", 1]}, "dataset: expected names"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        imported(tmp_path, {**MINIMAL, **keys})
    assert "\n" not in str(caught.value)


def test_a_file_without_its_dataset_info_says_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("model_name_or_path: m\ndataset: x\n")
    with pytest.raises(RecipeError, match=r"a\.yaml:2: dataset: the data is described in dataset_info\.json, which is in none of data/"):
        import_recipe("a.yaml")


def test_dataset_info_may_lie_beside_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "below"
    folder.mkdir()
    (folder / "dataset_info.json").write_text('{"x": {"file_name": "x.json"}}')
    (folder / "a.yaml").write_text("model_name_or_path: m\ndataset: x\n")
    assert parse(import_recipe(folder / "a.yaml").text, name="a").data.train == "below/x.json"


def test_a_folder_of_files_becomes_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.jsonl").write_text("{}")
    (tmp_path / "dataset_info.json").write_text('{"x": {"file_name": "parts"}}')
    (tmp_path / "a.yaml").write_text("model_name_or_path: m\ndataset: x\n")
    assert parse(import_recipe("a.yaml").text, name="a").data.train == "parts/*.jsonl"


def test_warmup_steps_become_a_share_where_the_steps_are_known(tmp_path: Path) -> None:
    recipe, _ = imported(tmp_path, {**MINIMAL, "max_steps": 200, "warmup_steps": 10})
    assert (recipe.train.max_steps, recipe.train.warmup_ratio) == (200, 0.05)
    _, made = imported(tmp_path, {**MINIMAL, "warmup_steps": 10})
    assert "--dry-run" in left(made)["warmup_steps"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"optim": "adamw_8bit"}, ("adamw", "linear", 1.0)),
        ({"optim": "adafactor"}, ("adamw", "linear", 1.0)),
        ({"optim": "sgd", "max_grad_norm": 0}, ("sgd", "linear", None)),
        ({"lr_scheduler_type": "cosine_with_restarts"}, ("adamw", "cosine", 1.0)),
        ({"lr_scheduler_type": "constant_with_warmup", "max_grad_norm": 0.3}, ("adamw", "constant", 0.3)),
    ],
)
def test_optimizers_schedules_and_clipping(keys: dict[str, Any], expected: tuple[Any, ...], tmp_path: Path) -> None:
    recipe, made = imported(tmp_path, {**MINIMAL, **keys})
    assert (recipe.train.optimizer, recipe.train.schedule, recipe.train.max_grad_norm) == expected
    assert ("optim" in left(made)) == (keys.get("optim") == "adafactor")
    assert ("lr_scheduler_type" in left(made)) == ("restarts" in str(keys))


def test_full_tuning_in_float16_on_four_bits_says_what_it_cannot(tmp_path: Path) -> None:
    recipe, made = imported(
        tmp_path, {**MINIMAL, "finetuning_type": "full", "fp16": True, "quantization_bit": 4, "lora_rank": 8, "use_dora": False}
    )
    assert (recipe.method.name, recipe.engine.precision) == ("full", "auto")
    assert {"fp16", "quantization_bit", "lora_rank"} <= set(left(made))
    assert "use_dora" not in left(made)  # off there, absent here


@pytest.mark.parametrize(
    ("keys", "form"),
    [
        ({"quantization_bit": 4, "quantization_method": "bnb", "double_quantization": True}, "nf4"),
        ({"quantization_bit": 4, "quantization_type": "fp4"}, "fp4"),
        ({"quantization_bit": 8}, "int8"),
        ({"quantization_bit": 3}, None),
        ({}, None),
    ],
)
def test_bits_are_a_form_of_the_base(keys: dict[str, Any], form: str | None, tmp_path: Path) -> None:
    recipe, made = imported(tmp_path, {**MINIMAL, **keys})
    assert recipe.model.quantization == form
    assert ("quantization_bit" in left(made)) == (keys.get("quantization_bit") == 3)


def test_kinds_of_lora_are_carried(tmp_path: Path) -> None:
    recipe, _ = imported(tmp_path, {**MINIMAL, "use_dora": True, "use_rslora": True, "additional_target": "embed_tokens,lm_head"})
    assert (recipe.method.options["use_dora"], recipe.method.options["use_rslora"]) == (True, True)
    assert recipe.method.options["modules_to_save"] == ["embed_tokens", "lm_head"]


def test_a_named_evaluation_set_is_the_validation(tmp_path: Path) -> None:
    recipe, _ = imported(tmp_path, {**MINIMAL, "eval_dataset": "alpaca_en_demo"})
    assert recipe.data.validation == "data/alpaca_en_demo.json"
    _, made = imported(tmp_path, {**MINIMAL, "eval_dataset": "openai"})
    assert "validation is read as the training data is" in left(made)["eval_dataset"]
