"""What is compared: the workloads, and the change of a recipe that makes each method. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.workload import BenchmarkError

__all__ = ["LEFT_OUT", "METHODS", "WORKLOADS", "ZERO_SHOT", "Named", "Workload", "chosen"]

ZERO_SHOT = "zero-shot"
"""The row of the base model, which is asked in every leg."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A shipped recipe, and what is measured on its test rows."""

    recipe: str
    title: str
    metrics: tuple[str, ...]
    """The first is what the table is sorted by."""
    num_asked: int
    """Test rows that tuned model and base are asked for the slow-down."""
    timed: tuple[str, ...] = ()
    """Changes of the recipe for the leg that is timed, which runs alone; where there are none, it is that of the first seed."""


WORKLOADS: Mapping[str, Workload] = {
    one.recipe: one
    for one in (
        Workload("reviews", "Film reviews, negative or positive, with MiniLM", ("accuracy",), 256),
        Workload(
            "docstrings",
            "Docstrings of Python functions, with SmolLM2-135M",
            ("bits_per_byte", "rougeL"),
            16,
            ("train.max_steps=20", "data.limit.validation=16", "data.limit.test=16", "evaluate.generate_limit=1"),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Named:
    """A row of the table: the shipped recipes with `overrides`."""

    title: str
    overrides: tuple[str, ...]
    workloads: tuple[str, ...] = tuple(WORKLOADS)


METHODS: Mapping[str, Named] = {
    "head": Named("head", ("method.name=head",), ("reviews",)),
    "bitfit": Named("BitFit", ("method.name=bitfit",)),
    "layers": Named("last layers", ("method.name=layers",)),
    "adapter_houlsby": Named("adapters, Houlsby", ("method.name=adapter", "method.placement=houlsby")),
    "adapter_pfeiffer": Named("adapters, Pfeiffer", ("method.name=adapter", "method.placement=pfeiffer")),
    "adapter_parallel": Named("adapters, parallel", ("method.name=adapter", "method.placement=parallel")),
    "ia3": Named("IA3", ("method.name=ia3",)),
    "prompt": Named("prompt tuning", ("method.name=prompt",)),
    "prefix": Named("prefix tuning", ("method.name=prefix",)),
    "p_tuning": Named("P-tuning", ("method.name=p_tuning",)),
    "lora": Named("LoRA", ("method.name=lora",)),
    "lora_r8": Named("LoRA, r = 8", ("method.name=lora", "method.r=8", "method.lora_alpha=16"), ("reviews",)),
    "dora": Named("LoRA with DoRA", ("method.name=lora", "method.use_dora=true")),
    "qlora": Named("QLoRA, NF4", ("method.name=qlora",)),
    "lora_int8": Named("LoRA on int8", ("method.name=lora", "model.quantization=int8")),
    "vera": Named("VeRA, of peft", ("method.name=peft", "method.peft_type=VERA")),
    "full": Named("full", ("method.name=full",)),
}
"""By the names that `--methods` takes. `lora_r8` is there because the recipe's rank of 16 is more than 2 % of MiniLM; that of `docstrings` is 8."""

LEFT_OUT: Mapping[str, str] = {
    "direct": "adjusts a model that was trained already, and neither recipe begins with one",
    "new_tokens": "trains the rows of added tokens alone, and neither recipe adds any",
}
"""Methods that have no row, and why."""


def chosen(names: Sequence[str] | None, known: Sequence[str], option: str) -> list[str]:
    """Those of `known` that are asked for, in its order; all where none is named. Raises: BenchmarkError, for one that is not known."""
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise BenchmarkError(f"{option}: {', '.join(unknown)}: not known. Known: {', '.join(known)}.")
    return [name for name in known if names is None or name in names]
