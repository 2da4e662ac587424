"""axolotl's configuration files.

Source: axolotl, the documentation of its configuration; what it does not name is transformers' TrainingArguments.
"""

from typing import Any

from tunesmith.recipe.importing.draft import Draft
from tunesmith.recipe.importing.listed import Listed, carry_format, source_of
from tunesmith.recipe.importing.training import (
    LORA_KINDS,
    MODEL_OUTSIDE,
    NOTHING_TO_DO,
    carry_adam,
    carry_clipping,
    carry_lora,
    carry_optimizer,
    carry_schedule,
    carry_steps,
    carry_trust,
    carry_warmup,
    carry_weights,
)

__all__ = ["carry"]

_WARMUP = 0.03
"""The share of the steps that axolotl warms up for where it is told nothing."""
_ALWAYS_PACKED = ("rows are always packed, and never attend to each other", "")
_BY_PROBE = ("the attention is chosen by a probe of the model", "set model.attention to force it")
_OWN_KINDS = ("the model's kind is read off its own files", "")
_NO_CODE = ("code of other packages does not run here", "see docs/adding-a-plugin.md for plug-ins of tunesmith's own")
_UNREAD_WEIGHTS = ("weights packed by GPTQ are not read", "name the model in its own precision; load_in_4bit packs that")
_ALL_TRAIN = ("all weights train", "")
_LORA_KINDS = tuple(f"peft_{name}" for name in LORA_KINDS)
_KERNELS = ("kernels are chosen by what they are faster at", "")
_ANOTHER_ADAPTER = ("this kind of LoRA is not here yet", "plain LoRA trains instead; expect other results")
_OUTSIDE: dict[str, tuple[str, str]] = {
    **MODEL_OUTSIDE,
    "strict": (NOTHING_TO_DO, ""),
    "debug": (NOTHING_TO_DO, ""),
    "model_type": _OWN_KINDS,
    "tokenizer_type": _OWN_KINDS,
    "is_llama_derived_model": _OWN_KINDS,
    "is_mistral_derived_model": _OWN_KINDS,
    "is_falcon_derived_model": _OWN_KINDS,
    "is_qwen_derived_model": _OWN_KINDS,
    "tokenizer_use_fast": (NOTHING_TO_DO, ""),
    "base_model_config": ("a model brings its own config", "leave it out, or change the config in the model's folder"),
    "tokenizer_config": ("a model brings its own tokenizer", "put the tokenizer's files into the model's folder"),
    "dataset_prepared_path": ("what is kept is found by its content, in the cache", ""),
    "dataset_processes": (NOTHING_TO_DO, ""),
    "shuffle_merged_datasets": (NOTHING_TO_DO, ""),
    "sample_packing": _ALWAYS_PACKED,
    "eval_sample_packing": _ALWAYS_PACKED,
    "pad_to_sequence_len": _ALWAYS_PACKED,
    "flash_attention": _BY_PROBE,
    "xformers_attention": _BY_PROBE,
    "sdp_attention": _BY_PROBE,
    "s2_attention": _BY_PROBE,
    "attn_implementation": _BY_PROBE,
    "lora_fan_in_fan_out": ("read off the layers", ""),
    "lora_model_dir": ("an adapter to go on from is a model here", "set model.source to its folder: it is folded into its base first"),
    "loraplus_lr_ratio": _ANOTHER_ADAPTER,
    "lora_mlp_kernel": _KERNELS,
    "lora_qkv_kernel": _KERNELS,
    "lora_o_kernel": _KERNELS,
    "gptq": _UNREAD_WEIGHTS,
    "train_on_inputs": ("prompts are read and not learned, unless asked for", "set data.loss_on to all"),
    "chat_template_jinja": (
        "conversations are written in the tokenizer's own chat template",
        "put it into a .jinja file, and name that in data.chat_template",
    ),
    "special_tokens": (
        "tokens are the tokenizer's own",
        "change them in the model's tokenizer_config.json",
    ),
    "tokens": ("tokens are the tokenizer's own", "set model.add_tokens"),
    "added_tokens_overrides": ("tokens are the tokenizer's own", "add them to the model's tokenizer first"),
    "plugins": _NO_CODE,
    "saves_per_epoch": ("a checkpoint is saved at every validation", "set train.checkpoint_every_steps for more"),
    "save_strategy": ("a checkpoint is saved at every validation", "set train.checkpoint_every_steps for more"),
    "eval_steps": ("validations are counted by the epoch", "set train.evaluations_per_epoch"),
    "eval_strategy": ("validations are counted by the epoch", "set train.evaluations_per_epoch"),
    "eval_batch_size": (NOTHING_TO_DO, ""),
    "eval_table_size": ("the report shows answers side by side", "set evaluate.samples"),
    "loss_watchdog_threshold": ("a loss that is no number stops the training", ""),
    "loss_watchdog_patience": ("a loss that is no number stops the training", ""),
    "save_safetensors": ("safetensors are always written", ""),
    "dataset_exact_deduplication": ("equal rows stay together in one split, and are counted", "`tunesmith data dedupe` leaves them out"),
}
_TRACKERS = ("wandb_", "mlflow_", "comet_", "swanlab_", "use_wandb", "use_mlflow", "use_comet", "use_tensorboard", "use_swanlab")


