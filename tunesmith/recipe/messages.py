"""One line for each thing that can be wrong with a recipe."""

from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.core.errors import did_you_mean

__all__ = ["AT_KEY", "TEXT", "UNKNOWN_OPTION", "explain", "nearest", "shown"]

TEXT = "text"
"""Type of a pydantic error whose context holds its whole `text`."""
AT_KEY = "at_key"
"""The same, about a `key` below the place where it was raised."""
UNKNOWN_OPTION = "unknown_option"
"""Type of a pydantic error about a `key` that is none of the `known` ones."""

PEER_NAMES = {
    "lora_rank": "r",
    "lora_r": "r",
    "rank": "r",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "lora_target": "target_modules",
    "lora_target_modules": "target_modules",
    "lr": "learning_rate",
    "batch_size": "examples_per_step",
    "per_device_train_batch_size": "examples_per_step",
    "micro_batch_size": "examples_per_step",
    "gradient_accumulation_steps": "examples_per_step",
    "train_batch_size": "examples_per_step",
    "num_train_epochs": "epochs",
    "num_epochs": "epochs",
    "optim": "optimizer",
    "adam_beta1": "betas",
    "adam_beta2": "betas",
    "lr_scheduler": "schedule",
    "lr_scheduler_type": "schedule",
    "scheduler": "schedule",
    "warmup_steps": "warmup_ratio",
    "max_norm": "max_grad_norm",
    "grad_clip": "max_grad_norm",
    "gradient_clipping": "max_grad_norm",
    "metric_for_best_model": "select_by",
    "patience": "early_stopping_patience",
    "save_steps": "checkpoint_every_steps",
    "eval_steps": "evaluations_per_epoch",
    "model_name_or_path": "model",
    "model_name": "model",
    "base_model": "model",
    "model_id": "model",
    "finetuning_type": "method",
    "adapter": "method",
    "peft": "method",
    "task": "objective",
    "stage": "objective",
    "loss": "objective",
    "dataset": "data",
    "datasets": "data",
    "train_file": "train",
    "dataset_name": "train",
    "path": "source",
    "name_or_path": "source",
    "validation_file": "validation",
    "eval": "validation",
    "dev": "validation",
    "test_file": "test",
    "max_samples": "limit",
    "mix_strategy": "mix_by",
    "interleave_probs": "mix",
    "stride": "overlap",
    "val_size": "split",
    "val_set_size": "split",
    "id2label": "labels",
    "label_names": "labels",
    "prompt_template": "template",
    "system_prompt": "system",
    "max_seq_length": "max_length",
    "max_seq_len": "max_length",
    "sequence_len": "max_length",
    "cutoff_len": "max_length",
    "attn_implementation": "attention",
    "evaluation": "evaluate",
    "dtype": "precision",
    "bf16": "precision",
    "fp16": "precision",
    "output": "output_dir",
    "random_seed": "seed",
}
"""What transformers, trl, peft, axolotl and LLaMA-Factory call it -> what it is called here."""

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "string_too_short": "text",
    "none_required": "null",
}


def nearest(word: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """` Did you mean "x"? Known: ...`, where x may be what another program's `word` is called here, or a key of another section."""
    here = sorted(known)
    name = PEER_NAMES.get(word, word)
    if name not in here and elsewhere and name in elsewhere:
        return f' Did you mean "{elsewhere[name]}"? Known here: {", ".join(here) or "nothing"}.'
    return did_you_mean(name if name in here else word, here)


def explain(error: Mapping[str, Any]) -> str:
    """What is wrong with the value of a key, in one sentence that begins in lower case."""
    kind, context, found = error["type"], error.get("ctx") or {}, error.get("input")
    if kind in (AT_KEY, TEXT):
        return str(context["text"])
    if kind == "missing":
        return "missing."
    if kind == "value_error":
        return str(context["error"])
    if kind in _EXPECTED:
        expected = _EXPECTED[kind]
    elif kind in ("too_long", "too_short"):
        expected, found = f"{context.get('max_length', context.get('min_length'))} values", context["actual_length"]
    elif kind == "literal_error":
        expected = f"one of {context['expected']}".replace("'", "").replace(" or ", ", ")
    elif kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        sign = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}[kind]
        expected = f"a number {sign} {next(iter(context.values())):g}"
    else:
        text = str(error["msg"])
        return f"{text[0].lower()}{text[1:]}, found {shown(found)}."
    return f"expected {expected}, found {shown(found)}."


def shown(value: Any) -> str:
    """A value, short enough for one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}..."'
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return str(value)
