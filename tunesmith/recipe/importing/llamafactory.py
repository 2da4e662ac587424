"""LLaMA-Factory's training files.

Source: LLaMA-Factory, examples/README.md and the documentation of its arguments; what it does not name is transformers' TrainingArguments.
"""

from typing import Any

from tunesmith.recipe.importing.described import Described, carry_format, find_described, source_of
from tunesmith.recipe.importing.draft import Draft
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

_STAGES = {"sft": "sft", "pt": "causal_lm"}
_ALWAYS_PACKED = ("rows are always packed, and never attend to each other", "")
_ANOTHER_ADAPTER = ("this kind of LoRA is not here yet", "plain LoRA trains instead; expect other results")
_BY_EPOCH = ("validations are counted by the epoch", "set train.evaluations_per_epoch")
_OUTSIDE: dict[str, tuple[str, str]] = {
    **MODEL_OUTSIDE,
    "do_train": (NOTHING_TO_DO, ""),
    "do_eval": ("base and tuned are always measured", ""),
    "do_predict": ("base and tuned are always measured", ""),
    "predict_with_generate": ("answers are always written and compared", ""),
    "overwrite_cache": ("what is kept is found by its content", ""),
    "overwrite_output_dir": ("a run is never overwritten", "name another output_dir, or remove the old run with `tunesmith runs rm`"),
    "preprocessing_num_workers": (NOTHING_TO_DO, ""),
    "preprocessing_batch_size": (NOTHING_TO_DO, ""),
    "plot_loss": ("the report plots it", ""),
    "packing": _ALWAYS_PACKED,
    "neat_packing": _ALWAYS_PACKED,
    "flash_attn": ("the attention is chosen by a probe of the model", "set model.attention to force it"),
    "enable_liger_kernel": ("kernels are chosen by what they are faster at", ""),
    "use_unsloth": ("kernels are chosen by what they are faster at", ""),
    "per_device_eval_batch_size": (NOTHING_TO_DO, ""),
    "eval_accumulation_steps": (NOTHING_TO_DO, ""),
    "eval_steps": _BY_EPOCH,
    "eval_strategy": _BY_EPOCH,
    "evaluation_strategy": _BY_EPOCH,
    "save_strategy": ("a checkpoint is saved at every validation", "set train.checkpoint_every_steps for more"),
    "save_only_model": ("what is saved can always be resumed, and holds the adapter or the model on its own", ""),
    "streaming": ("rows are read before training", "large files stay on the disk: data.on_disk"),
    "buffer_size": (NOTHING_TO_DO, ""),
    "data_seed": ("one seed draws everything", ""),
    "train_on_prompt": ("prompts are read and not learned, unless asked for", "set data.loss_on to all"),
    "mask_history": ("every answer of a conversation is learned", "set data.loss_on to last"),
    "quantization_method": ("4 bits are bitsandbytes' here, 8 bits are whole numbers with one step a row", ""),
    "double_quantization": ("the steps of 4 bits are always packed too", ""),
    "rope_scaling": ("positions are those that the model was trained with", "choose a model with a longer context"),
    "adapter_name_or_path": (
        "an adapter to go on from is a model here",
        "set model.source to its folder: it is folded into its base first",
    ),
    "pissa_init": _ANOTHER_ADAPTER,
    "loraplus_lr_ratio": _ANOTHER_ADAPTER,
    "create_new_adapter": (NOTHING_TO_DO, ""),
    "tool_format": (
        "the chat template decides how tools are written",
        "set data.chat_template to hermes where the model's own leaves them out",
    ),
    "enable_thinking": ("the tokenizer's own chat template decides", "look at `tunesmith data preview FILE`"),
    "eval_on_each_dataset": ("validation is one set", "name others in evaluate.domains"),
}


