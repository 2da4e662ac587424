"""axolotl's files: what they say is in the recipe, and what cannot be is listed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, dump, parse
from tunesmith.recipe.importing import Imported, import_recipe

DOCUMENTED = """\
base_model: NousResearch/Llama-3.2-1B

load_in_8bit: false
load_in_4bit: false
strict: false

datasets:
  - path: teknium/GPT4-LLM-Cleaned
    type: alpaca
dataset_prepared_path: last_run_prepared
val_set_size: 0.1
output_dir: ./outputs/lora-out

adapter: lora
lora_model_dir:

sequence_len: 2048
sample_packing: true
eval_sample_packing: true
pad_to_sequence_len: true

lora_r: 16
lora_alpha: 32
lora_dropout: 0.05
lora_fan_in_fan_out:
lora_target_modules:
  - gate_proj
  - down_proj
  - up_proj
  - q_proj
  - v_proj
  - k_proj
  - o_proj

wandb_project:
wandb_entity:

gradient_accumulation_steps: 2
micro_batch_size: 2
num_epochs: 1
optimizer: adamw_8bit
lr_scheduler: cosine
learning_rate: 0.0002

train_on_inputs: false
group_by_length: false
bf16: auto
fp16:
tf32: false

gradient_checkpointing: true
early_stopping_patience:
resume_from_checkpoint:
logging_steps: 1
flash_attention: true

loss_watchdog_threshold: 5.0
loss_watchdog_patience: 3

warmup_steps: 10
evals_per_epoch: 4
saves_per_epoch: 1
weight_decay: 0.0
special_tokens:
  pad_token: "<|end_of_text|>"
"""
"""The keys and values of the example that axolotl documents, examples/llama-3/lora-1b.yml."""

MINIMAL: dict[str, Any] = {
    "base_model": "m",
    "datasets": [{"path": "owner/set", "type": "alpaca"}],
    "adapter": "lora",
    "lora_r": 8,
    "lora_alpha": 16,
    "learning_rate": 1e-4,
}


def imported(folder: Path, keys: dict[str, Any] | str) -> tuple[Recipe, Imported]:
    """The recipe of a file in `folder`, read again by tunesmith's own loader."""
    file = folder / "config.yml"
    file.write_text(keys if isinstance(keys, str) else yaml.safe_dump(keys, sort_keys=False))
    made = import_recipe(file)
    read = parse(made.text, name="config")
    assert parse(dump(read), name="config") == read
    return read, made


def data(folder: Path, **entry: Any) -> tuple[Recipe, Imported]:
    return imported(folder, {**MINIMAL, "datasets": [{"path": "owner/set", **entry}]})


def left(made: Imported) -> dict[str, str]:
    return {one.key: f"{one.reason}. {one.cure}" for one in made.left}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_documented_example_is_carried_over(tmp_path: Path) -> None:
    recipe, made = imported(tmp_path, DOCUMENTED)
    assert made.program == "axolotl"
    assert (recipe.model.source, recipe.model.max_length) == ("NousResearch/Llama-3.2-1B", 2048)
    assert (recipe.data.train, recipe.data.format, recipe.data.split.validation) == ("teknium/GPT4-LLM-Cleaned", "alpaca", 0.1)
    modules = ["gate_proj", "down_proj", "up_proj", "q_proj", "v_proj", "k_proj", "o_proj"]
    options = {"r": 16, "lora_alpha": 32.0, "lora_dropout": 0.05, "target_modules": modules}
    assert {key: recipe.method.options[key] for key in options} == options
    train = recipe.train
    assert (train.epochs, train.learning_rate, train.schedule, train.examples_per_step) == (1.0, 2e-4, "cosine", 4)
    assert (train.optimizer, train.weight_decay, train.evaluations_per_epoch) == ("adamw", 0.0, 4)
    assert (recipe.engine.activation_checkpointing, recipe.engine.precision) == (True, "auto")
    assert (recipe.seed, recipe.output_dir) == (42, "./outputs/lora-out")


