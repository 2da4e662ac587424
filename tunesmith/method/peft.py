"""peft: whatever else the library peft knows that changes a model's modules in place.

`peft_type` names the way as peft does; the other options are the fields of peft's own config for it, with peft's meanings and defaults, but for
`target_modules`, which is `all-linear` where the type does not say itself which modules it is for. VeRA, the default, adds to a frozen W (out x in)

    y = W x + b * B (d * A x)        A (r x in) and B (out x r) random, frozen, shared by all layers; d (r) and b (out) train, b begins at zero

so that a layer adds r + out trained parameters.

Source: Mangrulkar et al. (2022), "PEFT", https://github.com/huggingface/peft; Kopiczko, Blankevoort, Asano (2023), "VeRA: Vector-based Random Matrix
Adaptation", https://arxiv.org/abs/2310.11454, equation 2.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from pydantic import TypeAdapter, ValidationError
from torch import nn

from tunesmith.core.errors import MethodError, did_you_mean, one_line
from tunesmith.core.registry import OtherOptions
from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._named import check_names
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._peft import inject, load_adapter, save_adapter

__all__ = ["Peft"]

_REFUSED = {
    "PROMPT_TUNING": "puts learned tokens before a text and changes no module. Use the method prompt",
    "MULTITASK_PROMPT_TUNING": "puts learned tokens before a text and changes no module. Use the method prompt",
    "CPT": "puts learned tokens before a text and changes no module. Use the method prompt",
    "P_TUNING": "puts learned tokens before a text and changes no module. Use the method p_tuning",
    "PREFIX_TUNING": "puts learned keys and values before a text and changes no module. Use the method prefix",
    "CARTRIDGE": "puts learned keys and values before a text and changes no module. Use the method prefix",
    "ADALORA": "moves ranks between layers on a schedule that is to be told of every step, and this loop tells none. Use the method lora, with rank_pattern",
    "ADAPTION_PROMPT": "replaces the attention of a few models by its own, which knows nothing of packed texts. Use the method prefix",
    "XLORA": "mixes adapters that were trained before. Use the method lora",
    "POLY": "is told the task of every text, and this model is not. Use the method lora",
    "SHADOW": "runs a second model beside the first, not inside of it. Use the method lora",
}
"""Types that take more than modules changed in place -> why, and what to use."""
_MOVES = {"FOURIERFT", "VBLORA", "UNILORA", "C3A"}
"""Their weights begin at random where they act on the output too."""
_UNMERGEABLE = {"LILY", "BEFT"}
"""LILY's change depends on the text; BEFT's is a bias, and many a layer has none."""
_OWN_TARGETS = {"LN_TUNING", "TRAINABLE_TOKENS"}
"""Types that are for norms or for the embedding: which of them, peft knows."""
_LORA_STARTS = (True, False, "gaussian", "orthogonal")
"""Values of init_lora_weights that leave the base as it is and need nothing of it."""
_SET_HERE = {"peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"}


@dataclass(frozen=True, kw_only=True)
class Peft:
    """Train what a config of peft's describes."""

    peft_type: str = "VERA"
    """The way, by peft's name: VERA, LOHA, LOKR, OFT, BOFT, HRA, FOURIERFT, RANDLORA, MISS, LN_TUNING, ..."""
    options: OtherOptions = field(default_factory=dict)
    """Any field of peft's config of that type: r, target_modules, modules_to_save, ..."""

    virtual_tokens: ClassVar[int] = 0
    learning_rate: ClassVar[float] = 5e-3
    base_precision: ClassVar[BasePrecision] = "exact"

    def __post_init__(self) -> None:
        """Raises: MethodError, for a type that is not there or does not work so, and an option that its config has not or refuses."""
        known = {str(kind.value): config for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
        if self.peft_type in _REFUSED:
            raise MethodError(f"method.peft_type: {self.peft_type} {_REFUSED[self.peft_type]}.")
        if self.peft_type not in known:
            raise MethodError(
                f"method.peft_type: {self.peft_type}: unknown to peft.{did_you_mean(self.peft_type, set(known) - set(_REFUSED))}"
            )
        config = known[self.peft_type]
        names = {one.name for one in fields(config)} - _SET_HERE
        for name, value in self.options.items():
            if name not in names:
                raise MethodError(f"method.{name}: unknown option of peft's {self.peft_type}.{did_you_mean(name, names)}")
            if name == "init_lora_weights" and value not in _LORA_STARTS:
                raise MethodError(
                    f"method.init_lora_weights: {value}: expected true, false, gaussian or orthogonal. "
                    "Others rewrite the base's weights, which stay as they are here, or read weights or data as they begin."
                )
            _check_kind(config, name, value)
        self._config("")

    @property
    def mergeable(self) -> bool:
        """Whether the change can be folded into the model's own weights."""
        return self.peft_type not in _UNMERGEABLE

    @property
    def starts_at_base(self) -> bool:
        """Whether the untrained method leaves the model's outputs as they are, to rounding; where weights begin otherwise than peft lets them, no."""
        return self.peft_type not in _MOVES and not any(
            name.startswith("init_") and value is not True for name, value in self.options.items()
        )

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Put the type's layers into `trunk`, through peft.

        Returns: one group with what trains.
        Raises: MethodError, where no module has one of the names, the type does not fit it, or tokens were added to the model.
        """
        refuse_new_tokens(trunk, "peft")
        config: Any = self._config(str(getattr(trunk, "name_or_path", "")))
        check_names(trunk, "target_modules", getattr(config, "target_modules", None) or [])
        check_names(trunk, "modules_to_save", self.options.get("modules_to_save") or [])
        try:
            return inject(trunk, config, "peft")
        except NotImplementedError:
            if not any(p.is_meta for p in trunk.parameters()):
                raise
            return []  # the type reads weights as it begins, and this copy of the model has none: frozen they stay all the same

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the adapter in peft's format."""
        save_adapter(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load an adapter that `save`, or peft, wrote."""
        load_adapter(trunk, folder)

    def _config(self, base: str) -> PeftConfig:
        config = PEFT_TYPE_TO_CONFIG_MAPPING[self.peft_type]  # type: ignore[index]  # its keys are texts
        names, given = {one.name for one in fields(config)}, {**self.options}
        if "target_modules" in names and self.peft_type not in _OWN_TARGETS and "target_modules" not in given:
            given["target_modules"] = "all-linear"
            if "feedforward_modules" in names:
                given.setdefault("feedforward_modules", [])
        try:
            return config(**given, base_model_name_or_path=base)
        except (ValueError, TypeError) as error:
            raise MethodError(f"method: peft refuses the options of {self.peft_type}: {one_line(error)}") from error


def _check_kind(config: type[PeftConfig], name: str, value: Any) -> None:
    """Raises: MethodError, where the value is of another kind than peft's own annotation says."""
    hint: Any = get_type_hints(config).get(name, Any)
    try:
        TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]
        raise MethodError(f"method.{name}: found {value!r}: {said['msg'][:1].lower()}{said['msg'][1:]}.") from None
    except Exception:  # an annotation that pydantic cannot read: peft checks the value itself, or not
        return