def carry(draft: Draft) -> None:
    """Fill a draft from the keys of LLaMA-Factory. Raises: RecipeError, for what is not trained here."""
    stage = draft.text("stage", "sft") or "sft"
    if stage not in _STAGES:
        raise draft.refusal(
            "stage",
            f"{stage}: such recipes (rm, ppo, dpo, kto) are not imported yet, only sft and pt. Write one with objective=dpo, kto, orpo or reward.",
        )
    _carry_model(draft)
    _carry_data(draft, is_text=stage == "pt")
    _carry_method(draft)
    draft.put("objective", _STAGES[stage])
    _carry_training(draft)
    seed = draft.number("seed", 42, whole=True, least=0)
    draft.put("seed", seed, "" if draft.has("seed") else "seed is not given: the default there.")
    if folder := draft.text("output_dir"):
        draft.put("output_dir", folder)
    draft.leave_known(_OUTSIDE)


def _carry_model(draft: Draft) -> None:
    name = draft.text("model_name_or_path")
    if not name:
        raise draft.refusal("model_name_or_path", "missing. Name the model to start from.")
    draft.put("model.source", name)
    carry_trust(draft, "model_revision")
    draft.put(
        "model.max_length",
        draft.number("cutoff_len", 2048, whole=True, least=2),
        "" if draft.has("cutoff_len") else "cutoff_len is not given: the default there.",
    )


def _carry_data(draft: Draft, *, is_text: bool) -> None:
    names = _listed(draft, "dataset")
    if not names:
        raise draft.refusal("dataset", "missing. Name the data as dataset_info.json does.")
    first, *others = find_described(draft, names, "dataset")
    draft.put("data.train", source_of(draft, first))
    carry_format(draft, first, is_text=is_text)
    for one in others:
        draft.leave(
            "dataset", f"{one.name} is a further data set; the first, {first.name}, is data.train", _mixed(draft, one), value=one.name
        )
    if not others:
        draft.seen.update(("mix_strategy", "interleave_probs"))
    else:
        draft.leave_known(
            dict.fromkeys(
                ("mix_strategy", "interleave_probs"), ("of several data sets the first is carried over", "give each its share in data.mix")
            )
        )
    _carry_limits(draft, first)
    _carry_splits(draft, first, is_text=is_text)
    if system := draft.text("default_system"):
        draft.put("data.system", system)
    template = draft.text("template")
    if template and not is_text:
        draft.leave(
            "template",
            "conversations are written in the tokenizer's own chat template",
            "compare with `tunesmith data preview FILE`; an instruct model's own is the one it knows",
        )
    elif template:
        draft.leave("template", "raw text is in no template", "")


def _mixed(draft: Draft, one: Described) -> str:
    return f"to train on several, name each with its share in data.mix in place of data.train; this one is {source_of(draft, one)}"


def _carry_limits(draft: Draft, first: Described) -> None:
    limits = [draft.number("max_samples", None, whole=True, least=1), first.entry.get("num_samples")]
    if found := [int(limit) for limit in limits if isinstance(limit, int) and limit > 0]:
        draft.put("data.limit.train", min(found), "Counted after validation and test are held out.")


def _carry_splits(draft: Draft, first: Described, *, is_text: bool) -> None:
    evaluated = _listed(draft, "eval_dataset")
    size = draft.number("val_size", 0, least=0)
    if evaluated:
        one, *others = find_described(draft, evaluated, "eval_dataset")
        draft.put("data.validation", source_of(draft, one))
        if (one.columns, one.tags, one.entry.get("formatting")) != (first.columns, first.tags, first.entry.get("formatting")):
            draft.leave("eval_dataset", "validation is read as the training data is", f"bring {one.name} into its form", value=one.name)
        for other in others:
            draft.leave("eval_dataset", "validation is one set", f"name {source_of(draft, other)} in evaluate.domains", value=other.name)
    elif size:
        draft.put("data.split.validation", float(size))
    else:
        draft.put("data.split.validation", 0.05, "val_size is not given; here the best weights are chosen on validation rows.")
    why = "Held out to compare base and tuned, which LLaMA-Factory does not do. Name data.test to train on these rows too."
    draft.put("data.split.test", 0.1, why)