def test_what_the_documented_example_says_and_a_recipe_does_not_is_listed(tmp_path: Path) -> None:
    _, made = imported(tmp_path, DOCUMENTED)
    expected = {
        "dataset_prepared_path", "sample_packing", "eval_sample_packing", "pad_to_sequence_len", "logging_steps", "flash_attention", "loss_watchdog_threshold",
        "loss_watchdog_patience", "warmup_steps", "saves_per_epoch", "special_tokens",
    }  # fmt: skip
    assert set(left(made)) == expected  # not what is off, or has no value


def test_an_unknown_key_is_listed_and_one_without_a_value_is_not(tmp_path: Path) -> None:
    _, made = imported(tmp_path, {**MINIMAL, "made_up": 3, "empty": None, "wandb_project": "p"})
    assert "not known here" in left(made)["made_up"]
    assert "tracking" in left(made)["wandb_project"]
    assert "empty" not in left(made)


@pytest.mark.parametrize(
    ("entry", "form", "columns"),
    [
        ({"type": "alpaca:chat"}, "alpaca", {}),
        ({"type": "gpteacher"}, "alpaca", {"output": "response"}),
        ({"type": "alpaca_chat.load_qa"}, "pairs", {"source": "question", "target": "answer"}),
        ({"type": "sharegpt", "conversation": "chatml"}, "sharegpt", {}),
        ({"type": "chat_template"}, "messages", {}),
        ({"type": "chat_template", "field_messages": "conversations"}, "messages", {"messages": "conversations"}),
        (
            {"type": "chat_template", "field_messages": "turns", "message_property_mappings": {"role": "from", "content": "value"}},
            "sharegpt",
            {"conversations": "turns"},
        ),
        ({"type": "chat_template", "message_field_role": "role", "message_field_content": "content"}, "messages", {}),
        ({"type": "completion"}, "text", {}),
        ({"type": "completion", "field": "body"}, "text", {"text": "body"}),
        (
            {"type": {"field_instruction": "q", "field_output": "a", "system_prompt": "Be brief."}},
            "alpaca",
            {"instruction": "q", "output": "a"},
        ),
        ({}, "pretokenized", {}),
        ({"type": "input_output"}, "segments", {}),
    ],
)
def test_types_of_data(entry: dict[str, Any], form: str, columns: dict[str, str], tmp_path: Path) -> None:
    recipe, _ = data(tmp_path, **entry)
    assert (recipe.data.format, recipe.data.columns) == (form, columns)


def test_raw_text_is_continued_pretraining_and_all_else_learns_answers(tmp_path: Path) -> None:
    for entry, objective in (({"type": "completion"}, "causal_lm"), ({"type": "alpaca"}, "sft"), ({"type": "chat_template"}, "sft")):
        recipe, _ = data(tmp_path, **entry)
        assert recipe.objective is not None
        assert recipe.objective.name == objective
    recipe, _ = imported(
        tmp_path, {**MINIMAL, "datasets": None, "pretraining_dataset": [{"path": "owner/web", "name": "en", "text_column": "body"}]}
    )
    assert (recipe.data.train, recipe.data.columns, recipe.objective and recipe.objective.name) == (
        "owner/web/en",
        {"text": "body"},
        "causal_lm",
    )


def test_what_a_data_set_says_and_a_recipe_does_not_is_listed(tmp_path: Path) -> None:
    _, made = data(
        tmp_path,
        type="chat_template",
        roles_to_train=[],
        train_on_eos="turn",
        roles={"user": ["customer"]},
        field_system="persona",
        shards=4,
        odd=1,
    )
    found = left(made)
    assert {f"datasets[0].{key}" for key in ("roles_to_train", "train_on_eos", "roles", "field_system", "shards", "odd")} <= set(found)
    _, made = data(tmp_path, type="chat_template", roles={"user": "customer", "assistant": ["gpt"]})
    assert next(one.value for one in made.left if one.key == "datasets[0].roles") == '"customer"'
    _, made = data(tmp_path, type="oasst_best_of")
    assert "set data.format" in left(made)["datasets[0].type"]
    _, made = data(tmp_path, type={"format": "User: {instruction}\nAssistant:"})
    assert "chat template" in left(made)["datasets[0].type.format"]


