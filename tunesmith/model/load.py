"""Load a base model: its module, its tokenizer, and what is known of it."""

import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_MAPPING,
)

from tunesmith.core.errors import Interrupted, ModelError, one_line
from tunesmith.core.types import ModelFacts
from tunesmith.model._quiet import quiet
from tunesmith.model.facts import read_facts
from tunesmith.model.networks import register
from tunesmith.model.source import Need, Progress, Request, SourceInfo, drawn, resolve

register()

__all__ = ["LoadedModel", "Pooling", "can_predict_tokens", "describe", "is_causal", "load", "load_folder", "store_weights"]

Pooling = Literal["first", "mean", "last"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A base model in evaluation mode, every parameter of `trunk` used by its forward pass."""

    trunk: nn.Module
    tokenizer: PreTrainedTokenizerFast
    facts: ModelFacts
    source: SourceInfo
    """Its `adapters` and `heads` are not applied: that is a method's and the caller's work."""
    pooling: Pooling
    """How the model's makers read a vector from a sequence: their own setting where there is one, else last for causal models and mean."""


def load(
    source: str | SourceInfo,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    max_length: int | None = None,
    need: Need = "any",
    dtype: torch.dtype = torch.float32,
    attn_implementation: str = "sdpa",
    random_seed: int | None = None,
    progress: Progress | None = None,
    beside: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Bring a model to this machine and load it.

    Args:
        source: an alias, a folder, a .gguf file, a run, or a hub id; or what is known of one that is here already.
        need: "lm": the whole language model; "mlm": an encoder with its masked-LM head; "encoder": the module that gives hidden states, with no head; "any": the first that it can.
        max_length: the most tokens of a sequence, at most the model's own; None: as the model's tokenizer and settings say.
        beside: what the source does not say of itself: `source.BESIDE`.
        random_seed: what draws random weights in place of the model's own; None: its own.
    Raises: ModelError, where there is no such model, or not of that kind; FetchError, where it cannot be fetched.
    """
    info = source if isinstance(source, SourceInfo) else resolve(Request(source, revision, trust_remote_code, progress, beside or {}))
    if random_seed is not None:
        info = drawn(info, random_seed)
    return load_folder(info, max_length=max_length, need=need, dtype=dtype, attn_implementation=attn_implementation)


def load_folder(
    info: SourceInfo,
    *,
    max_length: int | None = None,
    need: Need = "any",
    dtype: torch.dtype = torch.float32,
    attn_implementation: str = "sdpa",
) -> LoadedModel:
    """Load a model whose files are here already. Raises: ModelError, as `load` does."""
    with quiet():
        config = _config(info)
        tokenizer = _tokenizer(info)
        need = _settled_need(info, config, need)
        trunk = (_trunk if info.drawn_by is None else _drawn)(info, config, need, dtype, attn_implementation)
    pad = _ensure_pad(tokenizer, config)
    facts = read_facts(
        trunk, tokenizer, info, pad_token_id=pad, is_causal=is_causal(config) and not trunk.config.is_encoder_decoder, max_length=max_length
    )
    return LoadedModel(trunk.eval(), tokenizer, facts, info, _pooling(info.folder, facts.is_causal))


def store_weights(trunk: nn.Module, dtype: torch.dtype) -> None:
    """Keep the weights in `dtype`, in place, but for those that the model's makers want in float32.

    Buffers stay as they are: the frequencies of rotary positions lose their meaning in bfloat16.
    """
    kept = tuple(getattr(trunk, "_keep_in_fp32_modules_strict", None) or ())
    for name, p in trunk.named_parameters():
        if not any(part in name for part in kept):
            p.data = p.data.to(dtype)


def describe(info: SourceInfo, need: Need = "any") -> tuple[nn.Module, ModelFacts]:
    """A model without its weights (on torch's meta device) and its facts: enough to count. Raises: ModelError."""
    with quiet():
        config = _config(info)
        tokenizer = _tokenizer(info)
        need = _settled_need(info, config, need)
        with torch.device("meta"):
            module = _made(info, config, need)
        module.tie_weights()
    return module, read_facts(module, tokenizer, info, pad_token_id=_ensure_pad(tokenizer, config), is_causal=is_causal(config))


def load_tokenizer(
    source: str | SourceInfo,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    max_length: int | None = None,
    need: Need = "any",
    beside: Mapping[str, Any] | None = None,
) -> tuple[PreTrainedTokenizerFast, ModelFacts]:
    """A model's tokenizer and facts without its weights: enough to encode and to count. Arguments and errors as `load` has them."""
    info = source if isinstance(source, SourceInfo) else resolve(Request(source, revision, trust_remote_code, beside=beside or {}))
    module, facts = describe(info, need)
    with quiet():
        tokenizer = _tokenizer(info)
    pad = _ensure_pad(tokenizer, module.config)  # type: ignore[arg-type]
    return tokenizer, read_facts(module, tokenizer, info, pad_token_id=pad, is_causal=facts.is_causal, max_length=max_length)


def is_causal(config: PreTrainedConfig) -> bool:
    """Whether a token sees only those before it (decoder-only models). Encoders that can be *made* decoders are not."""
    if config.is_encoder_decoder or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return False
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return bool(getattr(config, "is_decoder", False))
    return getattr(config, "attn_type", "uni") != "bi" and not getattr(config, "use_bidirectional_attention", False)


def can_predict_tokens(config: PreTrainedConfig) -> bool:
    """Whether the model writes text: decoder-only, or encoder-decoder with a vocabulary head."""
    if config.is_encoder_decoder:
        return type(config) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    return is_causal(config)


def _config(info: SourceInfo) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(info.folder, trust_remote_code=info.trust_remote_code)
    except Interrupted:
        raise
    except Exception as error:  # the config's own code checks its values, each in its own way
        raise ModelError(f"{info.folder / 'config.json'}: cannot be used ({one_line(error, 200)}). Save the model again.") from error
    senses = [name for key, name in (("vision_config", "images"), ("audio_config", "audio")) if getattr(config, key, None) is not None]
    main_input = getattr(_body_class(config), "main_input_name", "input_ids")
    if main_input != "input_ids" and not senses:
        senses = ["images"] if main_input.startswith("pixel") else ["audio"] if main_input.startswith("input_") else [main_input]
    if senses:
        raise ModelError(
            f"model.source: {info.name}: is a model of {' and '.join(senses)} ({config.model_type}). tunesmith adapts models of text only; name one of text."
        )
    return config


def _settled_need(info: SourceInfo, config: PreTrainedConfig, need: Need) -> Need:
    if need == "any":
        return "lm" if can_predict_tokens(config) else "encoder"
    if need == "lm" and not can_predict_tokens(config):
        raise ModelError(
            f"model.source: {info.name}: is an encoder ({config.model_type}) and cannot write text. Decoder-only and encoder-decoder models can "
            "(Llama, Qwen, Gemma, GPT-2, T5, BART, ...), smollm2-135m-instruct among them; an encoder can classify, or learn raw text with objective: masked_lm."
        )
    if need == "mlm" and (config.is_encoder_decoder or is_causal(config) or type(config) not in MODEL_FOR_MASKED_LM_MAPPING):
        raise ModelError(
            f"model.source: {info.name}: fills in no masked words ({config.model_type}). The objective masked_lm takes encoders such as bert-base-uncased or "
            "roberta-base; a model that writes text learns raw text with causal_lm."
        )
    return need


def _auto_class(config: PreTrainedConfig, need: Need) -> Any:
    if need == "encoder":
        return AutoModel
    if need == "mlm":
        return AutoModelForMaskedLM
    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def _encoder_saved_alone(config: PreTrainedConfig) -> type[Any] | None:
    """The class of an encoder-decoder's encoder that was saved without its decoder, as full tuning of a classifier does."""
    body = _body_class(config)
    if body is None or config.is_encoder_decoder or type(config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
        return None
    return getattr(sys.modules[body.__module__], (config.architectures or [""])[0], None)


def _no_pooler(config: PreTrainedConfig, need: Need) -> dict[str, bool]:
    """BERT's pooler would hold parameters that nothing uses."""
    body = _body_class(config) if need == "encoder" else None
    return {"add_pooling_layer": False} if body is not None and "add_pooling_layer" in inspect.signature(body).parameters else {}


def _body_class(config: PreTrainedConfig) -> type[Any] | None:
    """The class of an architecture's model without a head; None for one that is not transformers' own."""
    found: Any = MODEL_MAPPING.get(type(config), None)
    body: type[Any] | None = found[0] if isinstance(found, tuple) else found
    return body


def _trunk(info: SourceInfo, config: PreTrainedConfig, need: Need, dtype: torch.dtype, attention: str) -> Any:
    options: dict[str, Any] = {"config": config, "dtype": dtype, "use_safetensors": True, "trust_remote_code": info.trust_remote_code}
    options |= _no_pooler(config, need)
    auto_class = _encoder_saved_alone(config) or _auto_class(config, need)
    if auto_class is not AutoModel and need == "encoder":
        options.pop("trust_remote_code")  # transformers' own class: nothing else is run
    try:
        try:
            trunk, loading = auto_class.from_pretrained(info.folder, attn_implementation=attention, output_loading_info=True, **options)
        except (ValueError, ImportError) as error:
            if "attn" not in str(error) and "attention" not in str(error).lower():
                raise
            trunk, loading = auto_class.from_pretrained(info.folder, attn_implementation="eager", output_loading_info=True, **options)
    except ModelError:
        raise
    except Interrupted:
        raise
    except Exception as error:  # each architecture, and safetensors, fails in its own way
        raise ModelError(
            f"model.source: {info.name}: {info.folder} cannot be loaded ({one_line(error, 200)}). Copy or download it again."
        ) from error
    mismatched = [str(key[0] if isinstance(key, tuple) else key) for key in loading["mismatched_keys"]]
    if need == "encoder" and config.is_encoder_decoder:
        trunk = trunk.get_encoder()  # what is missing of the other half does not matter
        trunk.config.is_encoder_decoder = False
        missing = sorted(set(loading["missing_keys"]) & {f"encoder.{name}" for name, _ in trunk.named_parameters()})
    else:
        missing = sorted(loading["missing_keys"])
    if missing and need == "mlm":
        raise ModelError(
            f"model.source: {info.name}: was saved without a masked-LM head (its weights lack {missing[0]} and {len(missing) - 1} more tensors that a {type(trunk).__name__} needs). "
            "Name a model that was pretrained with one, such as bert-base-uncased."
        )
    if missing or mismatched:
        what = f"lack {missing[0]}" if missing else f"have another shape of {mismatched[0]}"
        count = len(missing) + len(mismatched)
        raise ModelError(
            f"model.source: {info.name}: its weights {what} ({count} tensors in all) that a {type(trunk).__name__} needs. It is another kind of model, or damaged."
        )
    return trunk


def _drawn(info: SourceInfo, config: PreTrainedConfig, need: Need, dtype: torch.dtype, attention: str) -> Any:
    """The architecture with the weights that transformers gives it before it is trained, drawn by the source's seed."""
    assert info.drawn_by is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(info.drawn_by)
        try:
            trunk = _made(info, config, need, dtype=dtype, attn_implementation=attention)
        except (ValueError, ImportError) as error:
            if "attention" not in str(error).lower():
                raise ModelError(f"model.source: {info.name}: {info.folder} cannot be made anew ({one_line(error, 200)}).") from error
            torch.manual_seed(info.drawn_by)
            trunk = _made(info, config, need, dtype=dtype, attn_implementation="eager")
    if need == "encoder" and config.is_encoder_decoder:
        trunk = trunk.get_encoder()
        trunk.config.is_encoder_decoder = False
    elif trunk.can_generate() and (info.folder / "generation_config.json").is_file():  # where answers end is no matter of weights
        trunk.generation_config = GenerationConfig.from_pretrained(info.folder)
    return trunk


def _made(info: SourceInfo, config: PreTrainedConfig, need: Need, **options: Any) -> Any:
    """The model with the weights that its class begins with."""
    options |= _no_pooler(config, need)
    alone = _encoder_saved_alone(config)
    if alone is not None:
        return alone._from_config(config, **options)
    return _auto_class(config, need).from_config(config, trust_remote_code=info.trust_remote_code, **options)


def _tokenizer(info: SourceInfo) -> PreTrainedTokenizerFast:
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(info.folder, trust_remote_code=info.trust_remote_code)
    except Interrupted:
        raise
    except Exception as error:  # each tokenizer's reader fails in its own way
        raise ModelError(
            f"model.source: {info.name}: the tokenizer in {info.folder} cannot be loaded ({one_line(error, 200)}). It needs a tokenizer.json."
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"model.source: {info.name}: has only a slow tokenizer ({type(tokenizer).__name__}); a tokenizer.json is needed. Convert it with transformers and save it."
        )
    return tokenizer  # type: ignore[no-any-return]


def _ensure_pad(tokenizer: PreTrainedTokenizerFast, config: PreTrainedConfig) -> int:
    """Give the tokenizer a padding token that the embedding already holds; masks hide it, so any will do."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
    pad = tokenizer.pad_token_id
    vocab_size = getattr(config.get_text_config(), "vocab_size", None)
    if vocab_size is not None and pad is not None and pad >= vocab_size:  # a padding token added to the tokenizer, not to the model
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
        pad = tokenizer.pad_token_id
    return int(pad)


def _pooling(folder: Path, causal: bool) -> Pooling:
    """What sentence-transformers wrote beside its models, else the field's custom."""
    try:
        settings = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        settings = {}
    if settings.get("pooling_mode_cls_token"):
        return "first"
    if settings.get("pooling_mode_lasttoken"):
        return "last"
    return "last" if causal and not settings.get("pooling_mode_mean_tokens") else "mean"