def carry(draft: Draft) -> None:
    """Fill a draft from the keys of axolotl. Raises: RecipeError, for what is not trained here."""
    kind = draft.take("rl") or ("reward_model" if draft.is_on("reward_model") or draft.is_on("process_reward_model") else None)
    if kind:
        key = "rl" if draft.has("rl") else "reward_model"
        raise draft.refusal(
            key,
            f"{kind}: such recipes are not imported yet, only answers (sft) and raw text. Write one with objective=dpo, kto, orpo or reward.",
        )
    name = draft.text("base_model")
    if not name:
        raise draft.refusal("base_model", "missing. Name the model to start from.")
    draft.put("model.source", name)
    carry_trust(draft, "revision_of_model")
    draft.put(
        "model.max_length",
        draft.number("sequence_len", 512, whole=True, least=2),
        "" if draft.has("sequence_len") else "sequence_len is not given: the default there.",
    )
    _carry_data(draft)
    _carry_method(draft)
    form = draft.values["data"].get("format")
    if form != "pretokenized":  # there the labels decide
        draft.put("objective", "causal_lm" if form == "text" else "sft")
    _carry_training(draft)
    seed = draft.number("seed", 42, whole=True, least=0)
    draft.put("seed", seed, "" if draft.has("seed") else "seed is not given: the default there.")
    if folder := draft.text("output_dir"):
        draft.put("output_dir", folder)
    if isinstance(tokens := draft.take("special_tokens"), dict) and set(tokens) <= {"pad_token"}:
        draft.leave("special_tokens", "rows are not padded")
        draft.leave_known({key: why for key, why in _OUTSIDE.items() if key != "special_tokens"})
    else:
        draft.leave_known(_OUTSIDE)
    for key in draft.given:
        if key.startswith(_TRACKERS):
            draft.leave(key, "no tracking service is told of a run")


def _carry_data(draft: Draft) -> None:
    raw = _entries(draft, "pretraining_dataset")
    entries = [Listed("pretraining_dataset", place, {"type": "completion", **one}) for place, one in enumerate(raw)]
    entries += [Listed("datasets", place, one) for place, one in enumerate(_entries(draft, "datasets"))]
    if not entries:
        raise draft.refusal("datasets", "missing. Name the data, as in `datasets: [{path: data.jsonl, type: alpaca}]`.")
    first, *others = entries
    draft.put("data.train", source_of(draft, first))
    carry_format(draft, first)
    for one in others:
        draft.leave(
            one.name,
            f"a further data set; the first, {first.entry.get('path')}, is data.train",
            f"to train on several, name each with its share in data.mix in place of data.train; this one is {source_of(draft, one)}",
            value=one.entry.get("path"),
        )
    _carry_splits(draft)
    template = draft.text("chat_template")
    if template and template != "tokenizer_default":
        draft.leave(
            "chat_template",
            "conversations are written in the tokenizer's own chat template",
            "compare with `tunesmith data preview FILE`; an instruct model's own is the one it knows",
        )
    if system := draft.text("default_system_message"):
        draft.put("data.system", system)


def _carry_splits(draft: Draft) -> None:
    evaluated = [Listed("test_datasets", place, one) for place, one in enumerate(_entries(draft, "test_datasets"))]
    size = draft.number("val_set_size", 0, least=0)
    if evaluated:
        one, *others = evaluated
        draft.put("data.validation", source_of(draft, one), "test_datasets there: measured while it trains.")
        for other in others:
            draft.leave(
                other.name, "validation is one set", f"name {source_of(draft, other)} in evaluate.domains", value=other.entry.get("path")
            )
    elif size:
        draft.put("data.split.validation", float(size))
    else:
        draft.put("data.split.validation", 0.05, "val_set_size is not given; here the best weights are chosen on validation rows.")
    why = "Held out to compare base and tuned, which axolotl does not do. Name data.test to train on these rows too."
    draft.put("data.split.test", 0.1, why)


