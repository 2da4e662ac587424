"""What both programs hand to transformers' Trainer, and so call alike: optimizer, schedule, warm-up, precision.

Source: transformers, documentation of TrainingArguments.
"""

from collections.abc import Sequence

from tunesmith.recipe.importing.draft import Draft

__all__ = [
    "LORA_KINDS",
    "MODEL_OUTSIDE",
    "NOTHING_TO_DO",
    "carry_adam",
    "carry_clipping",
    "carry_lora",
    "carry_optimizer",
    "carry_schedule",
    "carry_steps",
    "carry_trust",
    "carry_warmup",
    "carry_weights",
]

_PLAIN = ("adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_apex_fused", "adamw")
_SCHEDULES = ("constant", "linear", "cosine")

NOTHING_TO_DO = "nothing here depends on it"

_ONE_DEVICE = ("one process and one device train here", "leave it out; a larger model needs a GPU that holds it")
_TOLD_NOBODY = ("no tracking service is told of a run", "")
MODEL_OUTSIDE: dict[str, tuple[str, str]] = {
    "deepspeed": _ONE_DEVICE,
    "fsdp": _ONE_DEVICE,
    "fsdp_config": _ONE_DEVICE,
    "ddp_timeout": (NOTHING_TO_DO, ""),
    "local_rank": (NOTHING_TO_DO, ""),
    "logging_steps": ("every step is written to the run's steps.jsonl", ""),
    "report_to": _TOLD_NOBODY,
    "run_name": ("a run is named by its recipe and the time", ""),
    "save_total_limit": ("the best weights and the latest checkpoint are kept", ""),
    "load_best_model_at_end": ("the best weights are always kept", ""),
    "resume_from_checkpoint": (
        "checkpoints of other programs are not read",
        "a run that was interrupted goes on with `tunesmith runs resume RUN`",
    ),
    "group_by_length": ("rows are packed without padding", ""),
    "tf32": (NOTHING_TO_DO, ""),
    "dataloader_num_workers": ("rows are encoded once, before training", ""),
    "remove_unused_columns": (NOTHING_TO_DO, ""),
    "push_to_hub": ("nothing is uploaded", "upload the run's adapter/ or model/ folder with `hf upload`"),
    "hub_model_id": ("nothing is uploaded", "upload the run's adapter/ or model/ folder with `hf upload`"),
    "neftune_noise_alpha": ("no noise is added to embeddings", "expect other results, or leave it out there too when you compare"),
    "label_smoothing_factor": ("labels are not smoothed", "expect other results, or leave it out there too when you compare"),
    "metric_for_best_model": (
        "the best weights are those of the lowest validation loss, or of the objective's first metric",
        "set train.select_by to change that",
    ),
    "torch_compile": ("compiled where the training is long enough to win", "set engine.compile to force it"),
}
"""Keys of transformers' Trainer that have no place in a recipe, with the reason and what to do."""


def carry_optimizer(draft: Draft, key: str) -> None:
    """The optimizer: every adamw is adamw, in full precision."""
    name = str(draft.take(key, "adamw_torch"))
    plain = name.removeprefix("OptimizerNames.").lower()
    if "adamw" in plain:
        why = "" if plain in _PLAIN else f"{name} there: the same rule, its state kept in float32 and on the device here."
        draft.put("train.optimizer", "adamw", why)
    elif plain in ("adam", "sgd", "rmsprop"):
        draft.put("train.optimizer", plain)
    else:
        draft.put("train.optimizer", "adamw", f"{name} there, which is not here.")
        draft.leave(key, "the optimizers here are adamw, adam, sgd and rmsprop", "train.optimizer is adamw; look for a learning rate anew")


def carry_adam(draft: Draft) -> None:
    """Decay of the running means, and epsilon."""
    if draft.has("adam_beta1") or draft.has("adam_beta2"):
        betas = [float(draft.number("adam_beta1", 0.9, least=0)), float(draft.number("adam_beta2", 0.999, least=0))]
        draft.put("train.betas", betas)
    if draft.number("adam_epsilon", 1e-8) != 1e-8:
        draft.leave("adam_epsilon", "epsilon is 1e-8 here", "nothing, as long as it is small")