def _listed(draft: Draft, key: str) -> list[str]:
    value: Any = draft.take(key, [])
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise draft.refusal(key, "expected names, parted by commas.")
    return [part.strip() for part in parts if part.strip()]


def _carry_method(draft: Draft) -> None:
    kind = draft.text("finetuning_type", "lora")
    if kind == "full":
        draft.put("method.name", "full")
        draft.leave_known(
            dict.fromkeys(
                ("lora_rank", "lora_alpha", "lora_dropout", "lora_target", "additional_target", *LORA_KINDS), ("all weights train", "")
            )
        )
        draft.leave("quantization_bit", "weights that train are not packed into fewer bits", "use lora, or expect to need more memory")
        return
    if kind != "lora":
        raise draft.refusal(
            "finetuning_type", f"{kind} is not imported; lora and full are. `tunesmith recipe schema` lists the methods here."
        )
    rank = draft.number("lora_rank", 8, whole=True, least=1)
    targets = _listed(draft, "lora_target") or ["all"]
    draft.put("method.name", "lora")
    draft.put("method.r", rank, "" if draft.has("lora_rank") else "lora_rank is not given: the default there.")
    draft.put(
        "method.lora_alpha",
        float(draft.number("lora_alpha", 2 * rank)),
        "" if draft.has("lora_alpha") else "lora_alpha is not given: twice the rank, as there.",
    )
    draft.put("method.lora_dropout", float(draft.number("lora_dropout", 0.0, least=0)))
    draft.put("method.target_modules", "all-linear" if "all" in targets else targets)
    carry_lora(draft, LORA_KINDS)
    if saved := _listed(draft, "additional_target"):
        draft.put("method.modules_to_save", saved)
    _carry_quantization(draft)


def _carry_quantization(draft: Draft) -> None:
    bits, kind = draft.number("quantization_bit", None, whole=True, least=1), draft.text("quantization_type", "nf4")
    if bits in (4, 8):
        draft.put("model.quantization", "int8" if bits == 8 else "fp4" if kind == "fp4" else "nf4")
    elif bits is not None:
        draft.leave("quantization_bit", "weights are packed into 4 or 8 bits", "set model.quantization to one of its forms")


def _carry_training(draft: Draft) -> None:
    carry_steps(draft, 3.0, "num_train_epochs")
    rate = draft.number("learning_rate", 5e-5)
    draft.put("train.learning_rate", float(rate), "" if draft.has("learning_rate") else "learning_rate is not given: the default there.")
    carry_optimizer(draft, "optim")
    carry_adam(draft)
    draft.put("train.weight_decay", float(draft.number("weight_decay", 0.0, least=0)))
    carry_warmup(draft, carry_schedule(draft, "lr_scheduler_type", "linear"), 0.0)
    carry_clipping(draft)
    at_once = draft.number("per_device_train_batch_size", 8, whole=True, least=1)
    times = draft.number("gradient_accumulation_steps", 1, whole=True, least=1)
    draft.put(
        "train.examples_per_step",
        at_once * times,
        f"per_device_train_batch_size {at_once} x gradient_accumulation_steps {times}, on one device; with more, times their number.",
    )
    saved = draft.number("save_steps", None)
    if saved is not None and saved >= 1:
        draft.put("train.checkpoint_every_steps", int(saved))
    patience = draft.number("early_stopping_steps", None, whole=True, least=1)
    if patience is not None:
        draft.put("train.early_stopping_patience", patience)
    carry_weights(draft)
    if draft.is_on("pure_bf16"):
        draft.put("engine.precision", "bf16")
    if draft.is_on("disable_gradient_checkpointing"):
        draft.put("engine.activation_checkpointing", False)
    elif draft.is_on("gradient_checkpointing"):
        draft.put("engine.activation_checkpointing", True)
