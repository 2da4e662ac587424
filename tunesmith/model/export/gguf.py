"""A language model of Llama's kind as a GGUF file, with its tokenizer: what llama.cpp reads.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, for the file's keys and the names of tensors.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor

from tunesmith.core.errors import ModelError
from tunesmith.model._folder import read_config
from tunesmith.model.load import LoadedModel

__all__ = ["GGUF_TYPES", "check_writable", "write_gguf"]

GGUF_TYPES: Final = ("f16", "q8_0", "q4_0")
"""What the matrices are kept in: 16, 8.5 and 4.5 bits a weight; of q4_0 the vocabulary's in q8_0. Vectors stay in float32."""

_ARCHITECTURES = ("llama", "qwen2", "qwen3")
_SPLITS = {
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
"""GGUF's names of how the tokenizers of Llama 3 and of Qwen 2 split a text, and their own patterns, as their tokenizer.json has them."""
_ACTIVATIONS = ("silu", "swish")
_BLOCK = 32
_QUANTIZATION_VERSION = 2

Array = np.ndarray[Any, Any]


def check_writable(name: str, folder: Path) -> None:
    """Look at a model's files alone. Raises: ModelError, where a GGUF file cannot hold such a model, or such a tokenizer."""
    config = read_config(folder)
    kind = str(config.get("model_type"))
    if kind not in _ARCHITECTURES:
        raise ModelError(
            f"{name}: is a {kind}; GGUF files are written of {', '.join(_ARCHITECTURES)}. Take another form, such as nf4, or convert it with llama.cpp's own script."
        )
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    beside = {
        "rope_parameters.rope_type": rope.get("rope_type", rope.get("type", "default")) != "default"
        and rope.get("rope_type", rope.get("type")),
        "use_sliding_window": config.get("use_sliding_window"),
        "attention_bias": config.get("attention_bias"),
        "mlp_bias": config.get("mlp_bias"),
        "hidden_act": config.get("hidden_act", "silu") not in _ACTIVATIONS and config["hidden_act"],
    }
    found = next((f"{key}: {json.dumps(value)}" for key, value in beside.items() if value), "")
    if found:
        raise ModelError(
            f"{name}: has {found}, which is not written to GGUF files here. Take another form, or convert it with llama.cpp's own script."
        )
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"{name}: has no tokenizer.json, from which a GGUF file's tokenizer is made.")
    _pre_tokenizer(name, json.loads(file.read_text(encoding="utf-8")))


def write_gguf(model: LoadedModel, file: Path, kind: str) -> None:
    """Write the whole model, its matrices in one of `GGUF_TYPES`. Raises: ModelError, where its tokenizer has no place in such a file."""
    from gguf import GGUFWriter

    trunk: Any = model.trunk
    writer = GGUFWriter(file, trunk.config.model_type)
    try:
        _add_config(writer, model, kind)
        _add_tokenizer(writer, model)
        for name, data, stored_as in _tensors(trunk, kind):
            writer.add_tensor(name, data, raw_dtype=stored_as)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _add_config(writer: Any, model: LoadedModel, kind: str) -> None:
    from gguf import LlamaFileType

    trunk: Any = model.trunk
    config = trunk.config
    head_size = _head_size(config)
    types = {"f16": LlamaFileType.MOSTLY_F16, "q8_0": LlamaFileType.MOSTLY_Q8_0, "q4_0": LlamaFileType.MOSTLY_Q4_0}
    writer.add_type("model")
    writer.add_name(Path(model.source.name).name)
    if model.source.licence:
        writer.add_license(model.source.licence)
    writer.add_file_type(types[kind])
    writer.add_quantization_version(_QUANTIZATION_VERSION)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_rope_dimension_count(head_size)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_vocab_size(trunk.get_input_embeddings().weight.shape[0])


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _add_tokenizer(writer: Any, model: LoadedModel) -> None:
    from gguf import TokenType

    trunk: Any = model.trunk
    tokenizer: Any = model.tokenizer
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    pre = _pre_tokenizer(model.source.name, described)
    num_rows = trunk.get_input_embeddings().weight.shape[0]
    tokens = [f"[PAD{number}]" for number in range(num_rows)]
    types = [int(TokenType.UNUSED)] * num_rows
    for token, number in described["model"]["vocab"].items():
        tokens[number], types[number] = token, int(TokenType.NORMAL)
    for added in described["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = int(TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in described["model"]["merges"]])
    special: Mapping[str, tuple[Any, int | None]] = {
        "bos": (writer.add_bos_token_id, tokenizer.bos_token_id),
        "eos": (writer.add_eos_token_id, tokenizer.eos_token_id),
        "unk": (writer.add_unk_token_id, tokenizer.unk_token_id),
        "pad": (writer.add_pad_token_id, tokenizer.pad_token_id),
    }
    for add, number in special.values():
        if number is not None:
            add(number)
    first = tokenizer("a")["input_ids"][:1]
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id])
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