def _entries(draft: Draft, key: str) -> list[dict[str, Any]]:
    value = draft.take(key, [])
    entries = [{"path": value}] if isinstance(value, str) else [value] if isinstance(value, dict) else value
    entries = [{"path": one} if isinstance(one, str) else one for one in entries] if isinstance(entries, list) else entries
    if not isinstance(entries, list) or not all(isinstance(one, dict) and isinstance(one.get("path"), str) for one in entries):
        raise draft.refusal(key, "expected a list of data sets, each with its `path`.")
    return entries


def _carry_method(draft: Draft) -> None:
    adapter = draft.text("adapter")
    modules, linear = draft.take("lora_target_modules", []), draft.is_on("lora_target_linear")
    rank, alpha, dropout = (
        draft.number("lora_r", 8, whole=True, least=1),
        draft.number("lora_alpha", None),
        draft.number("lora_dropout", 0.0, least=0),
    )
    if adapter is None:
        draft.put("method.name", "full", "No adapter: all weights train.")
        packed = ("weights that train are not packed into fewer bits", "use an adapter, or expect to need more memory")
        draft.leave_known(
            {"load_in_4bit": packed, "load_in_8bit": packed, **dict.fromkeys((*_LORA_KINDS, "lora_modules_to_save"), _ALL_TRAIN)}
        )
        return
    if adapter not in ("lora", "qlora"):
        raise draft.refusal(
            "adapter", f"{adapter} is not imported; lora, qlora and none are. `tunesmith recipe schema` lists the methods here."
        )
    draft.put("method.name", "lora")
    if draft.is_on("load_in_8bit"):
        draft.put("model.quantization", "int8")
    elif draft.is_on("load_in_4bit") or adapter == "qlora":
        draft.put("model.quantization", "nf4")
    draft.put("method.r", rank, "" if draft.has("lora_r") else "lora_r is not given: peft's default.")
    draft.put(
        "method.lora_alpha",
        float(alpha if alpha is not None else 8),
        "" if alpha is not None else "lora_alpha is not given: peft's default.",
    )
    draft.put("method.lora_dropout", float(dropout))
    if linear or modules == "all-linear" or not modules:
        draft.put("method.target_modules", "all-linear", "" if linear or modules else "No layers are named there.")
    elif isinstance(modules, str) or (isinstance(modules, list) and all(isinstance(one, str) for one in modules)):
        draft.put("method.target_modules", modules)
    else:
        raise draft.refusal("lora_target_modules", "expected names of layers.")
    carry_lora(draft, _LORA_KINDS)
    saved = draft.take("lora_modules_to_save", [])
    if not isinstance(saved, list) or not all(isinstance(one, str) for one in saved):
        raise draft.refusal("lora_modules_to_save", "expected a list of names.")
    if saved:
        draft.put("method.modules_to_save", saved)


def _carry_training(draft: Draft) -> None:
    carry_steps(draft, 1.0, "num_epochs")
    if not draft.has("learning_rate"):
        raise draft.refusal("learning_rate", "missing. axolotl has no default for it.")
    draft.put("train.learning_rate", float(draft.number("learning_rate")))
    carry_optimizer(draft, "optimizer")
    carry_adam(draft)
    draft.put("train.weight_decay", float(draft.number("weight_decay", 0.0, least=0)))
    carry_warmup(draft, carry_schedule(draft, "lr_scheduler", "cosine"), _WARMUP)
    carry_clipping(draft)
    at_once = draft.number("micro_batch_size", 1, whole=True, least=1)
    if draft.has("batch_size") and not draft.has("gradient_accumulation_steps"):
        draft.put("train.examples_per_step", draft.number("batch_size", whole=True, least=1), "batch_size there.")
    else:
        times = draft.number("gradient_accumulation_steps", 1, whole=True, least=1)
        draft.put(
            "train.examples_per_step",
            at_once * times,
            f"micro_batch_size {at_once} x gradient_accumulation_steps {times}, on one device; with more, times their number.",
        )
    if draft.take("sample_packing"):
        draft.comments["train.examples_per_step"] += (
            " With sample_packing each of them is a sequence of several rows there, so that steps here are smaller."
        )
    times = draft.number("evals_per_epoch", None, whole=True, least=0)
    if times:
        draft.put("train.evaluations_per_epoch", times)
    saved = draft.number("save_steps", None)
    if saved is not None and saved >= 1:
        draft.put("train.checkpoint_every_steps", int(saved))
    patience = draft.number("early_stopping_patience", None, whole=True, least=1)
    if patience is not None:
        draft.put("train.early_stopping_patience", patience)
    carry_weights(draft)
    if draft.take("gradient_checkpointing") not in (None, False):
        draft.put("engine.activation_checkpointing", True)
    draft.leave("gradient_checkpointing_kwargs", "activations are computed again layer by layer", "")