def carry_clipping(draft: Draft) -> None:
    """Length of the gradient; 0 there means not clipped."""
    norm = draft.number("max_grad_norm", 1.0, least=0)
    if draft.has("max_grad_norm"):
        draft.put("train.max_grad_norm", float(norm) if norm else None)


def carry_steps(draft: Draft, epochs: float, epochs_key: str) -> None:
    """How long to train."""
    draft.put(
        "train.epochs",
        float(draft.number(epochs_key, epochs)),
        "" if draft.has(epochs_key) else f"{epochs_key} is not given: the default there.",
    )
    steps = draft.number("max_steps", None, whole=True)
    if steps is not None and steps > 0:
        draft.put("train.max_steps", steps)


def carry_schedule(draft: Draft, key: str, default: str) -> str:
    """The learning rate's way to zero. Returns: its name there."""
    name = str(draft.take(key, default))
    if name in _SCHEDULES:
        draft.put("train.schedule", name, "" if draft.has(key) else f"{key} is not given: the default there.")
    elif name == "constant_with_warmup":
        draft.put("train.schedule", "constant")
    else:
        nearest = "cosine" if "cosine" in name else "linear"
        draft.put("train.schedule", nearest, f"{name} there, which is not here.")
        draft.leave(key, "the schedules here are constant, linear and cosine", f"train.schedule is {nearest}")
    if draft.has(f"{key}_kwargs"):
        draft.leave(
            f"{key}_kwargs", "the schedules here have no options of their own", "train.schedule goes to zero, cosine in half a wave"
        )
    return name


def carry_warmup(draft: Draft, schedule: str, default: float) -> None:
    """Steps in which the learning rate rises: a share of all here."""
    steps = draft.number("warmup_steps", 0, least=0)
    ratio = draft.number("warmup_ratio", default, least=0)
    if schedule == "constant":
        draft.put("train.warmup_ratio", 0.0, "The schedule constant has no warm-up there.")
        return
    if 0 < steps < 1:  # newer versions take a share there
        draft.put("train.warmup_ratio", float(steps))
    elif steps and draft.values["train"].get("max_steps"):
        total = draft.values["train"]["max_steps"]
        draft.put("train.warmup_ratio", round(min(steps / total, 1.0), 4), f"warmup_steps {steps:g} of max_steps {total}.")
    elif steps:
        draft.put("train.warmup_ratio", 0.05, f"warmup_steps {steps:g} there; a share of all steps here.")
        draft.leave(
            "warmup_steps",
            "the warm-up is a share of all steps here",
            "`tunesmith tune FILE --dry-run` prints the steps; set train.warmup_ratio to warmup_steps divided by them",
        )
    else:
        draft.put("train.warmup_ratio", float(ratio), "" if draft.has("warmup_ratio") else "Not given: the default there.")


def carry_weights(draft: Draft) -> None:
    """Numbers that the model computes in. Both switches off, or `auto`: as the device is best at."""
    bf16, fp16 = draft.take("bf16", False), draft.take("fp16", False)
    if fp16 is True and bf16 is not True:
        draft.leave(
            "fp16",
            "float16 needs its losses scaled, which is not done here",
            "engine.precision is auto: bf16 where the device is faster in it, else fp32",
        )
    elif bf16 not in (False, "auto"):
        draft.put("engine.precision", "bf16")


LORA_KINDS = ("use_dora", "use_rslora")
"""Switches of peft's LoRA."""


def carry_lora(draft: Draft, keys: Sequence[str]) -> None:
    """The switches LORA_KINDS, by the names that they have there."""
    for key, name in zip(keys, LORA_KINDS, strict=True):
        if draft.is_on(key):
            draft.put(f"method.{name}", True)


def carry_trust(draft: Draft, revision_key: str) -> None:
    """The model's commit, and whether its own code may run."""
    revision = draft.text(revision_key)
    if revision is not None and revision != "main":
        draft.put("model.revision", revision)
    if draft.is_on("trust_remote_code"):
        if revision is not None and revision != "main":
            draft.put("model.trust_remote_code", True)
        else:
            draft.leave(
                "trust_remote_code",
                "code that comes with a model runs only at a commit that you name",
                "most models need none; else set model.revision and model.trust_remote_code",
            )