def _pre_tokenizer(name: str, described: Mapping[str, Any]) -> str:
    """GGUF's name of how a text is split before its pieces are merged. Raises: ModelError, where the tokenizer is of another kind."""
    first = described.get("pre_tokenizer") or {}
    steps = first["pretokenizers"] if first.get("type") == "Sequence" else [first]
    normalizer = (described.get("normalizer") or {}).get("type", "NFC")
    if described["model"].get("type") != "BPE" or (steps[-1] or {}).get("type") != "ByteLevel" or normalizer != "NFC":
        kind = described["model"].get("type", "none")
        raise ModelError(
            f"{name}: its tokenizer ({kind}) is no byte-level BPE, the only kind that is written to GGUF files. Take another form, such as nf4."
        )
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and steps[1].get("use_regex", True):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        regex = steps[0]["pattern"].get("Regex")
        known = next((known for known, split in _SPLITS.items() if split == regex), "")
        if known:
            return known
    raise ModelError(
        f"{name}: its tokenizer splits texts ({', '.join(kinds)}) in a way that has no name in GGUF files here. Take another form, such as nf4."
    )


def _tensors(trunk: Any, kind: str) -> Any:
    """Name, numbers and type of each tensor, as llama.cpp has them; a tied head is the embedding."""
    from gguf import GGMLQuantizationType, get_tensor_name_map
    from gguf.constants import MODEL_ARCH_NAMES
    from gguf.quants import quantize

    config = trunk.config
    architecture = next(key for key, value in MODEL_ARCH_NAMES.items() if value == config.model_type)
    names = get_tensor_name_map(architecture, config.num_hidden_layers)
    types = {"f16": GGMLQuantizationType.F16, "q8_0": GGMLQuantizationType.Q8_0, "q4_0": GGMLQuantizationType.Q4_0}
    head = trunk.get_output_embeddings().weight
    is_tied = head is trunk.get_input_embeddings().weight
    for name, tensor in trunk.state_dict().items():
        if is_tied and tensor.data_ptr() == head.data_ptr() and name.startswith("lm_head"):
            continue
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if written is None:
            raise ModelError(f"{name}: this tensor has no name in GGUF files of {config.model_type}.")
        numbers = _arranged(name, tensor, config)
        stored_as = types[kind] if numbers.ndim > 1 else GGMLQuantizationType.F32
        if kind == "q4_0" and written in ("token_embd.weight", "output.weight"):
            stored_as = GGMLQuantizationType.Q8_0
        if stored_as in (GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_0) and numbers.shape[-1] % _BLOCK:
            stored_as = GGMLQuantizationType.F16
        yield written, quantize(numbers, stored_as), stored_as


def _arranged(name: str, tensor: Tensor, config: Any) -> Array:
    """As numbers; of Llama the rows of queries and keys in llama.cpp's order, where the two that a position turns stand beside each other."""
    numbers: Array = tensor.detach().float().cpu().numpy()
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    layer = name.split(".")[-2]
    if config.model_type != "llama" or layer not in heads:
        return numbers
    # transformers turns row r with row r + half a head, llama.cpp row 2r with row 2r + 1
    halves = numbers.reshape(heads[layer], 2, numbers.shape[0] // heads[layer] // 2, *numbers.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(numbers.shape))