def test_names_configurations_splits_and_files(tmp_path: Path) -> None:
    assert data(tmp_path, type="alpaca", name="en", split="train[:10%]")[0].data.train == "owner/set/en:train[:10%]"
    (tmp_path / "rows.jsonl").write_text("{}")
    assert imported(tmp_path, {**MINIMAL, "datasets": [{"path": "rows.jsonl", "type": "alpaca"}]})[0].data.train == "rows.jsonl"
    recipe, made = imported(tmp_path, {**MINIMAL, "datasets": [{"path": "json", "data_files": ["a.jsonl", "b.jsonl"], "type": "alpaca"}]})
    assert recipe.data.train == "a.jsonl"
    assert "pattern" in left(made)["datasets[0].data_files"]


def test_further_data_sets_are_listed_with_how_to_mix_them(tmp_path: Path) -> None:
    recipe, made = imported(
        tmp_path, {**MINIMAL, "datasets": [{"path": "a/b", "type": "alpaca"}, {"path": "c/d", "type": "alpaca", "split": "test"}]}
    )
    assert recipe.data.train == "a/b"
    assert "data.mix" in left(made)["datasets[1]"]
    assert "c/d:test" in left(made)["datasets[1]"]


def test_qlora_is_lora_on_nf4_and_no_adapter_is_full(tmp_path: Path) -> None:
    recipe, made = imported(tmp_path, {**MINIMAL, "adapter": "qlora", "load_in_4bit": True, "lora_target_linear": True})
    assert (recipe.method.name, recipe.method.options["target_modules"], recipe.model.quantization) == ("lora", "all-linear", "nf4")
    assert "load_in_4bit" not in left(made)
    recipe, made = imported(tmp_path, {**MINIMAL, "adapter": None, "load_in_8bit": True, "peft_use_dora": True})
    assert (recipe.method.name, recipe.model.quantization) == ("full", None)
    assert {"load_in_8bit", "peft_use_dora"} <= set(left(made))


def test_kinds_of_lora_and_a_base_of_eight_bits_are_carried(tmp_path: Path) -> None:
    keys = {"load_in_8bit": True, "peft_use_dora": True, "peft_use_rslora": True, "lora_modules_to_save": ["embed_tokens"]}
    recipe, _ = imported(tmp_path, {**MINIMAL, "adapter": "lora", **keys})
    assert recipe.model.quantization == "int8"
    assert {name: recipe.method.options[name] for name in ("use_dora", "use_rslora", "modules_to_save")} == {
        "use_dora": True, "use_rslora": True, "modules_to_save": ["embed_tokens"],
    }  # fmt: skip
    with pytest.raises(RecipeError, match="lora_modules_to_save: expected a list of names"):
        imported(tmp_path, {**MINIMAL, "adapter": "lora", "lora_modules_to_save": [1]})


def test_defaults_are_those_of_axolotl(tmp_path: Path) -> None:
    recipe, _ = imported(tmp_path, MINIMAL)
    assert (recipe.model.max_length, recipe.train.epochs, recipe.train.schedule, recipe.train.warmup_ratio) == (512, 1.0, "cosine", 0.03)
    assert recipe.train.examples_per_step == 1


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rl": "dpo"}, "rl: dpo: such recipes are not imported yet"),
        ({"reward_model": True}, "reward_model: reward_model: such recipes are not imported yet"),
        ({"datasets": None}, "datasets: missing"),
        ({"datasets": [{"type": "alpaca"}]}, "datasets: expected a list of data sets"),
        ({"datasets": [{"path": "https://a.example/b.jsonl", "type": "alpaca"}]}, "a file at an address is read by its hash"),
        ({"learning_rate": None}, "learning_rate: missing"),
        ({"adapter": "llama-adapter"}, "adapter: llama-adapter is not imported"),
        ({"micro_batch_size": "two"}, "micro_batch_size: expected a whole number of at least 1"),
        ({"base_model": None}, "base_model: missing"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        imported(tmp_path, {**MINIMAL, **keys})
    assert "\n" not in str(caught.value)
